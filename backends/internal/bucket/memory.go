package bucket

import (
	"bytes"
	"context"
	"io"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
)

// memories holds the buckets of mem:// URLs by name: opening one again in the
// same process shows what is in it. They last as long as the process.
var memories struct {
	sync.Mutex
	byName map[string]*blob.Bucket
}

// memory is a gocloud bucket in memory. Closing it keeps it for the next.
type memory struct{ gocloud }

func openMemory(name string) (store, error) {
	memories.Lock()
	defer memories.Unlock()
	if memories.byName == nil {
		memories.byName = make(map[string]*blob.Bucket)
	}
	if memories.byName[name] == nil {
		memories.byName[name] = memblob.OpenBucket(nil)
	}
	return &memory{gocloud{memories.byName[name]}}, nil
}

func (m *memory) upload(ctx context.Context, key string, r io.Reader, _ int64, contentType string) error {
	var body bytes.Buffer
	if _, err := body.ReadFrom(&contextReader{ctx, r}); err != nil {
		return err
	}
	return m.write(ctx, key, body.Bytes(), contentType, false)
}

func (m *memory) close() error { return nil }

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one call
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
