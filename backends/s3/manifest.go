package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// What a data directory is made of (docs/object-store-layout.md).
const (
	manifestVersion = 1
	manifestName    = "manifest.json"
	mediaIndexName  = "media.jsonl.zst"
	mediaDir        = "media/"

	typeJSON    = "application/json"
	typeZstd    = "application/zstd"
	typeParquet = "application/vnd.apache.parquet"
)

// manifest says what one import has stored; it is written last.
type manifest struct {
	Version         int                `json:"version"`
	Config          exact              `json:"config,omitempty"`
	ConfigCreatedAt string             `json:"config_created_at,omitempty"`
	Files           map[string]rowFile `json:"files,omitempty"` // by kind of rows
	Media           *mediaIndex        `json:"media,omitempty"`
	MetricNames     []string           `json:"metric_names"`
	SystemMetrics   []string           `json:"system_metric_names"`
	NamesComplete   bool               `json:"names_complete"`
}

// rowFile is the file of one kind of rows.
type rowFile struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Rows int64  `json:"rows"`

	// Footer is the checksum of the file's footer, which Parquet itself has not.
	Footer string `json:"footer"`
}

// mediaIndex is the file that lists the media.
type mediaIndex struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Files  int64  `json:"files"`
}

// mediaEntry is one line of the index.
type mediaEntry struct {
	Path    string `json:"path"`
	Key     string `json:"key,omitempty"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256,omitempty"`
	Missing bool   `json:"missing,omitempty"`
}

// dataKey is the key of an object of a data directory.
func dataKey(data, name string) string { return "data/" + data + "/" + name }

// manifestOf reads the manifest of a run and sees that it is the one that the
// run was stored with.
func (b *Backend) manifestOf(ctx context.Context, r *ledger.Run) (*manifest, error) {
	key := dataKey(r.Data, manifestName)
	body, err := b.bucket.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if sum := digest(body); sum != r.Manifest {
		return nil, errDamaged(key, "its SHA-256 is %s, not %s", sum, r.Manifest)
	}
	var m manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, errDamaged(key, "%v", err)
	}
	if m.Version > manifestVersion {
		return nil, trackio.Errorf(errors.ErrUnsupported, "run %q is stored in version %d of the layout; this program knows version %d", r.ID, m.Version, manifestVersion).
			WithHint("update this program")
	}
	return &m, nil
}

// mediaOf yields the index of a run's media, in byte order of their paths.
func (b *Backend) mediaOf(ctx context.Context, r *ledger.Run, m *manifest) iter.Seq2[mediaEntry, error] {
	return func(yield func(mediaEntry, error) bool) {
		if m.Media == nil {
			return
		}
		key := dataKey(r.Data, m.Media.Key)
		body, err := b.bucket.Get(ctx, key)
		if err == nil && digest(body) != m.Media.SHA256 {
			err = errDamaged(key, "its SHA-256 is not %s", m.Media.SHA256)
		}
		if err != nil {
			yield(mediaEntry{}, err)
			return
		}
		unpacked, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			yield(mediaEntry{}, errDamaged(key, "%v", err))
			return
		}
		defer unpacked.Close()
		var n int64
		for lines := json.NewDecoder(unpacked); lines.More(); n++ {
			var e mediaEntry
			if err := lines.Decode(&e); err != nil {
				yield(mediaEntry{}, errDamaged(key, "%v", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if n != m.Media.Files {
			yield(mediaEntry{}, errDamaged(key, "it lists %d files, not %d", n, m.Media.Files))
		}
	}
}

func errDamaged(key, format string, args ...any) error {
	return trackio.Errorf(trackio.ErrDataLoss, "object %s is damaged: "+format, append([]any{key}, args...)...).
		WithHint("restore it if the bucket keeps versions")
}

// isAbsent reports that an object that should be there is not.
func isAbsent(err error) bool { return errors.Is(err, trackio.ErrNotFound) }

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
