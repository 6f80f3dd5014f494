package bucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// reader opens an object within the time of a call; reading it afterwards may
// take as long as bytes arrive.
func (b *Bucket) reader(ctx context.Context, whole string, offset, length int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(b.timeout, func() { cancel(context.DeadlineExceeded) })
	r, err := b.store.open(ctx, whole, offset, length)
	if !timer.Stop() && err == nil {
		_ = r.Close()
		err = context.DeadlineExceeded
	}
	if err != nil && offset > 0 && b.verdict(err).beyond {
		cancel(nil)
		return http.NoBody, nil
	}
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) {
			err = errors.Join(cause, err)
		}
		cancel(nil)
		return nil, err
	}
	return &cancelReader{ReadCloser: r, cancel: cancel}, nil
}

type cancelReader struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (r *cancelReader) Close() error {
	defer r.cancel(nil)
	return r.ReadCloser.Close()
}

// faultyReader gives the errors of a body their meaning.
type faultyReader struct {
	ctx context.Context //nolint:containedctx // rules the reads, as the caller of NewReader asked
	b   *Bucket
	key string
	r   io.ReadCloser
}

func (r *faultyReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = r.b.fault(r.ctx, "read", r.key, err)
	}
	return n, err
}

func (r *faultyReader) Close() error { return r.r.Close() }

// wholeReader makes a body that ends before its length an error.
type wholeReader struct {
	io.ReadCloser
	left int64
}

func (r *wholeReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		err = io.ErrUnexpectedEOF
	case r.left < 0:
		return n, errLonger
	}
	return n, err
}

var errLonger = errors.New("more bytes came than the store had announced")
