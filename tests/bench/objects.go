package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

const (
	manyRuns      = 10_000
	mostRequests  = 25
	mediaFiles    = 2_000
	mediaFileSize = 20 << 10
)

// objects measures the backend of object stores on a real server: requests by
// their number, which is what they cost, and times against rclone.
func (b *bench) objects(ctx context.Context) error {
	server, err := servers.Launch(servers.Versitygw)
	if err != nil {
		return fmt.Errorf("%w; make servers builds it", err)
	}
	defer servers.StopAll()
	rclone := filepath.Join("bin", "servers", "rclone")
	if _, err := os.Stat(rclone); err != nil {
		return fmt.Errorf("%w; make rclone builds it", err)
	}
	for _, figure := range []func(context.Context, *servers.Server) error{
		b.movedFiles, b.listedRuns,
		func(ctx context.Context, s *servers.Server) error { return b.imported(ctx, s, rclone) },
		func(ctx context.Context, s *servers.Server) error { return b.deleted(ctx, s, rclone) },
	} {
		if err := figure(ctx, server); err != nil {
			return err
		}
	}
	return nil
}

// openBucket opens a bucket; with via, through that address.
func openBucket(ctx context.Context, server *servers.Server, name, via string) (*s3.Backend, error) {
	if via == "" {
		via = server.Address
	}
	return s3.Open(ctx, s3.Config{Bucket: server.URLVia(name, via)})
}

// movedFiles counts the requests of moving a run of 1, 100 and 10,000 files.
func (b *bench) movedFiles(ctx context.Context, server *servers.Server) error {
	counting, err := startCounter(server.Address)
	if err != nil {
		return err
	}
	defer counting.stop()
	var counts []string
	for _, files := range []int{1, 100, 10_000} {
		name, err := server.NewBucket(ctx)
		if err != nil {
			return err
		}
		err = onBucket(ctx, server, name, "", func(backend *s3.Backend) error {
			_, err := backend.ImportRun(ctx, trackio.RunRef{Project: "from", ID: "run"}, runOfFiles(files, func(int) []byte { return []byte("a small file") }))
			return err
		})
		if err != nil {
			return err
		}
		before := counting.requests.Load()
		err = onBucket(ctx, server, name, counting.address, func(backend *s3.Backend) error {
			_, err := backend.MoveRun(ctx, trackio.RunRef{Project: "from", ID: "run"}, "to", trackio.MoveOptions{})
			return err
		})
		if err != nil {
			return err
		}
		counts = append(counts, fmt.Sprint(counting.requests.Load()-before))
	}
	b.row("requests of a move, 1 / 100 / 10,000 files", counts[0], counts[1], counts[2], counts[0], counts[0] == counts[1] && counts[1] == counts[2])
	return nil
}

// listedRuns counts the requests of listing a project of 10,000 runs.
func (b *bench) listedRuns(ctx context.Context, server *servers.Server) error {
	name, err := server.NewBucket(ctx)
	if err != nil {
		return err
	}
	err = onBucket(ctx, server, name, "", func(backend *s3.Backend) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(64)
		for i := range manyRuns {
			group.Go(func() error {
				_, err := backend.ImportRun(ctx, trackio.RunRef{Project: "many", ID: fmt.Sprintf("run-%05d", i)}, runOfFiles(0, nil))
				return err
			})
		}
		return group.Wait()
	})
	if err != nil {
		return err
	}
	counting, err := startCounter(server.Address)
	if err != nil {
		return err
	}
	defer counting.stop()
	listed := 0
	took, err := timed(func() error {
		return onBucket(ctx, server, name, counting.address, func(backend *s3.Backend) error {
			for _, err := range backend.ListRuns(ctx, "many", trackio.ListOptions{Config: true, Latest: true, Counts: true}) {
				if err != nil {
					return err
				}
				listed++
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if listed != manyRuns {
		return fmt.Errorf("%d of %d runs are listed", listed, manyRuns)
	}
	n := counting.requests.Load()
	b.row("requests of listing 10,000 runs", "", durations{took}.String(), fmt.Sprint(n), fmt.Sprint(mostRequests), n <= mostRequests)
	return nil
}

// imported compares an import of 2,000 files with rclone's copy of them.
func (b *bench) imported(ctx context.Context, server *servers.Server, rclone string) error {
	dir, err := b.sub("files")
	if err != nil {
		return err
	}
	for i := range mediaFiles {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%08d.png", i)), bytes.Repeat([]byte{byte(i), byte(i >> 8)}, mediaFileSize/2), 0o600); err != nil {
			return err
		}
	}
	theirs, ours, err := takeTurns(ctx, 3,
		func(int) (time.Duration, error) {
			name, err := server.NewBucket(ctx)
			if err != nil {
				return 0, err
			}
			return timed(func() error {
				return runRclone(ctx, rclone, server, "copy", "--transfers", "32", dir, "store:"+name+"/files")
			})
		},
		func(int) (time.Duration, error) {
			name, err := server.NewBucket(ctx)
			if err != nil {
				return 0, err
			}
			return timed(func() error { return importFiles(ctx, server, name, dir) })
		})
	if err != nil {
		return err
	}
	b.ratio("rclone copy, import of 2,000 files", theirs, ours, 1)
	return nil
}

// deleted compares the deletion of a run of 2,000 files with rclone's purge.
func (b *bench) deleted(ctx context.Context, server *servers.Server, rclone string) error {
	dir := filepath.Join(b.dir, "files")
	theirs, ours, err := takeTurns(ctx, 3,
		func(int) (time.Duration, error) {
			name, err := server.NewBucket(ctx)
			if err == nil {
				err = runRclone(ctx, rclone, server, "copy", "--transfers", "32", dir, "store:"+name+"/files")
			}
			if err != nil {
				return 0, err
			}
			return timed(func() error { return runRclone(ctx, rclone, server, "purge", "store:"+name+"/files") })
		},
		func(int) (time.Duration, error) {
			name, err := server.NewBucket(ctx)
			if err == nil {
				err = importFiles(ctx, server, name, dir)
			}
			if err != nil {
				return 0, err
			}
			return timed(func() error {
				return onBucket(ctx, server, name, "", func(backend *s3.Backend) error {
					return backend.DeleteRun(ctx, trackio.RunRef{Project: "files", ID: "run"}, trackio.DeleteOptions{})
				})
			})
		})
	if err != nil {
		return err
	}
	b.ratio("rclone purge, delete of 2,000 files", theirs, ours, 0.5)
	return nil
}

func importFiles(ctx context.Context, server *servers.Server, name, dir string) error {
	return onBucket(ctx, server, name, "", func(backend *s3.Backend) error {
		var failed error
		_, err := backend.ImportRun(ctx, trackio.RunRef{Project: "files", ID: "run"}, runOfFiles(mediaFiles, func(i int) []byte {
			body, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%08d.png", i))) // #nosec G304: made above
			failed = errors.Join(failed, err)
			return body
		}))
		return errors.Join(err, failed)
	})
}

// onBucket opens a bucket anew, as a process does.
func onBucket(ctx context.Context, server *servers.Server, name, via string, do func(*s3.Backend) error) error {
	backend, err := openBucket(ctx, server, name, via)
	if err != nil {
		return err
	}
	return errors.Join(do(backend), backend.Close())
}

// runOfFiles is the stream of a run of a few rows and of media files.
func runOfFiles(files int, body func(int) []byte) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		rows := []trackio.MetricsRow{{Timestamp: "2026-01-01T10:00:00+00:00", Metrics: []byte(`{"loss":1}`)}}
		for i := range files {
			rows = append(rows, trackio.MetricsRow{
				Timestamp: "2026-01-01T10:00:00+00:00", Step: int64(i),
				Metrics: fmt.Appendf(nil, `{"image":{"_type":"trackio.image","file_path":"%08d.png"}}`, i),
			})
		}
		ok := yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "run"}, Kinds: trackio.AllKinds}, nil) &&
			yield(&trackio.Config{JSON: []byte(`{"lr": 0.1, "model": {"layers": 12, "width": 768}, "optimizer": "adamw"}`)}, nil)
		for batch := range slices.Chunk(rows, 1000) {
			ok = ok && yield(&trackio.Metrics{Rows: batch}, nil)
		}
		for i := 0; ok && i < files; i++ {
			content := body(i)
			ok = yield(&trackio.Media{Path: fmt.Sprintf("%08d.png", i), Size: int64(len(content)), Body: bytes.NewReader(content)}, nil)
		}
	}
}

func runRclone(ctx context.Context, rclone string, server *servers.Server, args ...string) error {
	cmd := exec.CommandContext(ctx, rclone, append(args, "--s3-no-check-bucket", "--checkers", "32")...) // #nosec G204: as built
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_STORE_TYPE=s3", "RCLONE_CONFIG_STORE_PROVIDER=Other",
		"RCLONE_CONFIG_STORE_ENV_AUTH=true", "RCLONE_CONFIG_STORE_ENDPOINT=http://"+server.Address, "RCLONE_CONFIG_STORE_FORCE_PATH_STYLE=true")
	_, err := runCommand(cmd)
	return err
}

// counter passes requests on and counts them.
type counter struct {
	address  string
	requests atomic.Int64
	stop     func()
}

func startCounter(server string) (*counter, error) {
	c := &counter{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: server})
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	front := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = front.Serve(listener) }()
	c.address = strings.TrimPrefix(listener.Addr().String(), "http://")
	c.stop = func() { _ = front.Close() }
	return c, nil
}
