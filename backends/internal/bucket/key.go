package bucket

import (
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// ValidKey reports whether an object can have this key: see [Bucket].
func ValidKey(key string) bool { return keyProblem(key) == "" }

// CheckURL reports what is wrong with the URL of a bucket, as far as that can be
// told without contacting anything.
func CheckURL(url string) error {
	at, err := parse(Config{URL: url})
	if err == nil && !slices.Contains([]string{"s3", "gs", "azblob", "file", "mem"}, at.scheme) {
		err = trackio.Errorf(trackio.ErrInvalid, "no object store has the scheme %q", at.scheme)
	}
	return err
}
