package bucket

import (
	"net/url"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// ValidKey reports whether an object can have this key: see [Bucket].
func ValidKey(key string) bool { return keyProblem(key) == "" }

// Shown is the URL of a bucket, or what should be one, as messages may show it:
// without the parts in which people put credentials.
func Shown(text string) string { return withoutSecrets(text) }

// CheckURL reports what is wrong with the URL of a bucket, as far as that can be
// told without contacting anything.
func CheckURL(text string) error {
	at, err := parse(Config{URL: text})
	if err == nil && !slices.Contains([]string{"s3", "gs", "azblob", "file", "mem"}, at.scheme) {
		err = errScheme(at)
	}
	if err == nil && at.scheme == "s3" && at.query.Get("endpoint") != "" {
		err = CheckEndpoint(at.query.Get("endpoint"))
	}
	return err
}

func errScheme(at *location) error {
	return trackio.Errorf(trackio.ErrInvalid, "%s: no object store has the scheme %q", at.name(), at.scheme).
		WithHint("s3://bucket, gs://bucket, azblob://container, file:///directory and mem://name are known")
}

// CheckEndpoint reports what is wrong with the address of a server, as far as
// that can be told without contacting it.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return trackio.Errorf(trackio.ErrInvalid, "%q is not the address of a server", withoutSecrets(endpoint)).
			WithHint("an endpoint is written like http://localhost:9000")
	case u.User != nil:
		return trackio.Errorf(trackio.ErrInvalid, "%s://%s: credentials do not belong into an endpoint", u.Scheme, u.Host).
			WithHint("they come from the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from a profile")
	}
	return nil
}
