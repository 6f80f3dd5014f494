package bucket_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/tests/servers"
)

// holdVariable makes the test binary a process that opens the directory in it
// and waits for its standard input to end.
const holdVariable = "TRACKIO_TEST_HOLD"

func TestMain(m *testing.M) {
	if url := os.Getenv(holdVariable); url != "" {
		os.Exit(holdDirectory(url))
	}
	code := m.Run()
	servers.StopAll()
	os.Exit(code)
}

func holdDirectory(url string) int {
	b, err := bucket.Open(context.Background(), bucket.Config{URL: url})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	_, _ = os.Stdin.Read(make([]byte, 1))
	_ = b.Close()
	return 0
}

// holder starts a process that has a directory open.
func holder(t *testing.T, url string) (stop func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdVariable+"="+url)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { in.Close(); _ = cmd.Wait() }
	t.Cleanup(stop)
	line := make([]byte, 5)
	if n, err := out.Read(line); err != nil || string(line[:n]) != "open\n" {
		t.Fatalf("the other process says %q, %v", line[:n], err)
	}
	return stop
}

// A provider is a kind of store; url makes a new bucket.
type provider struct {
	name string
	url  func(t *testing.T) string
}

func providers() []provider {
	all := []provider{
		{"mem", func(t *testing.T) string { return "mem://" + strings.ReplaceAll(t.Name(), "/", "-") }},
		{"file", func(t *testing.T) string { return "file://" + t.TempDir() }},
	}
	for _, kind := range servers.Kinds() {
		all = append(all, provider{string(kind), func(t *testing.T) string { return servers.Start(t, kind).Bucket(t) }})
	}
	return all
}

// everywhere runs a test on a new bucket of every provider, below a prefix.
func everywhere(t *testing.T, test func(t *testing.T, b *bucket.Bucket)) {
	for _, p := range providers() {
		t.Run(p.name, func(t *testing.T) {
			test(t, open(t, bucket.Config{URL: withOption(p.url(t), "prefix=a+b/c")}))
		})
	}
}

func withOption(url, option string) string {
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return url + separator + strings.ReplaceAll(option, "+", "%2B")
}

func open(t *testing.T, config bucket.Config) *bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("open %s: %v", config.URL, err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func list(t *testing.T, b *bucket.Bucket, prefix, after string) []string {
	t.Helper()
	var keys []string
	for entry, err := range b.ListAfter(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		keys = append(keys, entry.Key)
	}
	return keys
}

func want(t *testing.T, b *bucket.Bucket, key string, body []byte) {
	t.Helper()
	got, err := b.Get(t.Context(), key)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s: %d bytes, %v; want %d bytes", key, len(got), err, len(body))
	}
}

func within(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, more than %v", took, limit)
	}
}
