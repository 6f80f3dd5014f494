package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// keys sets credentials that no server of this test knows.
func keys(t *testing.T) {
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "K")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "S")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

// said checks what a person reads: the words, a hint, and nothing of the SDK.
func said(t *testing.T, err error, kind error, words, hint string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if trackio.KindOf(err) != kind || !strings.Contains(err.Error(), words) || !strings.Contains(trackio.HintOf(err), hint) || trackio.HintOf(err) == "" {
		t.Errorf("kind %v, %q, hint %q; want kind %v, %q, hint %q", trackio.KindOf(err), err, trackio.HintOf(err), kind, words, hint)
	}
	for _, noise := range []string{"operation error", "https response error", "RequestID", "HostID", "goroutine", "googleapi", "RESPONSE", "\n", "context deadline"} {
		if strings.Contains(err.Error(), noise) || strings.Contains(trackio.HintOf(err), noise) {
			t.Errorf("the text has %q: %v", noise, err)
		}
	}
	if len(err.Error()) > 160 {
		t.Errorf("a long text: %v", err)
	}
}

// TestS3Says gives every answer that S3 may have a kind, words and a hint.
func TestS3Says(t *testing.T) {
	keys(t)
	for _, c := range []struct {
		status       int
		code, detail string
		header       string // X-Amz-Bucket-Region
		kind         error
		words, hint  string
	}{
		{404, "NoSuchBucket", "", "", trackio.ErrNotFound, "bucket does not exist", "create it"},
		{403, "InvalidAccessKeyId", "", "", trackio.ErrPermission, "does not know the access key", "AWS_ACCESS_KEY_ID"},
		{403, "SignatureDoesNotMatch", "", "", trackio.ErrPermission, "secret key is wrong", "AWS_SECRET_ACCESS_KEY"},
		{403, "AccessDenied", "", "", trackio.ErrPermission, "access denied", "s3:ListBucket"},
		{400, "ExpiredToken", "The provided token has expired.", "", trackio.ErrPermission, "login has expired", "aws sso login"},
		{400, "InvalidToken", "", "", trackio.ErrPermission, "session token", "sign in"},
		{403, "RequestTimeTooSkewed", "", "", trackio.ErrPermission, "clock", "clock"},
		{400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'", "", trackio.ErrInvalid, "region eu-central-1", "region=eu-central-1"},
		{301, "PermanentRedirect", "", "ap-south-1", trackio.ErrInvalid, "region ap-south-1", "region=ap-south-1"},
		{503, "SlowDown", "", "", trackio.ErrUnavailable, "too busy", "later"},
		{500, "InternalError", "", "", trackio.ErrUnavailable, "failed", "again"},
		{501, "NotImplemented", "", "", errors.ErrUnsupported, "no such function", "reading works"},
		{400, "InvalidBucketName", "", "", trackio.ErrInvalid, "bucket's name", ""},
	} {
		t.Run(c.code, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("X-Amz-Bucket-Region", c.header)
				}
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message><RequestId>4711</RequestId></Error>`, c.code, c.detail)
			}))
			defer server.Close()
			within(t, 12*time.Second, func() {
				_, err := bucket.Open(t.Context(), bucket.Config{URL: "s3://b", Endpoint: server.URL})
				said(t, err, c.kind, c.words, c.hint)
				var api smithy.APIError
				if !errors.As(err, &api) || api.ErrorCode() != c.code {
					t.Errorf("what S3 said is not to be had from %v", err)
				}
			})
		})
	}
}

// TestNotReached: what is between here and the store.
func TestNotReached(t *testing.T) {
	keys(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, in the kernel, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	for _, c := range []struct {
		name, endpoint, words, hint string
	}{
		{"refused", "http://" + refusing, "refuses connections", "endpoint"},
		{"black hole", "http://" + silent.Addr().String(), "no answer in time", "firewall"},
		{"no such host", "http://store.invalid", "store.invalid", "network"},
		{"a web server", web.URL, "no S3 answers here", "endpoint"},
		{"certificate", secure.URL, "not trusted", "AWS_CA_BUNDLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			within(t, 12*time.Second, func() {
				_, err := bucket.Open(t.Context(), bucket.Config{URL: "s3://b", Endpoint: c.endpoint})
				said(t, err, trackio.ErrUnavailable, c.words, c.hint)
			})
		})
	}
	t.Run("google, black hole", func(t *testing.T) {
		t.Setenv("STORAGE_EMULATOR_HOST", silent.Addr().String())
		within(t, 12*time.Second, func() {
			_, err := bucket.Open(t.Context(), bucket.Config{URL: "gs://b"})
			said(t, err, trackio.ErrUnavailable, "no answer in time", "network")
		})
	})
	t.Run("azure, refused", func(t *testing.T) {
		t.Setenv("AZURE_STORAGE_ACCOUNT", "a")
		t.Setenv("AZURE_STORAGE_KEY", "c2VjcmV0")
		within(t, 12*time.Second, func() {
			_, err := bucket.Open(t.Context(), bucket.Config{URL: "azblob://b?protocol=http&localemu=true&domain=" + refusing})
			said(t, err, trackio.ErrUnavailable, "refuses connections", "endpoint")
		})
	})
}

// TestWhoAsks: logins that are missing or over, before S3 is asked anything.
func TestWhoAsks(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, "config")
	if err := os.WriteFile(config, []byte("[profile old]\nsso_start_url = https://x.invalid/start\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\nregion = eu-west-1\n"+
		"[profile session]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\nregion = eu-west-1\n[sso-session s]\nsso_start_url = https://x.invalid/start\nsso_region = eu-west-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, profile string
		kind          error
		words, hint   string
	}{
		{"none", "", trackio.ErrPermission, "no credentials", "AWS_ACCESS_KEY_ID"},
		{"no such profile", "nobody", trackio.ErrInvalid, "no AWS profile nobody", "AWS_PROFILE"},
		{"sso", "old", trackio.ErrPermission, "login has expired", "aws sso login"},
		{"sso session", "session", trackio.ErrPermission, "login has expired", "aws sso login"},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys(t)
			t.Setenv("HOME", home)
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			t.Setenv("AWS_CONFIG_FILE", config)
			within(t, 6*time.Second, func() {
				_, err := bucket.Open(t.Context(), bucket.Config{URL: "s3://b", Endpoint: "http://127.0.0.1:1", Profile: c.profile})
				said(t, err, c.kind, c.words, c.hint)
			})
		})
	}
	t.Run("metadata service that is not there", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		keys(t)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+silent.Addr().String())
		within(t, 4*time.Second, func() {
			_, err := bucket.Open(t.Context(), bucket.Config{URL: "s3://b", Endpoint: "http://127.0.0.1:1"})
			said(t, err, trackio.ErrPermission, "no credentials", "AWS_ACCESS_KEY_ID")
		})
	})
	t.Run("google, none", func(t *testing.T) {
		t.Setenv("STORAGE_EMULATOR_HOST", "")
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "absent.json"))
		within(t, 6*time.Second, func() {
			_, err := bucket.Open(t.Context(), bucket.Config{URL: "gs://b"})
			said(t, err, trackio.ErrPermission, "no credentials", "gcloud auth")
		})
	})
	t.Run("azure, none", func(t *testing.T) {
		t.Setenv("AZURE_STORAGE_ACCOUNT", "")
		_, err := bucket.Open(t.Context(), bucket.Config{URL: "azblob://b"})
		said(t, err, trackio.ErrInvalid, "no storage account", "AZURE_STORAGE_ACCOUNT")
	})
}

// TestMissingBuckets: each server says so in its own way; in a bucket that went
// away nothing is "not found".
func TestMissingBuckets(t *testing.T) {
	for _, kind := range servers.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			server := servers.Start(t, kind)
			_, err := bucket.Open(t.Context(), bucket.Config{URL: server.URL("no-such-bucket")})
			said(t, err, trackio.ErrNotFound, "does not exist", "create it")
		})
	}
	t.Run("file", func(t *testing.T) {
		_, err := bucket.Open(t.Context(), bucket.Config{URL: "file://" + t.TempDir() + "/absent"})
		said(t, err, trackio.ErrNotFound, "no such directory", "create_dir=true")
	})
	t.Run("wrong secret", func(t *testing.T) {
		server := servers.Start(t, servers.Versitygw)
		url := server.Bucket(t)
		keys(t)
		t.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
		_, err := bucket.Open(t.Context(), bucket.Config{URL: url})
		said(t, err, trackio.ErrPermission, "secret key is wrong", "AWS_SECRET_ACCESS_KEY")
	})
}

// TestWithoutConditions: a store that ignores If-None-Match is found out.
func TestWithoutConditions(t *testing.T) {
	keys(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>`)
		}
	}))
	defer server.Close()
	b := open(t, bucket.Config{URL: "s3://b", Endpoint: server.URL})
	said(t, b.Conditional(t.Context(), "store.json", []byte("{}"), ""), errors.ErrUnsupported, "no conditional writes", "If-None-Match")
}

// TestDeleteErrors: S3 says 200 and names what it did not delete.
func TestDeleteErrors(t *testing.T) {
	keys(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(w, `<?xml version="1.0"?><DeleteResult><Error><Key>two</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>`)
			return
		}
		fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>`)
	}))
	defer server.Close()
	b := open(t, bucket.Config{URL: "s3://b", Endpoint: server.URL})
	said(t, b.Delete(t.Context(), []string{"one", "two"}), trackio.ErrPermission, "delete two", "s3:DeleteObject")
}

func TestCancelled(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range map[string]error{
			"create": b.Create(ctx, "a", []byte("1"), ""), "put": b.Put(ctx, "a", []byte("1"), ""), "delete": b.Delete(ctx, []string{"a"}),
		} {
			if !errors.Is(err, context.Canceled) || trackio.KindOf(err) != nil {
				t.Errorf("%s: %v, kind %v", name, err, trackio.KindOf(err))
			}
		}
	})
}
