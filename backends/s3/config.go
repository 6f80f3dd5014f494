package s3

import (
	"context"
	"strings"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// Config says which bucket the backend works on. What it leaves open comes from
// the environment of the cloud, as for its own tools.
type Config struct {
	Bucket    string `trackio:"bucket,required" help:"URL of the bucket: s3://NAME, gs://NAME, azblob://NAME or file:///DIR; with ?prefix=DIR/ a part of it"`
	Endpoint  string `trackio:"endpoint" help:"address of an S3-compatible server, such as http://localhost:9000"`
	Region    string `trackio:"region" help:"region of the bucket, on S3"`
	Profile   string `trackio:"profile" help:"profile of the shared AWS configuration, on S3"`
	PathStyle bool   `trackio:"path_style" help:"the bucket's name stands in the path of a URL, not in its host, on S3-compatible servers"`
}

// Environment returns the variables that the clients of the clouds read, by name
// or as the beginning of names and "*".
func Environment() []string { return bucket.Environment() }

// open opens the bucket. What is wrong with the configuration, or with the bucket
// that it names, is an error about an attribute.
func (c Config) open(ctx context.Context) (*bucket.Bucket, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	objects, err := bucket.Open(ctx, bucket.Config{
		URL: c.Bucket, Endpoint: c.Endpoint, Region: c.Region, Profile: c.Profile, PathStyle: c.PathStyle,
	})
	if kind := trackio.KindOf(err); kind == trackio.ErrInvalid || kind == trackio.ErrNotFound || kind == trackio.ErrConflict {
		return nil, attributeError{"bucket", err}
	}
	return objects, err
}

// check finds settings that cannot hold for the bucket, which it does not
// contact.
func (c Config) check() error {
	if err := bucket.CheckURL(c.Bucket); err != nil {
		return attributeError{"bucket", err}
	}
	scheme, _, _ := strings.Cut(c.Bucket, "://")
	for _, setting := range []struct {
		name  string
		given bool
	}{
		{"endpoint", c.Endpoint != ""}, {"region", c.Region != ""}, {"profile", c.Profile != ""}, {"path_style", c.PathStyle},
	} {
		if setting.given && !strings.EqualFold(scheme, "s3") {
			return attributeError{setting.name, trackio.Errorf(trackio.ErrInvalid, "%s has no meaning for a bucket of %s://", setting.name, scheme).
				WithHint("leave it out, or name a bucket of s3://")}
		}
	}
	if c.Endpoint != "" {
		if err := bucket.CheckEndpoint(c.Endpoint); err != nil {
			return attributeError{"endpoint", err}
		}
	}
	return nil
}

// attributeError is an error about an attribute of the configuration, which is
// shown where that stands.
type attributeError struct {
	attribute string
	error
}

func (e attributeError) Unwrap() error           { return e.error }
func (e attributeError) ConfigAttribute() string { return e.attribute }
