package bucket

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Requests counts HTTP requests, by method.
type Requests struct {
	Total    int
	ByMethod map[string]int
}

type requests struct {
	mu       sync.Mutex
	byMethod map[string]int
}

func (r *requests) add(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byMethod == nil {
		r.byMethod = make(map[string]int)
	}
	r.byMethod[method]++
}

func (r *requests) snapshot() Requests {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Requests{ByMethod: make(map[string]int, len(r.byMethod))}
	for method, n := range r.byMethod {
		s.ByMethod[method] = n
		s.Total += n
	}
	return s
}

// transport sends HTTP requests for one bucket. Its connections are many enough
// for parallel work on one host, and none outlives a silence: a peer that takes
// or sends nothing for the time of a stall is given up, whether it is to accept
// a connection, to take a body, to answer or to go on sending.
type transport struct {
	http.Transport
	count *requests
}

const connectionsPerHost = 64

func newTransport(stall time.Duration, count *requests) *transport {
	dialer := &net.Dialer{Timeout: min(stall, 5*time.Second), KeepAlive: 15 * time.Second}
	return &transport{
		count: count,
		Transport: http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &stallConn{Conn: conn, stall: stall}, nil
			},
			MaxIdleConns:          2 * connectionsPerHost,
			MaxIdleConnsPerHost:   connectionsPerHost,
			IdleConnTimeout:       stall,
			TLSHandshakeTimeout:   min(stall, 5*time.Second),
			ExpectContinueTimeout: time.Second,
			ForceAttemptHTTP2:     true,
		},
	}
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.count.add(r.Method)
	return t.Transport.RoundTrip(r)
}

// stallConn allows each read and write the time of a stall; progress in one
// direction counts for both, since a peer that takes a body has nothing to say.
type stallConn struct {
	net.Conn
	stall time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
