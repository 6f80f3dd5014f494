package wire

import (
	"context"
	"io"
	"iter"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
)

// A call that changes something is not cut when its caller gives up: the host
// would return while the backend is still undoing, or doing, what was asked for.
// The backend is told to give up, and its answer is waited for.
const (
	callKey     = "trackio-call"         // names the call in its metadata
	cancelGrace = 5 * time.Second        // how long the answer is waited for
	cancelAgain = 100 * time.Millisecond // the word may arrive before the call does
)

// change prepares a call that changes something. Done must be called after it.
func (c *Client) change(ctx context.Context) (callCtx context.Context, done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	name := strconv.FormatUint(c.changes.Add(1), 10)
	callCtx, cut := context.WithCancel(metadata.AppendToOutgoingContext(context.WithoutCancel(ctx), callKey, name))
	stop := context.AfterFunc(ctx, func() {
		defer cut()
		c.giveUp(callCtx, name)
	})
	return callCtx, func() {
		stop()
		cut()
	}, nil
}

// giveUp tells the backend that the caller of a change gave up, and returns when
// the call is over or has had its time.
func (c *Client) giveUp(call context.Context, name string) {
	wait, cancel := context.WithTimeout(call, cancelGrace)
	defer cancel()
	for {
		response, err := c.RPC.Cancel(wait, &backendv1.CancelRequest{Call: name})
		if err != nil {
			return // a backend that does not know the word
		}
		if response.GetFound() {
			<-wait.Done()
			return
		}
		select {
		case <-wait.Done():
			return
		case <-time.After(cancelAgain):
		}
	}
}

// change makes one call that changes something.
func change[Req proto.Message, Resp any](ctx context.Context, c *Client, name string, call func(context.Context, Req, ...grpc.CallOption) (Resp, error), request Req) (Resp, error) {
	callCtx, done, err := c.change(ctx)
	if err != nil {
		var none Resp
		return none, err
	}
	defer done()
	response, err := call(callCtx, request)
	return response, c.failed(ctx, name, err, request)
}

// changing is [messages] for a call that changes something. Whoever gives up, or
// leaves the loop, waits until the backend has stopped.
func changing[Req proto.Message, M any](ctx context.Context, c *Client, name string, call func(context.Context, Req, ...grpc.CallOption) (grpc.ServerStreamingClient[M], error), request Req) iter.Seq2[*M, error] {
	return func(yield func(*M, error) bool) {
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		callCtx, done, err := c.change(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer done()
		stream, err := call(callCtx, request)
		if err != nil {
			yield(nil, c.failed(ctx, name, err, request))
			return
		}
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, c.Failed(ctx, name, err))
				return
			}
			if !yield(m, nil) {
				leave()
				for err == nil {
					_, err = stream.Recv()
				}
				return
			}
		}
	}
}

// changes are the calls under way that change something.
type changes struct {
	mu     sync.Mutex
	cancel map[string]context.CancelFunc

	// running is held for reading by each of them.
	running sync.RWMutex
}

// begin takes up a call. Done must be called at its end.
func (c *changes) begin(ctx context.Context) (callCtx context.Context, done func()) {
	c.running.RLock()
	callCtx, cancel := context.WithCancel(ctx)
	names := metadata.ValueFromIncomingContext(ctx, callKey)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel == nil {
		c.cancel = map[string]context.CancelFunc{}
	}
	for _, name := range names {
		c.cancel[name] = cancel
	}
	return callCtx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, name := range names {
			delete(c.cancel, name)
		}
		cancel()
		c.running.RUnlock()
	}
}

// Cancel implements the service.
func (s *Server) Cancel(_ context.Context, request *backendv1.CancelRequest) (*backendv1.CancelResponse, error) {
	s.changes.mu.Lock()
	cancel, found := s.changes.cancel[request.GetCall()]
	s.changes.mu.Unlock()
	if found {
		cancel()
	}
	return &backendv1.CancelResponse{Found: found}, nil
}
