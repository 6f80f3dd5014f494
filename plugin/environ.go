package plugin

import (
	"os"
	"runtime"
	"strings"
)

// environment are the variables, by name or pattern, that every backend gets.
// The rest of the host's, which may hold the secrets of other programs, stays
// with the host unless the backend declares a variable or its block lists it.
var environment = [...]string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_*", "TZ", "TMPDIR", "TMP", "TEMP",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"XDG_*", "HF_HOME", "TRACKIO_*",
	"GODEBUG", "GOTRACEBACK", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOCOVERDIR", // of Go's runtime
}

var windowsEnvironment = [...]string{
	"SystemRoot", "SystemDrive", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "ComSpec", "PATHEXT", "ProgramData",
}

// backendEnvironment returns the environment of a backend's process.
func backendEnvironment(host, listed []string) []string {
	patterns := append(environment[:len(environment):len(environment)], listed...)
	if runtime.GOOS == "windows" {
		patterns = append(patterns, windowsEnvironment[:]...)
	}
	var env []string
	for _, variable := range host {
		name, _, _ := strings.Cut(variable, "=")
		if name != cookieKey && name != lifelineKey && named(patterns, name) {
			env = append(env, variable)
		}
	}
	return env
}

// declaredEnvironment returns the variables that a backend declared and that are
// set.
func declaredEnvironment(declared []string) map[string]string {
	values := map[string]string{}
	if len(declared) == 0 {
		return values
	}
	for _, variable := range os.Environ() {
		if name, value, ok := strings.Cut(variable, "="); ok && named(declared, name) {
			values[name] = value
		}
	}
	return values
}

// validPattern reports whether a text is the name of a variable, or the beginning
// of one and a "*". None asks for everything.
func validPattern(pattern string) bool {
	name := strings.TrimSuffix(pattern, "*")
	return name != "" && !strings.ContainsAny(name, "*=\x00")
}

// named reports whether a variable is one of a list of names and patterns.
func named(patterns []string, name string) bool {
	if runtime.GOOS == "windows" {
		name = strings.ToUpper(name)
	}
	for _, pattern := range patterns {
		if runtime.GOOS == "windows" {
			pattern = strings.ToUpper(pattern)
		}
		beginning, open := strings.CutSuffix(pattern, "*")
		if validPattern(pattern) && (name == pattern || open && strings.HasPrefix(name, beginning)) {
			return true
		}
	}
	return false
}
