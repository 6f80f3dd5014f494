package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/trackio-go/trackio/trackio"
)

// gocloud is a store behind a gocloud bucket.
type gocloud struct {
	bucket *blob.Bucket
}

func (g *gocloud) ping(ctx context.Context, prefix string) error {
	_, err := g.bucket.List(&blob.ListOptions{Prefix: prefix}).Next(ctx)
	if err == io.EOF {
		return nil
	}
	return err
}

func (g *gocloud) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := g.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, err
	}
	left := max(0, r.Size()-offset)
	if length >= 0 {
		left = min(left, length)
	}
	return &wholeReader{ReadCloser: r, left: left}, nil
}

// write avoids WriteAll and NewWriter: on Azure they panic when they fail.
func (g *gocloud) write(ctx context.Context, key string, body []byte, contentType string, onlyNew bool) error {
	return g.bucket.Upload(ctx, key, bytes.NewReader(body), &blob.WriterOptions{
		ContentType: typeOr(contentType), IfNotExist: onlyNew,
		BufferSize: len(body) + 1, MaxConcurrency: 1, // one request, and no more memory than that
	})
}

func (g *gocloud) upload(ctx context.Context, key string, r io.Reader, _ int64, contentType string) error {
	return g.bucket.Upload(ctx, key, r, &blob.WriterOptions{
		ContentType: typeOr(contentType), BufferSize: partSize, MaxConcurrency: partsAtOnce,
	})
}

func typeOr(contentType string) string {
	if contentType == "" {
		return "application/octet-stream"
	}
	return contentType
}

func (g *gocloud) stat(ctx context.Context, key string) (Attributes, error) {
	a, err := g.bucket.Attributes(ctx, key)
	if err != nil {
		return Attributes{}, err
	}
	return Attributes{Size: a.Size, ModTime: a.ModTime}, nil
}

func (g *gocloud) list(ctx context.Context, prefix, _ string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		objects := g.bucket.List(&blob.ListOptions{Prefix: prefix})
		for {
			o, err := objects.Next(ctx)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !yield(Entry{Key: o.Key, Size: o.Size, ModTime: o.ModTime}, nil) {
				return
			}
		}
	}
}

func (g *gocloud) remove(ctx context.Context, keys []string) error {
	return inParallel(ctx, keys, func(ctx context.Context, key string) error {
		err := g.bucket.Delete(ctx, key)
		if gcerrors.Code(err) == gcerrors.NotFound {
			return nil
		}
		return err
	})
}

func (g *gocloud) explain(err error) verdict { return explainAny(err) }

func (g *gocloud) close() error { return g.bucket.Close() }

// explainAny goes by gocloud's codes.
func explainAny(err error) verdict {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return verdict{kind: trackio.ErrNotFound, text: "no such object", absent: true}
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return verdict{kind: trackio.ErrConflict, text: "an object is there", exists: true}
	case gcerrors.PermissionDenied:
		return verdict{kind: trackio.ErrPermission, text: "access denied", hint: "check the credentials and what they may do with this bucket"}
	case gcerrors.InvalidArgument:
		return verdict{kind: trackio.ErrInvalid, text: "the store does not accept the request"}
	case gcerrors.Unimplemented:
		return verdict{kind: errors.ErrUnsupported, text: "the store cannot do this"}
	}
	return verdict{kind: trackio.ErrUnavailable, text: "the store failed", hint: "try again"}
}

const deletesAtOnce = 32

// inParallel does something with every key, many at once, until one fails.
func inParallel(ctx context.Context, keys []string, do func(context.Context, string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan string)
	var workers sync.WaitGroup
	for range min(deletesAtOnce, len(keys)) {
		workers.Go(func() {
			for key := range queue {
				if err := do(ctx, key); err != nil {
					cancel(&keyError{key, err})
				}
			}
		})
	}
feed:
	for _, key := range keys {
		select {
		case queue <- key:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}
