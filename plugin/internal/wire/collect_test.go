package wire

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// collecting returns the collector at the other end of a connection.
func collecting(t *testing.T, collect func(context.Context, trackio.CollectOptions) iter.Seq2[trackio.Garbage, error]) trackio.Collector {
	t.Helper()
	backend := &keeper{collect: collect}
	collector, ok := trackio.As[trackio.Collector](connect(t, NewServer(backend), CapabilitiesOf(backend)...))
	if !ok {
		t.Fatal("the capability is lost")
	}
	return collector
}

// TestGarbagePasses sends more than one message holds, and then an error.
func TestGarbagePasses(t *testing.T) {
	want := []trackio.Garbage{{Kind: "its own", Name: "of no known time"}}
	for i := range 5 {
		want = append(want, trackio.Garbage{
			Kind: trackio.GarbageImport, Name: fmt.Sprint(i, strings.Repeat("n", frameSize/2)),
			Since: time.Date(2026, 1, 1, 0, 0, i, 5, time.UTC), Objects: math.MaxInt64, Bytes: int64(i),
		})
	}
	var asked trackio.CollectOptions
	collector := collecting(t, func(_ context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
		asked = opts
		return func(yield func(trackio.Garbage, error) bool) {
			for _, g := range want {
				if !yield(g, nil) {
					return
				}
			}
			yield(trackio.Garbage{}, trackio.Errorf(trackio.ErrPermission, "the rest cannot be removed"))
		}
	})
	for _, opts := range []trackio.CollectOptions{
		{}, {DryRun: true}, {Grace: 24 * time.Hour}, {Grace: 1}, {Grace: math.MaxInt64, DryRun: true}, {Grace: -time.Second},
	} {
		var got []trackio.Garbage
		var failed error
		for g, err := range collector.Collect(t.Context(), opts) {
			if err != nil {
				failed = err
				continue
			}
			got = append(got, g)
		}
		if !reflect.DeepEqual(got, want) || trackio.KindOf(failed) != trackio.ErrPermission {
			t.Errorf("%d things came, want %d; then %v, want %v", len(got), len(want), failed, trackio.ErrPermission)
		}
		if asked != opts {
			t.Errorf("the backend got %+v, want %+v", asked, opts)
		}
	}
}

// endless collects until its context ends, and takes its time to stop.
func endless(stopped *atomic.Bool, things int) func(context.Context, trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	return func(ctx context.Context, _ trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
		return func(yield func(trackio.Garbage, error) bool) {
			for i := range things {
				if !yield(trackio.Garbage{Kind: trackio.GarbageImport, Name: fmt.Sprint(i)}, nil) {
					return
				}
				time.Sleep(maxWait) // so that each is sent
			}
			<-ctx.Done()
			time.Sleep(100 * time.Millisecond)
			stopped.Store(true)
			yield(trackio.Garbage{}, ctx.Err())
		}
	}
}

// Nothing is removed any more when a loop is over, however it ended.
func TestCollectStopsFirst(t *testing.T) {
	for _, how := range []string{"cancelled", "deadline", "left"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			const things = 3
			var stopped atomic.Bool
			collector := collecting(t, endless(&stopped, things))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if how == "deadline" {
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			n := 0
			var failed error
			for _, err := range collector.Collect(ctx, trackio.CollectOptions{}) {
				if err != nil {
					failed = err
					continue
				}
				n++
				if how == "left" {
					break
				}
				if how == "cancelled" && n == 1 {
					cancel()
				}
			}
			if !stopped.Load() {
				t.Error("the loop ended before the backend had stopped")
			}
			if how == "left" {
				return
			}
			if !errors.Is(failed, ctx.Err()) || ctx.Err() == nil || n != things {
				t.Errorf("%d of %d things came, then %v", n, things, failed)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range collecting(t, nil).Collect(gone, trackio.CollectOptions{}) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that ended before: %v", err)
		}
	}
	if n != 1 {
		t.Errorf("with a context that ended before, Collect yielded %d times, want one error", n)
	}
}

// careless sends what is not in the protocol.
type careless struct {
	backendv1.UnimplementedBackendServiceServer
}

func (careless) Collect(_ *backendv1.CollectRequest, stream grpc.ServerStreamingServer[backendv1.CollectResponse]) error {
	return stream.Send(&backendv1.CollectResponse{Garbage: []*backendv1.Garbage{{Name: "x", Since: "yesterday"}}})
}

// What the other side gets wrong is an error of a kind.
func TestCollectOfACarelessPeer(t *testing.T) {
	client := connect(t, careless{}, backendv1.Capability_CAPABILITY_COLLECT)
	collector, _ := trackio.As[trackio.Collector](client)
	for g, err := range collector.Collect(t.Context(), trackio.CollectOptions{}) {
		if trackio.KindOf(err) != trackio.ErrDataLoss || !strings.Contains(err.Error(), "yesterday") {
			t.Errorf("got %+v, %v, want data loss", g, err)
		}
	}

	var asked []time.Duration
	backend := &keeper{collect: func(_ context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
		asked = append(asked, opts.Grace)
		return func(func(trackio.Garbage, error) bool) {}
	}}
	client = connect(t, NewServer(backend))
	for _, c := range []struct {
		grace *durationpb.Duration
		kind  error
	}{
		{nil, nil},
		{&durationpb.Duration{Seconds: 1, Nanos: -1}, trackio.ErrInvalid},
		{&durationpb.Duration{Seconds: math.MaxInt64}, trackio.ErrInvalid},
	} {
		stream, err := client.RPC.Collect(t.Context(), &backendv1.CollectRequest{Grace: c.grace})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if got := trackio.KindOf(decodeError(t.Context(), err)); got != c.kind {
			t.Errorf("grace %v: %v, want the kind %v", c.grace, err, c.kind)
		}
	}
	if !reflect.DeepEqual(asked, []time.Duration{0}) {
		t.Errorf("the backend was asked with %v, want only the absent one, as zero", asked)
	}
}
