package bucket_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/tests/servers"
)

// A fault is what happens to a request on its way.
type fault int

const (
	pass     fault = iota
	reset          // the connection breaks before the request arrives
	swallow        // the request arrives, and the connection breaks instead of an answer
	slowDown       // 503 SlowDown; the request does not arrive
	twice          // the request arrives twice, as after a retry; the second answer comes back
	truncate       // the answer's body breaks off in the middle
	hang           // no answer until the client gives up
	stall          // the answer's body stops in the middle
)

// A proxy stands before a server and lets a function choose the fault of every request.
type proxy struct {
	t       *testing.T
	backend string
	server  *httptest.Server
	over    chan struct{}

	mu     sync.Mutex
	choose func(r *http.Request) fault
}

// faulty opens a bucket through a proxy that passes everything at first.
func faulty(t *testing.T, kind servers.Kind) (*bucket.Bucket, *proxy) {
	t.Helper()
	server := servers.Start(t, kind)
	made, err := url.Parse(server.Bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, backend: server.Address, over: make(chan struct{})}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() { close(p.over); p.server.CloseClientConnections(); p.server.Close() })
	address := p.server.Listener.Addr().String()
	if kind == servers.FakeGCS {
		t.Setenv("STORAGE_EMULATOR_HOST", address)
	}
	return open(t, bucket.Config{URL: server.URLVia(made.Host, address), Timeout: 1500 * time.Millisecond}), p
}

func (p *proxy) set(choose func(r *http.Request) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose = choose
}

// first chooses faults for the first requests of a kind, and then passes.
func (p *proxy) first(is func(*http.Request) bool, faults ...fault) {
	p.set(func(r *http.Request) fault {
		if len(faults) == 0 || !is(r) {
			return pass
		}
		f := faults[0]
		faults = faults[1:]
		return f
	})
}

// always has the same fault for all requests of a kind.
func (p *proxy) always(is func(*http.Request) bool, f fault) {
	p.set(func(r *http.Request) fault {
		if is(r) {
			return f
		}
		return pass
	})
}

func any1(*http.Request) bool    { return true }
func reads(r *http.Request) bool { return r.Method == http.MethodGet }

// writes are requests that carry an object.
func writes(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/upload/")
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	f := pass
	if p.choose != nil {
		f = p.choose(r)
	}
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch f {
	case reset:
		breakOff(w)
	case slowDown:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
	case hang:
		<-p.over
	case swallow:
		p.forward(httptest.NewRecorder(), r, body)
		breakOff(w)
	case twice:
		p.forward(httptest.NewRecorder(), r, body)
		p.forward(w, r, body)
	case truncate, stall:
		answer := httptest.NewRecorder()
		p.forward(answer, r, body)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		whole := answer.Body.Bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(whole[:len(whole)/2])
		_ = http.NewResponseController(w).Flush()
		if f == stall {
			<-p.over
		}
		breakOff(w)
	default:
		p.forward(w, r, body)
	}
}

// forward sends a request on as it is: the host is part of a signature.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	onward := r.Clone(r.Context())
	onward.Body = io.NopCloser(strings.NewReader(string(body)))
	onward.ContentLength = int64(len(body))
	(&httputil.ReverseProxy{
		Rewrite: func(q *httputil.ProxyRequest) {
			q.Out.URL.Scheme, q.Out.URL.Host, q.Out.Host = "http", p.backend, q.In.Host
		},
	}).ServeHTTP(w, onward)
}

// breakOff resets the client's connection.
func breakOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
