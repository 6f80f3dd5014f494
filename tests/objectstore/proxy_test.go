package objectstore

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fault is what a network does to a request.
type fault string

const (
	cutBefore fault = "cut"       // the connection breaks before the server sees the request
	swallowed fault = "swallowed" // the server does it, and the connection breaks before its reply
	slowDown  fault = "503"       // the server asks to slow down
	truncated fault = "truncated" // half of the reply's body, then the connection breaks
	forbidden fault = "403"       // the rights end
)

// proxy stands between a client and a server, and lets requests fail.
type proxy struct {
	address string
	delay   time.Duration

	mu     sync.Mutex
	count  int
	what   fault
	at     int  // the request that fails; 0 for none
	onward bool // and all after it
	paths  []string
}

func startProxy(t *testing.T, server string) *proxy {
	p := &proxy{}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: server})
			r.Out.Host = r.In.Host // it is signed
		},
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { cut() },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(p.delay)
		switch p.next(r) {
		case cutBefore:
			cut()
		case swallowed:
			forward.ServeHTTP(httptest.NewRecorder(), r)
			cut()
		case slowDown:
			refuse(w, r, http.StatusServiceUnavailable, "SlowDown")
		case forbidden:
			refuse(w, r, http.StatusForbidden, "AccessDenied")
		case truncated:
			whole := httptest.NewRecorder()
			forward.ServeHTTP(whole, r)
			for name, values := range whole.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(whole.Code)
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			if whole.Body.Len() > 0 {
				_ = http.NewResponseController(w).Flush()
				cut()
			}
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		front.Close()
		transport.CloseIdleConnections()
	})
	p.address = strings.TrimPrefix(front.URL, "http://")
	return p
}

// cut breaks the connection of a request.
func cut() { panic(http.ErrAbortHandler) }

func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>as the test wants</Message></Error>")
	}
}

// next counts a request and says how it fails.
func (p *proxy) next(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.paths = append(p.paths, r.Method+" "+r.URL.Path)
	if p.at > 0 && (p.count == p.at || p.onward && p.count > p.at) {
		return p.what
	}
	return ""
}

// set begins to count anew, and to fail.
func (p *proxy) set(what fault, at int, onward bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.what, p.at, p.onward, p.paths = 0, what, at, onward, nil
}

// requests is how many have come since the last set.
func (p *proxy) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
