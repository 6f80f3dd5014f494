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
	// look describes an object, by a hash of its content too, as the store has
	// computed it and in a form in which equal hashes mean equal content; "" if
	// there is none.
	look(ctx context.Context, key string) (size int64, sum string, err error)
	// copy returns the hash of the copy as look would, or "" if that has to be
	// asked, or sameFile.
	copy(ctx context.Context, from, to string) (sum string, err error)
}

// sameFile: the copy is the original, by another name.
const sameFile = "the same file"

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
	call, cancel := context.WithTimeout(ctx, b.timeout)
	size, sum, err := b.look(call, source)
	cancel()
	if err != nil {
		return b.fault(ctx, "copy", from, err)
	}
	if store, ok := b.store.(copier); ok && size <= largestCopy {
		call, cancel := context.WithTimeout(ctx, 2*b.timeout+time.Duration(size>>23)*time.Second)
		defer cancel()
		copied, err := store.copy(call, source, target)
		if err == nil && copied == "" {
			_, copied, err = store.look(call, target)
		}
		switch {
		case err == nil && (copied == sameFile || sum != "" && copied == sum):
			return nil
		case err == nil:
			if sum, err = b.hash(ctx, from); err != nil {
				return err
			}
			return b.confirm(ctx, from, to, sum)
		case !errors.Is(b.verdict(err).kind, errors.ErrUnsupported):
			return b.fault(ctx, "copy", from, err)
		}
	}
	r, err := b.NewReader(ctx, from, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	hashed := sha256.New()
	if err := b.Upload(ctx, to, io.TeeReader(r, hashed), size, contentType); err != nil {
		return err
	}
	return b.confirm(ctx, from, to, hex.EncodeToString(hashed.Sum(nil)))
}

func (b *Bucket) look(ctx context.Context, whole string) (int64, string, error) {
	if store, ok := b.store.(copier); ok {
		return store.look(ctx, whole)
	}
	at, err := b.store.stat(ctx, whole)
	return at.Size, "", err
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

func (g *gocloud) look(ctx context.Context, key string) (int64, string, error) {
	a, err := g.bucket.Attributes(ctx, key)
	if err != nil {
		return 0, "", err
	}
	return a.Size, hex.EncodeToString(a.MD5), nil
}

func (g *gocloud) copy(ctx context.Context, from, to string) (string, error) {
	return "", g.bucket.Copy(ctx, to, from, nil)
}

// look takes the ETag where that is the MD5 of the content: not of an object that
// was sent in parts or is encrypted with a key of KMS.
func (s *s3Store) look(ctx context.Context, key string) (int64, string, error) {
	at, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String(escapeKey(key))})
	if err != nil {
		return 0, "", err
	}
	return aws.ToInt64(at.ContentLength), md5Of(at.ETag, at.SSEKMSKeyId), nil
}

func md5Of(tag, kms *string) string {
	text := strings.Trim(aws.ToString(tag), `"`)
	if digits, err := hex.DecodeString(text); err != nil || len(digits) != 16 || aws.ToString(kms) != "" {
		return ""
	}
	return text
}

// copy waits longer for an answer than other requests: it comes when the store
// has copied everything.
func (s *s3Store) copy(ctx context.Context, from, to string) (string, error) {
	source := s.bucket + "/" + strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(escapeKey(from)))
	copied, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: aws.String(escapeKey(to)), CopySource: &source,
		ServerSideEncryption: s.sse.method, SSEKMSKeyId: s.sse.key,
	}, s.patiently)
	if err != nil || copied.CopyObjectResult == nil {
		return "", err
	}
	return md5Of(copied.CopyObjectResult.ETag, copied.SSEKMSKeyId), nil
}

func (g *gcsStore) look(ctx context.Context, key string) (int64, string, error) {
	var object *storage.Object
	err := again(ctx, func() (err error) {
		object, err = g.objects.Get(g.bucket, key).Fields("size,md5Hash").Context(ctx).Do()
		return err
	})
	if err != nil {
		return 0, "", err
	}
	return int64(object.Size), object.Md5Hash, nil
}

func (g *gcsStore) copy(ctx context.Context, from, to string) (string, error) {
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
		switch {
		case err != nil:
			return "", err
		case answer.Done && answer.Resource != nil:
			return answer.Resource.Md5Hash, nil
		case answer.Done:
			return "", nil
		}
		token = answer.RewriteToken
	}
}

func (d *directory) look(ctx context.Context, key string) (int64, string, error) {
	at, err := d.stat(ctx, key)
	return at.Size, "", err
}

// copy is a second name of the file: objects are replaced, never written into.
func (d *directory) copy(ctx context.Context, from, to string) (string, error) {
	source, err := d.file(from)
	if err != nil {
		return "", err
	}
	target, err := d.file(to)
	if err != nil {
		return "", err
	}
	// A symbolic link under another name would lead elsewhere: its file is copied.
	err = errors.ErrUnsupported
	if info, look := d.root.Lstat(source); look == nil && info.Mode().IsRegular() {
		err = d.link(source, target)
	}
	if err == nil {
		return sameFile, d.sync(filepath.Dir(target))
	}
	f, look := d.root.Open(source)
	if look != nil {
		return "", look
	}
	defer f.Close()
	return "", d.save(ctx, to, f, false) // one is there, or there are no hard links
}

func (d *directory) link(source, target string) (err error) {
	for range 100 {
		if err = d.makeParents(target); err == nil {
			err = d.root.Link(source, target)
		}
		if _, look := d.root.Lstat(source); look != nil || !errors.Is(err, fs.ErrNotExist) {
			break // else a delete took the empty directory away
		}
	}
	return err
}
