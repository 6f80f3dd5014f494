package bucket

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob/s3blob"
)

// s3Store reads and lists through gocloud, and writes and deletes with the
// client below it: gocloud sends no body from memory, so that a retry of a
// small one is not safe, deletes with two requests an object, and leaves the
// parts of a cancelled upload behind.
type s3Store struct {
	gocloud
	client  *s3.Client
	bucket  string
	patient aws.HTTPClient // for requests that a server may take longer to answer
	timeout time.Duration  // of those
	sse     encryption
	// checksum is what parts carry; none if request_checksum_calculation says so.
	checksum types.ChecksumAlgorithm
	idle     func() // closes idle connections
}

// encryption is what gocloud's URLs can ask for.
type encryption struct {
	method types.ServerSideEncryption
	key    *string
}

func openS3(ctx context.Context, at *location) (store, error) {
	options, sse, err := s3Options(at)
	if err != nil {
		return nil, err
	}
	cfg, err := awsConfig(ctx, at)
	if err != nil {
		return nil, err
	}
	hasty, patient := newTransport(at.stall, at.count), newTransport(time.Hour, at.count)
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // has the authorities of AWS_CA_BUNDLE
		hasty.TLSClientConfig = client.GetTransport().TLSClientConfig
		patient.TLSClientConfig = client.GetTransport().TLSClientConfig.Clone()
	}
	client := s3.NewFromConfig(cfg, append(options, func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: hasty, CheckRedirect: noRedirect}
	})...)
	opened, err := s3blob.OpenBucket(ctx, client, at.host, nil)
	if err != nil {
		return nil, err
	}
	checksum := types.ChecksumAlgorithmCrc32
	if cfg.RequestChecksumCalculation == aws.RequestChecksumCalculationWhenRequired {
		checksum = ""
	}
	return &s3Store{
		checksum: checksum, timeout: 2 * at.Timeout,
		gocloud: gocloud{opened}, client: client, bucket: at.host, sse: sse,
		patient: &http.Client{Transport: patient, CheckRedirect: noRedirect},
		idle:    func() { hasty.CloseIdleConnections(); patient.CloseIdleConnections() },
	}, nil
}

// noRedirect: S3 redirects to another region, for which nothing is signed.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// s3Options takes the options of S3 itself out of the URL's query.
func s3Options(at *location) ([]func(*s3.Options), encryption, error) {
	var sse encryption
	if method := at.take("ssetype"); method != "" {
		sse.method = types.ServerSideEncryption(method)
	}
	if key := at.take("kmskeyid"); key != "" {
		sse.key = &key
	}
	accelerate, err1 := at.takeBool("accelerate")
	noTLS, err2 := at.takeBool("disable_https")
	path, err3 := at.takeBool("use_path_style")
	legacy, err4 := at.takeBool("s3ForcePathStyle")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, sse, err
	}
	if path == nil {
		path = legacy
	}
	return []func(*s3.Options){func(o *s3.Options) {
		o.UseAccelerate = accelerate != nil && *accelerate
		o.EndpointOptions.DisableHTTPS = noTLS != nil && *noTLS
		o.UsePathStyle = at.PathStyle || o.BaseEndpoint != nil
		if path != nil {
			o.UsePathStyle = *path
		}
		o.DisableLogOutputChecksumValidationSkipped = true
	}}, sse, nil
}

// stat makes sure of an absence: a HEAD that finds no object looks like one that
// finds no bucket.
func (s *s3Store) stat(ctx context.Context, key string) (Attributes, error) {
	a, err := s.gocloud.stat(ctx, key)
	if err != nil && s.explain(err).absent {
		if ping := s.ping(ctx, key); ping != nil {
			return Attributes{}, ping
		}
	}
	return a, err
}

func (s *s3Store) close() error {
	s.idle()
	return s.gocloud.close()
}
