package ledger

import (
	"context"
	"fmt"
	"iter"
	"path"
	"strconv"
	"strings"

	"github.com/trackio-go/trackio/backends/internal/bucket"
)

// Objects is what the ledger asks of a store; [bucket.Bucket] is one. Keys are
// relative to the prefix of the store. An error's kind is one of package
// trackio; each call answers within bounded time.
type Objects interface {
	// Get returns the bytes of an object; [trackio.ErrNotFound] only when the
	// store has said that there is none.
	Get(ctx context.Context, key string) ([]byte, error)
	// Create makes an object if there is none of that name. Nil: it holds these
	// bytes. [trackio.ErrExists]: it holds others. [ErrOutcomeUnknown]: it may
	// have been made, or may be made yet. Anything else: this call made nothing.
	Create(ctx context.Context, key string, body []byte, contentType string) error
	// Put makes or replaces an object.
	Put(ctx context.Context, key string, body []byte, contentType string) error
	// List yields the objects whose keys begin with the prefix, in byte order.
	List(ctx context.Context, prefix string) iter.Seq2[Entry, error]
	// Delete removes objects; one that is not there is no error.
	Delete(ctx context.Context, keys []string) error
}

// Entry is an object in a listing.
type Entry = bucket.Entry

// The names of the objects.
const (
	StoreKey   = "store.json" // what the store is; see [Ledger.Init]
	DataPrefix = "data/"      // the directories of the imports

	logPrefix        = "log/"
	statePrefix      = "state/"
	partPrefix       = "state/parts/"
	checkpointPrefix = "state/0" // every checkpoint, and no part: numbers never need 20 digits
	hintKey          = "state/latest"

	digits   = 20
	jsonType = "application/json"
	zstdType = "application/zstd"
)

func logKey(seq int64) string        { return fmt.Sprintf("%s%0*d.json", logPrefix, digits, seq) }
func checkpointKey(seq int64) string { return fmt.Sprintf("%s%0*d.json", statePrefix, digits, seq) }

// partKey names a part of checkpoint seq; random tells writers of the same
// checkpoint apart.
func partKey(seq int64, random string) string {
	return fmt.Sprintf("%s%0*d-%s.jsonl.zst", partPrefix, digits, seq, random)
}

// checkpointSeq reads the number out of a checkpoint's key; 0 if it is none.
func checkpointSeq(key string) int64 {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, statePrefix), ".json")
	if !ok {
		return 0
	}
	return number(name)
}

// partSeq reads the number of the checkpoint out of a part's key; 0 if it is
// none.
func partSeq(key string) int64 {
	name, ok := strings.CutSuffix(path.Base(key), ".jsonl.zst")
	head, _, found := strings.Cut(name, "-")
	if !ok || !found || path.Dir(key)+"/" != partPrefix {
		return 0
	}
	return number(head)
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) != digits || n < 0 {
		return 0
	}
	return n
}

// DataOf returns the data id to which an object under [DataPrefix] belongs, and
// "" for any other key.
func DataOf(key string) string {
	rest, ok := strings.CutPrefix(key, DataPrefix)
	id, _, found := strings.Cut(rest, "/")
	if !ok || !found {
		return ""
	}
	return id
}
