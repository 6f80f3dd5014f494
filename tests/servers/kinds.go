package servers

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const azureAccount = "trackiotests"

var azureKey = base64.StdEncoding.EncodeToString([]byte(SecretKey))

func (s *Server) arguments() []string {
	host, port, _ := net.SplitHostPort(s.Address)
	switch s.Kind {
	case Versitygw:
		return []string{"--access", AccessKey, "--secret", SecretKey, "--port", s.Address, "--health", "/health", "--keep-alive", "--quiet", "posix", s.dir}
	case MinIO:
		return []string{"server", "--address", s.Address, "--quiet", s.dir}
	case FakeGCS:
		return []string{"-host", host, "-port", port, "-scheme", "http", "-backend", "memory",
			"-external-url", "http://" + s.Address, "-public-host", s.Address, "-log-level", "error"}
	case Azurite:
		return []string{"--blobHost", host, "--blobPort", port, "--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"}
	}
	panic("no such kind of server: " + s.Kind)
}

func (s *Server) health() string {
	switch s.Kind {
	case Versitygw:
		return "/health"
	case MinIO:
		return "/minio/health/ready"
	case FakeGCS:
		return "/storage/v1/b"
	}
	return "/"
}

// environment is what a user of the server sets.
func (s *Server) environment() map[string]string {
	switch s.Kind {
	case FakeGCS:
		return map[string]string{"STORAGE_EMULATOR_HOST": s.Address}
	case Azurite:
		return map[string]string{"AZURE_STORAGE_ACCOUNT": azureAccount, "AZURE_STORAGE_KEY": azureKey}
	}
	return map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	}
}

// Bucket makes a new bucket and returns its URL.
func (s *Server) Bucket(tb testing.TB) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	name, err := s.NewBucket(ctx)
	if err != nil {
		tb.Fatalf("%s: new bucket: %v\n%s", s.Kind, err, s.output)
	}
	return s.URL(name)
}

// NewBucket makes a new bucket and returns its name.
func (s *Server) NewBucket(ctx context.Context) (string, error) {
	running.Lock()
	running.buckets++
	name := fmt.Sprintf("trackio-%d-%d", os.Getpid(), running.buckets)
	running.Unlock()
	return name, s.makeBucket(ctx, name)
}

// URL is how a bucket of the server is opened; the bucket need not exist.
func (s *Server) URL(bucket string) string { return s.URLVia(bucket, s.Address) }

// URLVia is [Server.URL] for a proxy before the server. (Google's address is
// taken from STORAGE_EMULATOR_HOST instead, which the test must set.)
func (s *Server) URLVia(bucket, address string) string {
	switch s.Kind {
	case FakeGCS:
		return "gs://" + bucket
	case Azurite:
		return "azblob://" + bucket + "?protocol=http&localemu=true&domain=" + url.QueryEscape(address)
	}
	return "s3://" + bucket + "?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape("http://"+address)
}

func (s *Server) makeBucket(ctx context.Context, name string) error {
	switch s.Kind {
	case FakeGCS:
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Address+"/storage/v1/b?project=tests",
			strings.NewReader(`{"name":"`+name+`"}`))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", answer.Status)
		}
		return nil
	case Azurite:
		key, err := container.NewSharedKeyCredential(azureAccount, azureKey)
		if err != nil {
			return err
		}
		client, err := container.NewClientWithSharedKeyCredential("http://"+s.Address+"/"+azureAccount+"/"+name, key, nil)
		if err != nil {
			return err
		}
		_, err = client.Create(ctx, nil)
		return err
	}
	_, err := s.S3().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	return err
}

// S3 is a client of an S3 server, for what a test looks at beside the code.
func (s *Server) S3() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + s.Address), UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
	})
}
