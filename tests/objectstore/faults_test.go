package objectstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// The store that every operation is tried on: two runs in one project, one in
// another.
var (
	first  = trackio.RunRef{Project: "alpha", ID: "first"}
	second = trackio.RunRef{Project: "alpha", ID: "second"}
	third  = trackio.RunRef{Project: "beta", ID: "third"}
	fresh  = trackio.RunRef{Project: "alpha", ID: "fresh"}
)

// outcome says where a run may be after an operation: a name by project, or
// nowhere.
type outcome map[string]string // project: name

// operation is something that is done to the store while the network fails.
type operation struct {
	name string
	do   func(ctx context.Context, b *s3.Backend) error
	// of is the run that it changes; before and after are where that is. Without
	// it, the operation reads.
	of            trackio.RunRef
	before, after outcome
}

func operations() []operation {
	reads := func(stream func(ctx context.Context, b *s3.Backend) error) func(context.Context, *s3.Backend) error {
		return stream
	}
	return []operation{
		{name: "import", of: fresh, before: outcome{}, after: outcome{"alpha": "new"}, do: func(ctx context.Context, b *s3.Backend) error {
			_, err := b.ImportRun(ctx, fresh, records(fresh.ID, "new", runRows, runFiles))
			return err
		}},
		{name: "move", of: first, before: outcome{"alpha": "one"}, after: outcome{"beta": "one"}, do: func(ctx context.Context, b *s3.Backend) error {
			_, err := b.MoveRun(ctx, first, "beta", trackio.MoveOptions{})
			return err
		}},
		{name: "rename", of: first, before: outcome{"alpha": "one"}, after: outcome{"alpha": "other"}, do: func(ctx context.Context, b *s3.Backend) error {
			_, err := b.RenameRun(ctx, first, "other", trackio.RenameOptions{})
			return err
		}},
		{name: "delete", of: first, before: outcome{"alpha": "one"}, after: outcome{}, do: func(ctx context.Context, b *s3.Backend) error {
			return b.DeleteRun(ctx, first, trackio.DeleteOptions{})
		}},
		{name: "delete project", of: third, before: outcome{"beta": "three"}, after: outcome{}, do: func(ctx context.Context, b *s3.Backend) error {
			return b.DeleteProject(ctx, "beta", trackio.DeleteOptions{})
		}},
		{name: "collect", of: first, before: outcome{"alpha": "one"}, after: outcome{"alpha": "one"}, do: func(ctx context.Context, b *s3.Backend) error {
			for _, err := range b.Collect(ctx, trackio.CollectOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "export", do: reads(func(ctx context.Context, b *s3.Backend) error { return whole(ctx, b, first, runRows, runFiles) })},
		{name: "list", do: reads(func(ctx context.Context, b *s3.Backend) error {
			found, err := places(ctx, b)
			if err == nil && len(found) != 3 {
				return short(fmt.Sprint(len(found), " runs are listed"))
			}
			return err
		})},
		{name: "get", do: reads(func(ctx context.Context, b *s3.Backend) error {
			info, err := b.GetRun(ctx, second)
			if err == nil && (info.Name != "two" || string(info.Config) != `{"id": "second"}`) {
				return short(fmt.Sprintf("the run is %+v", info))
			}
			return err
		})},
		{name: "summarize", do: reads(func(ctx context.Context, b *s3.Backend) error {
			sum, err := b.SummarizeRun(ctx, second)
			if err == nil && (sum.Metrics != runRows || len(sum.MetricNames) != 3) {
				return short(fmt.Sprintf("the summary is %+v", sum))
			}
			return err
		})},
	}
}

// short is the error of a read that succeeded and was wrong: never right.
type short string

func (s short) Error() string { return "a wrong answer: " + string(s) }

// TestEveryRequestFails lets, for every operation, each of its requests fail in
// each way, once or from then on, and looks at the store afterwards: the
// operation has happened or it has not, as its answer says; reads are right or
// an error; and a collection leaves nothing that the state does not know.
func TestEveryRequestFails(t *testing.T) {
	server := servers.Start(t, servers.Versitygw)
	var tried, failed, unknown atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d operations with a failing request: %d ended in an error, %d of them with an unknown outcome", tried.Load(), failed.Load(), unknown.Load())
	})
	slots := make(chan struct{}, 64) // most of the time an attempt waits before it tries again
	var all sync.WaitGroup
	for _, op := range operations() {
		all.Go(func() {
			t.Run(op.name, func(t *testing.T) {
				r := &rig{server: server, bucket: server.Bucket(t)}
				r.failEach(t, op, slots, func(err error) {
					tried.Add(1)
					if err != nil {
						failed.Add(1)
					}
					if errors.Is(err, s3.ErrOutcomeUnknown) {
						unknown.Add(1)
					}
				})
			})
		})
	}
	all.Wait()
}

// failEach tries an operation with each of its requests failing in each way.
func (r *rig) failEach(t *testing.T, op operation, slots chan struct{}, tried func(error)) {
	total := r.requestsOf(t, op)
	var all sync.WaitGroup
	for _, what := range []fault{cutBefore, swallowed, slowDown, truncated, forbidden} {
		for _, onward := range []bool{false, true} {
			if onward && (what == slowDown || what == truncated) {
				continue // once these stay they are like the others
			}
			for k := 1; k <= total; k++ {
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					name := fmt.Sprintf("%s of request %d of %d", what, k, total)
					if onward {
						name = fmt.Sprintf("%s from request %d of %d on", what, k, total)
					}
					tried(r.attempt(t, op, name, what, k, onward))
				})
			}
		}
	}
	all.Wait()
}

// rig makes stores that are reached through proxies.
type rig struct {
	server *servers.Server
	bucket string
	prefix atomic.Int64
}

// store makes a new store and returns its prefix, and a proxy before it.
func (r *rig) store(t *testing.T) (direct, through string, p *proxy) {
	prefix := fmt.Sprintf("&prefix=s%d/", r.prefix.Add(1))
	p = startProxy(t, r.server.Address)
	b, err := s3.Open(t.Context(), s3.Config{Bucket: r.bucket + prefix})
	if err == nil {
		_, err = b.ImportRun(t.Context(), first, records(first.ID, "one", runRows, runFiles))
	}
	if err == nil {
		_, err = b.ImportRun(t.Context(), second, records(second.ID, "two", runRows, runFiles))
	}
	if err == nil {
		_, err = b.ImportRun(t.Context(), third, records(third.ID, "three", runRows, runFiles))
	}
	if err == nil {
		err = b.Close()
	}
	if err != nil {
		t.Error(err)
	}
	return r.bucket + prefix, strings.Replace(r.bucket, url.QueryEscape(r.server.Address), url.QueryEscape(p.address), 1) + prefix, p
}

// requestsOf counts the requests of an operation that nothing disturbs.
func (r *rig) requestsOf(t *testing.T, op operation) int {
	_, through, p := r.store(t)
	if err := r.run(t.Context(), op, through); err != nil {
		t.Fatal(err)
	}
	n := p.requests()
	if n == 0 {
		t.Fatal("no request came through the proxy")
	}
	return n
}

func (r *rig) run(ctx context.Context, op operation, url string) error {
	b, err := s3.Open(ctx, s3.Config{Bucket: url})
	if err != nil {
		return err
	}
	err = op.do(ctx, b)
	return errors.Join(err, b.Close())
}

func (r *rig) attempt(t *testing.T, op operation, name string, what fault, k int, onward bool) error {
	direct, through, p := r.store(t)
	p.set(what, k, onward)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	err := r.run(ctx, op, through)
	took := time.Since(began)
	if took > time.Minute {
		t.Errorf("%s: took %v", name, took.Round(time.Second))
	}
	var wrong short
	switch {
	case errors.As(err, &wrong):
		t.Errorf("%s: %v", name, err)
	case err != nil && trackio.KindOf(err) == nil:
		t.Errorf("%s: an error without a kind: %v", name, err)
	case err != nil && trackio.HintOf(err) == "":
		t.Errorf("%s: an error without a hint: %v", name, err)
	case errors.Is(err, trackio.ErrDataLoss):
		t.Errorf("%s: taken for data loss: %v", name, err)
	}
	if op.before != nil {
		r.settled(t, op, name, direct, err)
	}
	return err
}

// settled looks at the store after a change.
func (r *rig) settled(t *testing.T, op operation, name, direct string, result error) {
	ctx := t.Context()
	b, err := s3.Open(ctx, s3.Config{Bucket: direct})
	if err != nil {
		t.Error(err)
		return
	}
	defer b.Close()
	found, err := places(ctx, b)
	if err != nil {
		t.Errorf("%s: afterwards: %v", name, err)
		return
	}
	is := func(o outcome) bool {
		if len(found[op.of.ID]) != len(o) {
			return false
		}
		for _, info := range found[op.of.ID] {
			if name, ok := o[info.Project]; !ok || name != info.Name {
				return false
			}
		}
		return true
	}
	switch {
	case result == nil && !is(op.after):
		t.Errorf("%s: it has succeeded, and the run is at %v", name, found[op.of.ID])
	case result != nil && !errors.Is(result, s3.ErrOutcomeUnknown) && !is(op.before):
		t.Errorf("%s: it has failed (%v), and the run is at %v", name, result, found[op.of.ID])
	case !is(op.before) && !is(op.after):
		t.Errorf("%s: the run is at %v", name, found[op.of.ID])
	}
	for id, at := range found {
		if len(at) != 1 {
			t.Errorf("%s: run %s is at %v", name, id, at)
		}
		if err := whole(ctx, b, at[0].RunRef, runRows, runFiles); err != nil {
			t.Errorf("%s: run %s: %v", name, id, err)
		}
	}
	if _, err := collectOnce(ctx, direct); err != nil {
		t.Errorf("%s: collecting afterwards: %v", name, err)
	}
	if again, err := collectOnce(ctx, direct); err != nil || again != 0 {
		t.Errorf("%s: a second collection finds %d objects, %v", name, again, err)
	}
}

// TestSlowNetwork: with 200 ms on the way of every request all is as it should
// be, and nothing takes many times as long as it must.
func TestSlowNetwork(t *testing.T) {
	server := servers.Start(t, servers.Versitygw)
	bucket := server.Bucket(t)
	r := &rig{server: server, bucket: bucket}
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			direct, through, p := r.store(t)
			p.delay = 200 * time.Millisecond
			began := time.Now()
			if err := r.run(t.Context(), op, through); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d requests, %v", p.requests(), time.Since(began).Round(100*time.Millisecond))
			if op.before != nil {
				r.settled(t, op, op.name, direct, nil)
			}
		})
	}
}
