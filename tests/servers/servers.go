// Package servers runs real object stores for tests: versitygw and MinIO (S3),
// fake-gcs-server (Google) and Azurite (Azure), each as a process on a free
// loopback port. `make servers azurite minio` builds them into bin/servers.
//
// A server is started when a test first asks for it and shared by the tests of
// the process. It ends with [StopAll], which a TestMain calls after its tests,
// and on Linux with the process in any case. A server that does not start fails
// the test: none is left out.
//
// Starting one puts its address and keys into the environment of the process,
// as a user would, so that programs that tests start find it too.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Kind is a program that serves objects.
type Kind string

// The programs.
const (
	Versitygw Kind = "versitygw"
	MinIO     Kind = "minio"
	FakeGCS   Kind = "fake-gcs-server"
	Azurite   Kind = "azurite"
)

// The keys of every server; they open nothing else.
const (
	AccessKey = "trackio-tests"
	SecretKey = "trackio-tests-secret"
)

// A Server is a running program.
type Server struct {
	Kind    Kind
	Address string // host:port

	dir    string
	output *log
	stop   func()
	done   chan struct{} // closed when the process has ended
}

var running struct {
	sync.Mutex
	servers map[Kind]*Server
	buckets int
}

// Start returns the process's server of a kind, starting it if need be.
func Start(tb testing.TB, kind Kind) *Server {
	tb.Helper()
	s, err := Launch(kind)
	if err != nil {
		tb.Fatalf("%s does not start: %v", kind, err)
	}
	return s
}

// Launch is [Start] for a program that is no test.
func Launch(kind Kind) (*Server, error) {
	running.Lock()
	defer running.Unlock()
	if s := running.servers[kind]; s != nil {
		return s, nil
	}
	var s *Server
	var err error
	for range 3 { // another process may take the free port first
		if s, err = start(kind); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if running.servers == nil {
		running.servers = make(map[Kind]*Server)
	}
	running.servers[kind] = s
	for name, value := range s.environment() {
		os.Setenv(name, value)
	}
	return s, nil
}

// StopAll ends the servers of this process and removes what they stored.
func StopAll() {
	running.Lock()
	defer running.Unlock()
	for kind, s := range running.servers {
		s.end()
		delete(running.servers, kind)
	}
}

func (s *Server) end() {
	s.stop()
	<-s.done
	os.RemoveAll(s.dir)
}

func start(kind Kind) (*Server, error) {
	program, err := program(kind)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, Address: address, output: new(log), done: make(chan struct{})}
	if s.dir, err = os.MkdirTemp("", "trackio-"+string(kind)+"-"); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, s.arguments()...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = s.output, s.output
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+AccessKey, "MINIO_ROOT_PASSWORD="+SecretKey, "MINIO_BROWSER=off",
		"MINIO_UPDATE=off", "AZURITE_ACCOUNTS="+azureAccount+":"+azureKey)
	if err := startTied(cmd); err != nil {
		os.RemoveAll(s.dir)
		return nil, err
	}
	s.stop = func() { _ = cmd.Process.Kill() }
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	if err := s.ready(); err != nil {
		s.end()
		return nil, fmt.Errorf("%w\n%s", err, s.output)
	}
	return s, nil
}

// ready waits until the server answers.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Address+s.health(), nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode < 500 {
				return nil
			}
		}
		select {
		case <-s.done:
			return errors.New("the program has ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer on %s", s.Address)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// program finds a server in the repository's bin/servers.
func program(kind Kind) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module github.com/trackio-go/trackio\n")) {
			break
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return "", errors.New("the repository's root is not above the working directory")
	}
	path, target := filepath.Join(dir, "bin", "servers", string(kind)), "servers"
	switch kind {
	case Azurite:
		path, target = filepath.Join(dir, "bin", "servers", "node_modules", ".bin", "azurite-blob"), "azurite"
	case MinIO:
		target = "minio"
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built: run `make %s`", kind, target)
	}
	return path, nil
}

// log keeps the last words of a server.
type log struct {
	mu   sync.Mutex
	text []byte
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if extra := len(l.text) - 8<<10; extra > 0 {
		l.text = l.text[extra:]
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.text))
}
