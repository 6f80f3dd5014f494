package ledger

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/trackio-go/trackio/trackio"
)

// part names an object that holds the runs of one project at a checkpoint.
type part struct {
	Key    string `json:"part"`
	SHA256 string `json:"sha256"` // of the object's bytes, in hex
	Runs   int64  `json:"runs"`
}

const (
	maxRecord   = 4 << 20  // a line of a part; a record came out of a commit, so it is smaller
	maxWindow   = 16 << 20 // what the decoder of a part may keep
	partEncoder = zstd.SpeedDefault
)

// goneError says that a part of a checkpoint is not there: a newer checkpoint
// has taken its place, and the part was removed.
type goneError struct {
	key  string
	base int64 // the checkpoint that names it
}

func (e *goneError) Error() string {
	return fmt.Sprintf("%s is gone, and checkpoint %d names it", e.key, e.base)
}

// Unwrap gives the error a kind: trying again finds a newer checkpoint.
func (e *goneError) Unwrap() error { return trackio.ErrUnavailable }

// encodePart makes a part out of runs in listing order.
func encodePart(runs iter.Seq2[*Run, error]) (body []byte, count int64, err error) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(partEncoder), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, 0, err
	}
	defer w.Close()
	for run, err := range runs {
		if err != nil {
			return nil, 0, err
		}
		line, err := encode(run)
		if err != nil {
			return nil, 0, err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return nil, 0, err
		}
		count++
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	return b.Bytes(), count, nil
}

func checksum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// lines yields the lines of a part's body. They are valid until the next one.
func (p *part) lines(body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			yield(nil, damaged(p.Key, "%v", err))
			return
		}
		defer r.Close()
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 64<<10), maxRecord)
		var count int64
		for scanner.Scan() {
			count++
			if !yield(scanner.Bytes(), nil) {
				return
			}
		}
		if err := scanner.Err(); err != nil && !errors.Is(err, io.EOF) {
			yield(nil, damaged(p.Key, "%v", err))
		} else if count != p.Runs {
			yield(nil, damaged(p.Key, "it has %d runs where its checkpoint says %d", count, p.Runs))
		}
	}
}

// runs yields the records of a part's body, and checks their order.
func (p *part) runs(body []byte) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		var last *Run
		for line, err := range p.lines(body) {
			if err != nil {
				yield(nil, err)
				return
			}
			run, err := p.record(line)
			if err == nil && last != nil && last.place.compare(run.place) >= 0 {
				err = damaged(p.Key, "run %q does not follow run %q", run.ID, last.ID)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if last = run; !yield(run, nil) {
				return
			}
		}
	}
}

func (p *part) record(line []byte) (*Run, error) {
	run := &Run{}
	if err := json.Unmarshal(line, run); err != nil {
		return nil, damaged(p.Key, "%v", err)
	}
	if err := run.check(); err != nil {
		return nil, damaged(p.Key, "%v", err)
	}
	if run.Commit <= 0 || run.Commit > partSeq(p.Key) {
		return nil, damaged(p.Key, "run %q is of commit %d", run.ID, run.Commit)
	}
	run.keep(run.Commit)
	return run, nil
}

// find returns those of the wanted runs that a part's body has.
func (p *part) find(body []byte, wanted map[string]bool) (map[string]*Run, error) {
	found := make(map[string]*Run, len(wanted))
	for line, err := range p.lines(body) {
		if err != nil {
			return nil, err
		}
		id, err := lineID(line)
		if err != nil {
			return nil, damaged(p.Key, "%v", err)
		}
		if !wanted[id] {
			continue
		}
		run, err := p.record(line)
		if err != nil {
			return nil, err
		}
		found[run.ID] = run
	}
	return found, nil
}

// lineID reads the id of a record, and in the usual spelling nothing but the id.
func lineID(line []byte) (string, error) {
	var id string
	if rest, ok := bytes.CutPrefix(line, []byte(`{"id":"`)); ok {
		if end := bytes.IndexAny(rest, `"\`); end >= 0 && rest[end] == '"' {
			return string(rest[:end]), nil
		}
	}
	var record struct {
		ID *string `json:"id"`
	}
	record.ID = &id
	err := json.Unmarshal(line, &record)
	return id, err
}

// body returns the bytes of a part, from the cache or the store. A part that is
// gone is a *goneError; base is the checkpoint that names it.
func (l *Ledger) body(ctx context.Context, base int64, p *part) ([]byte, error) {
	if body, ok := l.parts.get(p.Key); ok {
		return body, nil
	}
	body, err := l.objects.Get(ctx, p.Key)
	if errors.Is(err, trackio.ErrNotFound) {
		return nil, &goneError{key: p.Key, base: base}
	}
	if err != nil {
		return nil, err
	}
	if sum := checksum(body); sum != p.SHA256 {
		return nil, damaged(p.Key, "its SHA-256 is %s where its checkpoint says %s", sum, p.SHA256)
	}
	l.parts.put(p.Key, body)
	return body, nil
}
