package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// The test binary is three programs: the tests, the backend that they open, and
// a host that they kill.
func TestMain(m *testing.M) {
	builtins := []Definition{testBackend()}
	if ServeBuiltin(os.Args, builtins) {
		return
	}
	if fault, ok := strings.CutPrefix(filepath.Base(os.Args[0]), handwrittenPrefix); ok {
		if err := serveHandwritten(fault); err != nil {
			panic(err)
		}
		return
	}
	if os.Getenv(cookieKey) != "" { // started by a path, as a third party's
		Serve(testBackend())
		return
	}
	if mode := os.Getenv("TEST_HOST"); mode != "" {
		if err := runHost(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Under the race detector a process would sleep a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// testConfig configures the backend of these tests.
type testConfig struct {
	Dir     string            `trackio:"dir,path" env:"TEST_DIR" default:"~/runs" help:"a folder"`
	Trouble string            `trackio:"trouble" env:"TRACKIO_TEST_TROUBLE" help:"what goes wrong"`
	Token   string            `trackio:"token,sensitive" env:"TEST_TOKEN"`
	Count   int64             `trackio:"count" default:"3"`
	Ratio   float64           `trackio:"ratio"`
	Deep    bool              `trackio:"deep" env:"TEST_DEEP"`
	Tags    []string          `trackio:"tags"`
	Labels  map[string]string `trackio:"labels"`
	Wait    time.Duration     `trackio:"wait" default:"1m30s"`
	Auth    *testAuth         `trackio:"auth"`
	Mirrors []testAuth        `trackio:"mirror"`
}

type testAuth struct {
	User string `trackio:"user,required"`
}

func testBackend() Definition {
	return Define(Info{Type: "test", Version: "1.2.3", Description: "runs in memory, with troubles", Environment: []string{"TEST_SECRET_*"}}, openTest)
}

// troubled is a backend in memory on which a trouble befalls.
type troubled struct {
	*memory.Backend
	config testConfig
}

func openTest(_ context.Context, cfg testConfig) (*troubled, error) {
	hclog.Default().Info("opening", "trouble", cfg.Trouble)
	switch cfg.Trouble {
	case "bad dir":
		return nil, attributeError{"dir", trackio.Errorf(trackio.ErrPermission, "%s cannot be read", cfg.Dir).WithHint("chmod it")}
	case "bad token":
		return nil, attributeError{"token", errors.New("token is too old")}
	case "bad mirror":
		return nil, attributeError{"mirror.1.user", errors.New("nobody of that name")}
	case "quotes token":
		return nil, trackio.Errorf(trackio.ErrInvalid, "cannot parse %q", cfg.Token).WithHint("not %s", cfg.Token)
	case "no network":
		return nil, trackio.Errorf(trackio.ErrUnavailable, "cannot reach the storage")
	case "hostile stderr":
		for _, line := range []string{`{"@message":17}`, `{"@level":{},"@message":"m"}`, `{"@timestamp":[],"@message":"m","@level":"warn"}`, strings.Repeat("x", 200<<10), `{`} {
			fmt.Fprintln(os.Stderr, line)
		}
	}
	return &troubled{memory.New(), cfg}, nil
}

func (b *troubled) ConfigSettings() map[string]string { return map[string]string{"trouble": "none"} }

// ListProjects tells what the process sees, for tests that ask.
func (b *troubled) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	switch b.config.Trouble {
	case "tell environment":
		return func(yield func(string, error) bool) {
			for _, v := range os.Environ() {
				if !yield(v, nil) {
					return
				}
			}
		}
	case "tell config":
		return func(yield func(string, error) bool) { yield(fmt.Sprintf("%+v", b.config), nil) }
	case "tell stdin":
		return func(yield func(string, error) bool) {
			n, err := os.Stdin.Read(make([]byte, 1))
			yield(fmt.Sprint(n, err), nil)
		}
	case "endless":
		return func(yield func(string, error) bool) {
			for yield(strings.Repeat("p", 1000), nil) {
			}
		}
	case "odd stdout":
		stdout := os.NewFile(1, "stdout") // os.Stdout is another file by now
		if _, err := stdout.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
			panic(err)
		}
	case "last words":
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(7)
	case "hostile last words":
		fmt.Fprint(os.Stderr, "\x1b[2J\x1b]0;title\a\x00\xff binary\n"+strings.Repeat("y", 1<<20))
		os.Exit(7)
	case "survived panic":
		fmt.Fprint(os.Stderr, "panic: long ago\n\npanic: just now\n")
		os.Exit(7)
	case "hang":
		return func(func(string, error) bool) { select {} }
	}
	return b.Backend.ListProjects(ctx)
}

func (b *troubled) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	if b.config.Trouble == "panic" {
		fmt.Fprintln(os.Stderr, "last words")
		go panic("something broke") // outside of every call, as bugs are
		select {}
	}
	return b.Backend.GetRun(ctx, ref)
}

func (b *troubled) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	if b.config.Trouble == "die in import" {
		for _, err := range records {
			if err == nil {
				os.Exit(7)
			}
		}
	}
	return b.Backend.ImportRun(ctx, ref, records)
}

func (b *troubled) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for r, err := range b.Backend.ExportRun(ctx, ref, opts) {
			if !yield(r, err) {
				return
			}
			if m, ok := r.(*trackio.Metrics); ok && b.config.Trouble == "die in export" && len(m.Rows) > 0 {
				time.Sleep(20 * time.Millisecond)
				os.Exit(7)
			}
		}
	}
}

func (b *troubled) Close() error {
	switch b.config.Trouble {
	case "slow close":
		time.Sleep(time.Hour)
	case "stop at close": // a process that is stopped answers nothing any more
		stopSelf()
		time.Sleep(time.Hour)
	}
	return b.Backend.Close()
}

// config writes a config file with the given body of a block test "t".
func config(t *testing.T, body string) *Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(path, []byte("backend \"test\" \"t\" {\n"+body+"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func testHost() *Host { return &Host{Builtins: []Definition{testBackend()}} }

// open opens the backend of a block with that body.
func open(t *testing.T, body string) *Client {
	t.Helper()
	cfg := config(t, body)
	c, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// projects collects the projects of a backend.
func projects(ctx context.Context, b trackio.Backend) ([]string, error) {
	var all []string
	for p, err := range b.ListProjects(ctx) {
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

// runHost is the host that the tests end in every way: it opens a backend, says
// its process id, and does what the mode says until it is ended.
func runHost(mode string) error {
	cfg := &Config{}
	block := &Block{Type: "test", Name: "t"}
	if path := os.Getenv("TEST_CONFIG"); path != "" {
		var err error
		if cfg, err = LoadConfig(path); err != nil {
			return err
		}
		block = cfg.Blocks[0]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := testHost().Open(ctx, cfg, block)
	if err != nil {
		return err
	}
	fmt.Println(c.process.ID())
	switch mode {
	case "idle":
		<-ctx.Done()
	case "stream":
		for _, err := range c.ListProjects(ctx) {
			if err != nil {
				break
			}
		}
	case "import":
		_, err = c.ImportRun(ctx, trackio.RunRef{Project: "p", ID: "x"}, func(yield func(trackio.Record, error) bool) {
			media := &trackio.Media{Path: "x", Size: 1 << 50, Body: io.LimitReader(endless{}, 1<<50)}
			_ = yield(&trackio.Header{}, nil) && yield(media, nil)
		})
		if err == nil {
			return errors.New("an endless import ended")
		}
	case "exit":
		return errors.New("leaving without closing anything")
	}
	return c.Close()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
