package bucket

import (
	"context"
	"errors"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// damaging copies wrongly, as no store should; deaf cannot copy at all.
type damaging struct {
	gocloud
	hash bool // it says what it has stored
}

func (d *damaging) copy(ctx context.Context, _, to string) (string, error) {
	return "", d.write(ctx, to, []byte("damaged"), "", false)
}

func (d *damaging) look(ctx context.Context, key string) (int64, string, error) {
	size, sum, err := d.gocloud.look(ctx, key)
	if !d.hash {
		sum = ""
	}
	return size, sum, err
}

type deaf struct{ gocloud }

func (d *deaf) copy(context.Context, string, string) (string, error) {
	return "", errors.ErrUnsupported
}

func (d *deaf) explain(err error) verdict {
	if errors.Is(err, errors.ErrUnsupported) {
		return verdict{kind: errors.ErrUnsupported}
	}
	return explainAny(err)
}

func TestCopyIsCompared(t *testing.T) {
	b, err := Open(t.Context(), Config{URL: "mem://copy-is-compared"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "a", []byte("content"), ""); err != nil {
		t.Fatal(err)
	}
	plain := b.store.(*memory).gocloud
	for _, hash := range []bool{true, false} {
		b.store = &damaging{plain, hash}
		if err := b.Copy(t.Context(), "a", "b", ""); !errors.Is(err, trackio.ErrDataLoss) {
			t.Errorf("a damaged copy, hash %v: %v", hash, err)
		}
	}
	b.store = &deaf{plain}
	if err := b.Copy(t.Context(), "a", "b", ""); err != nil {
		t.Errorf("a store that does not copy: %v", err)
	}
	if got, err := b.Get(t.Context(), "b"); err != nil || string(got) != "content" {
		t.Errorf("the copy is %q, %v", got, err)
	}
}
