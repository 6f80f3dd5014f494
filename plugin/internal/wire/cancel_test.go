package wire

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// undoing is a backend that waits for the end of its context and takes its time
// to undo what it did.
func undoing(undone *atomic.Bool) *stub {
	undo := func(err error) error {
		time.Sleep(100 * time.Millisecond)
		undone.Store(true)
		return err
	}
	return &stub{
		deleteRun: func(ctx context.Context, _ trackio.RunRef, _ trackio.DeleteOptions) error {
			<-ctx.Done()
			return undo(ctx.Err())
		},
		importRun: func(ctx context.Context, _ trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
			if _, err := take(records); err != nil {
				return trackio.RunInfo{}, undo(err)
			}
			<-ctx.Done() // in the middle of its commit
			return trackio.RunInfo{}, undo(ctx.Err())
		},
	}
}

// Nothing happens after a change has returned, also when its caller gave up.
func TestCancelledChangesAreUndoneFirst(t *testing.T) {
	endless := func(yield func(trackio.Record, error) bool) {
		_ = yield(&trackio.Header{}, nil) &&
			yield(&trackio.Media{Path: "x", Size: 1 << 50, Body: io.LimitReader(zeros{}, 1<<50)}, nil)
	}
	for name, call := range map[string]func(context.Context, *Client) error{
		"delete": func(ctx context.Context, c *Client) error {
			return c.DeleteRun(ctx, trackio.RunRef{}, trackio.DeleteOptions{})
		},
		"import, in a file": func(ctx context.Context, c *Client) error {
			_, err := c.ImportRun(ctx, trackio.RunRef{}, endless)
			return err
		},
		"import, at its end": func(ctx context.Context, c *Client) error {
			_, err := c.ImportRun(ctx, trackio.RunRef{}, sequence(nil, &trackio.Header{}))
			return err
		},
		"import, by its source": func(ctx context.Context, c *Client) error {
			_, err := c.ImportRun(ctx, trackio.RunRef{}, func(yield func(trackio.Record, error) bool) {
				if yield(&trackio.Header{}, nil) {
					<-ctx.Done()
					yield(nil, ctx.Err())
				}
			})
			return err
		},
	} {
		for _, how := range []string{"cancelled", "deadline"} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				var undone atomic.Bool
				client := connect(t, NewServer(undoing(&undone)))
				ctx, cancel := context.WithCancel(t.Context())
				if how == "deadline" {
					ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
				} else {
					time.AfterFunc(200*time.Millisecond, cancel)
				}
				defer cancel()
				err := call(ctx, client)
				if !undone.Load() {
					t.Error("the call returned before the backend had undone it")
				}
				if !errors.Is(err, ctx.Err()) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// A change that is done all the same is reported as done.
func TestCancelledTooLate(t *testing.T) {
	begun := make(chan struct{})
	client := connect(t, NewServer(&stub{deleteRun: func(context.Context, trackio.RunRef, trackio.DeleteOptions) error {
		close(begun)
		time.Sleep(100 * time.Millisecond)
		return nil
	}}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if err := client.DeleteRun(ctx, trackio.RunRef{}, trackio.DeleteOptions{}); err != nil {
		t.Errorf("got %v", err)
	}
	if err := client.DeleteRun(ctx, trackio.RunRef{}, trackio.DeleteOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call with a context that ended before: %v", err)
	}
}

// hanging does not know Cancel, and does not end by itself.
type hanging struct {
	backendv1.UnimplementedBackendServiceServer
}

func (hanging) DeleteRun(ctx context.Context, _ *backendv1.DeleteRunRequest) (*backendv1.DeleteRunResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCancelOfABackendWithoutCancel(t *testing.T) {
	client := connect(t, hanging{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := client.DeleteRun(ctx, trackio.RunRef{}, trackio.DeleteOptions{})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > cancelGrace/2 {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// A change that is cut, as by the end of its host, is undone before the backend
// is closed.
func TestCloseWaitsForChanges(t *testing.T) {
	begun := make(chan struct{})
	var undone, tooLate atomic.Bool
	backend := &closable{stub{deleteRun: func(ctx context.Context, _ trackio.RunRef, _ trackio.DeleteOptions) error {
		close(begun)
		<-ctx.Done()
		time.Sleep(100 * time.Millisecond)
		undone.Store(true)
		return ctx.Err()
	}}, func() { tooLate.Store(!undone.Load()) }}
	server := NewServer(backend)
	ctx, cut := context.WithCancel(t.Context())
	go func() {
		_, _ = connect(t, server).RPC.DeleteRun(ctx, &backendv1.DeleteRunRequest{})
	}()
	<-begun
	cut()
	if err := server.Shutdown(); err != nil || tooLate.Load() || !undone.Load() {
		t.Errorf("closed before the change was undone: %v, %v", tooLate.Load(), err)
	}
}

// closable says when it is closed.
type closable struct {
	stub
	closed func()
}

func (c *closable) Close() error {
	c.closed()
	return nil
}
