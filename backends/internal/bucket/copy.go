package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"google.golang.org/api/storage/v1"

	"github.com/trackio-go/trackio/trackio"
)

// A copier is a store that copies objects itself. The copy is whole, or there is
// none; one that was there is replaced.
type copier interface {
	// copy reports whether the copy needs no comparison.
	copy(ctx context.Context, from, to string) (same bool, err error)
	// sum returns a hash of the content as the store has computed it, in a form
	// in which equal hashes mean equal content; "" if it has none.
	sum(ctx context.Context, key string) (string, error)
}

// largestCopy is what S3 copies in one request.
const largestCopy = 5 << 30

// Copy gives an object a second key, over one that may be there: no store
// refuses that for a copy, so a caller chooses a key that nobody else does. The
// store copies by itself where it can; the content type stays, or is the one
// given. nil means that the copy was compared with the original, by the hashes
// of the store or else byte by byte. After an error there may be a copy.
func (b *Bucket) Copy(ctx context.Context, from, to, contentType string) error {
	source, err := b.key("copy", from)
	if err != nil {
		return err
	}
	target, err := b.key("copy to", to)
	if err != nil {
		return err
	}
	if err := b.writable("copy to", to); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return b.fault(ctx, "copy", from, err)
	}
	at, err := b.Stat(ctx, from)
	if err != nil {
		return err
	}
	if store, ok := b.store.(copier); ok && at.Size <= largestCopy {
		call, cancel := context.WithTimeout(ctx, b.timeout+time.Duration(at.Size>>23)*time.Second)
		same, err := store.copy(call, source, target)
		cancel()
		if err == nil && same {
			return nil
		}
		if err == nil {
			return b.compare(ctx, store, from, to)
		}
		if !errors.Is(b.verdict(err).kind, errors.ErrUnsupported) {
			return b.fault(ctx, "copy", from, err)
		}
	}
	r, err := b.NewReader(ctx, from, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	hashed := sha256.New()
	if err := b.Upload(ctx, to, io.TeeReader(r, hashed), at.Size, contentType); err != nil {
		return err
	}
	return b.confirm(ctx, from, to, hex.EncodeToString(hashed.Sum(nil)))
}

// compare makes sure that a copy equals its original.
func (b *Bucket) compare(ctx context.Context, store copier, from, to string) error {
	call, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	original, err := store.sum(call, b.prefix+from)
	if err != nil {
		return b.fault(ctx, "look at", from, err)
	}
	copied, err := store.sum(call, b.prefix+to)
	if err != nil {
		return b.fault(ctx, "look at", to, err)
	}
	if original != "" && original == copied {
		return nil
	}
	want, err := b.hash(ctx, from)
	if err != nil {
		return err
	}
	return b.confirm(ctx, from, to, want)
}

// confirm reads a copy and compares its hash.
func (b *Bucket) confirm(ctx context.Context, from, to, want string) error {
	got, err := b.hash(ctx, to)
	if err != nil {
		return err
	}
	if got != want {
		return trackio.Errorf(trackio.ErrDataLoss, "copy %s in %s: the copy %s differs from it", from, b.name, to).
			WithHint("the store may be damaged; the original was not touched")
	}
	return nil
}

func (b *Bucket) hash(ctx context.Context, key string) (string, error) {
	r, err := b.NewReader(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func (g *gocloud) copy(ctx context.Context, from, to string) (bool, error) {
	return false, g.bucket.Copy(ctx, to, from, nil)
}

func (g *gocloud) sum(ctx context.Context, key string) (string, error) {
	a, err := g.bucket.Attributes(ctx, key)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(a.MD5), nil
}

// copy waits longer for an answer than other requests: it comes when the store
// has copied everything.
func (s *s3Store) copy(ctx context.Context, from, to string) (bool, error) {
	source := s.bucket + "/" + strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(escapeKey(from)))
	_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: aws.String(escapeKey(to)), CopySource: &source,
		ServerSideEncryption: s.sse.method, SSEKMSKeyId: s.sse.key,
	}, s.patiently)
	return false, err
}

// sum is the ETag where that is the MD5 of the content: not of an object that was
// sent in parts or is encrypted with a key of KMS.
func (s *s3Store) sum(ctx context.Context, key string) (string, error) {
	at, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String(escapeKey(key))})
	if err != nil {
		return "", err
	}
	tag := strings.Trim(aws.ToString(at.ETag), `"`)
	if digits, err := hex.DecodeString(tag); err != nil || len(digits) != 16 || aws.ToString(at.SSEKMSKeyId) != "" {
		return "", nil
	}
	return tag, nil
}

func (g *gcsStore) copy(ctx context.Context, from, to string) (bool, error) {
	token := ""
	for {
		var answer *storage.RewriteResponse
		err := again(ctx, func() (err error) {
			call := g.objects.Rewrite(g.bucket, from, g.bucket, to, nil).Context(ctx)
			if token != "" {
				call.RewriteToken(token)
			}
			answer, err = call.Do()
			return err
		})
		if err != nil || answer.Done {
			return false, err
		}
		token = answer.RewriteToken
	}
}

func (g *gcsStore) sum(ctx context.Context, key string) (string, error) {
	var object *storage.Object
	err := again(ctx, func() (err error) {
		object, err = g.objects.Get(g.bucket, key).Fields("md5Hash").Context(ctx).Do()
		return err
	})
	if err != nil {
		return "", err
	}
	return object.Md5Hash, nil
}

// copy is a second name of the file: objects are replaced, never written into.
func (d *directory) copy(ctx context.Context, from, to string) (bool, error) {
	source, err := d.file(from)
	if err != nil {
		return false, err
	}
	target, err := d.file(to)
	if err != nil {
		return false, err
	}
	for range 100 {
		if err = d.makeParents(target); err == nil {
			err = d.root.Link(source, target)
		}
		if _, look := d.root.Lstat(source); look != nil || !errors.Is(err, fs.ErrNotExist) {
			break // else a delete took the empty directory away
		}
	}
	if err == nil {
		return true, d.sync(filepath.Dir(target))
	}
	f, look := d.root.Open(source)
	if look != nil {
		return false, look
	}
	defer f.Close()
	return false, d.save(ctx, to, f, false) // one is there, or there are no hard links
}

// sum has no hash: a copy that is another file is read.
func (d *directory) sum(context.Context, string) (string, error) { return "", nil }
