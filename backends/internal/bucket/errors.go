package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/trackio-go/trackio/trackio"
)

// ErrOutcomeUnknown is in the tree of an error after which nobody can say yet
// whether the object was written.
var ErrOutcomeUnknown = errors.New("outcome unknown")

// A verdict is what an error of a provider means.
type verdict struct {
	kind error
	text string // what happened, in a few words
	hint string

	absent bool // the object is definitely not there
	exists bool // a conditional write met an object, or a condition it calls that
	busy   bool // the store asks to come back later, and has done nothing
	beyond bool // the object ends before what is asked for
	bucket bool // the bucket itself is not there
}

// refused reports whether the store has answered that it will not do it.
func (v verdict) refused() bool {
	return !v.exists && !v.busy && v.kind != trackio.ErrUnavailable
}

func (b *Bucket) verdict(err error) verdict {
	var known *trackio.Error
	if errors.As(err, &known) {
		return verdict{kind: known.Kind, text: known.Message, hint: known.Hint}
	}
	var login *loginError
	if v, ok := networkVerdict(err); ok && !errors.As(err, &login) {
		return v
	}
	return b.store.explain(err)
}

// loginError is what failed in finding out who asks, before the store was asked:
// silence there is no silence of the store.
type loginError struct{ err error }

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// fault makes an error of trackio's from one of the provider's.
func (b *Bucket) fault(ctx context.Context, op, key string, err error) error {
	var known *trackio.Error
	if errors.As(err, &known) {
		return err
	}
	if cause := ctx.Err(); cause != nil && errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%s %s in %s: %w", op, key, b.name, cause)
	}
	v := b.verdict(err)
	message := fmt.Sprintf("%s %s in %s: %s", op, key, b.name, v.text)
	if key == "" {
		message = fmt.Sprintf("%s %s: %s", op, b.name, v.text)
	}
	kind := v.kind
	if v.bucket && op != opening {
		kind = trackio.ErrUnavailable // what is in it is not definitely absent
	}
	return &trackio.Error{Kind: kind, Message: message, Hint: v.hint, Err: err}
}

const opening = "open"

// networkVerdict explains errors that come from the way to the store.
func networkVerdict(err error) (verdict, bool) {
	unavailable := func(text, hint string) (verdict, bool) {
		return verdict{kind: trackio.ErrUnavailable, text: text, hint: hint}, true
	}
	var dns *net.DNSError
	var unknownAuthority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return unavailable("no host named "+dns.Name, "check the network and the endpoint's name")
	case errors.As(err, &dns):
		return unavailable("cannot look up "+dns.Name, "check the network and the name server")
	case errors.Is(err, syscall.ECONNREFUSED):
		return unavailable("the store's address refuses connections", "check the endpoint and that its server is running")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return unavailable("no route to the store", "check the network")
	case errors.As(err, &unknownAuthority), errors.As(err, &hostname), errors.As(err, &invalid):
		return unavailable("the store's certificate is not trusted", "check the endpoint; a private authority is added with SSL_CERT_FILE or AWS_CA_BUNDLE")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return unavailable("no answer in time", "check the network, and whether a firewall or proxy swallows the connection")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errLonger):
		return unavailable("the connection broke", "try again")
	case errors.Is(err, io.EOF):
		return unavailable("the store closed the connection without an answer", "try again")
	}
	return verdict{}, false
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
