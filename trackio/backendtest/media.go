package backendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

func mediaChecks() []Check {
	return []Check{
		{"media/bytes", "Body holds exactly Size bytes and is valid until the next record is asked for.", mediaBytes},
		{"media/paths", "Path is relative to the run, slash-separated and clean (see [CheckMediaPath]), and unique within the run.", mediaPaths},
		{"media/many", "one [*Media] for each file that the rows refer to, in byte order of its path, each path once.", mediaMany},
		{"media/missing", "a row refers to the file, and it is definitely not there", mediaMissing},
		{"media/unknown-sum", "lower-case hex; \"\" when the exporter does not know it yet, or Missing", mediaUnknownSum},
		{"media/no-bodies", "NoBodies leaves out the bytes of the media: each comes with path, size and SHA256 only, for verification and dry runs.", mediaNoBodies},
		{"media/unread-bodies", "Body holds exactly Size bytes and is valid until the next record is asked for.", mediaUnreadBodies},
		{"media/foreign-references", "A reference that does not lead into the run's own files begins with one additional \"/\": importers take that slash off and store the rest as it is, exporters put it on.", mediaForeignReferences},
		{"media/escaped-reference", "Inside a stream every file_path is such a Path, so neither side knows the other's layout.", mediaEscapedReference},
	}
}

// noise returns n bytes that do not compress and are the same every time.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	body := make([]byte, n)
	if _, err := rand.NewChaCha8(key).Read(body); err != nil {
		panic(err) // it never fails
	}
	return body
}

func mediaBytes(ctx context.Context, e *Env) error {
	_, err := roundTrip(ctx, e, withMedia(e.Key(), "sizes",
		newFile("0/empty.bin", nil),
		newFile("0/one.bin", []byte{0}),
		newFile("0/text.html", []byte("<p>line\r\nline\n\x00\xff\xfe</p>")),
		newFile("1/chunk.bin", noise(1, 256<<10)),
		newFile("1/chunk and one.bin", noise(2, 256<<10+1)),
		newFile("2/large.bin", noise(3, 5<<20)),
	))
	return err
}

func mediaPaths(ctx context.Context, e *Env) error {
	var files []file
	for _, path := range []string{
		"a.png", "0/a.png", "0/a/b/c/d.png", "files/a.png", "-f/a.png", ".hidden/a.png", "0/with space.png", "0/a%2Fb?c#d&e.png",
		"0/naïve 日本語 😀.png", "0/'; DROP TABLE x; --.png", "0/\"quoted\" <b>.png", "0/*[a-z]_%.png", "0/no extension", "0/...png",
	} {
		files = append(files, newFile(path, []byte("the bytes of "+path)))
	}
	_, err := roundTrip(ctx, e, withMedia(e.Key(), "paths", files...))
	return err
}

func mediaMany(ctx context.Context, e *Env) error {
	key := e.Key()
	var files []file
	for i := range 200 {
		files = append(files, newFile(fmt.Sprintf("%d/%s.png", i, key), fmt.Appendf(nil, "picture %d", i)))
	}
	r := withMedia(key, "many", files...)
	// A second row that refers to the first file: it comes once all the same.
	r.metrics = append(r.metrics, metricsRow(key, 1000, image(files[0].path)))
	_, err := roundTrip(ctx, e, r)
	return err
}

func mediaMissing(ctx context.Context, e *Env) error {
	_, err := roundTrip(ctx, e, withMedia(e.Key(), "missing",
		missingFile("0/gone.png"), newFile("1/here.png", []byte("here")), missingFile("2/gone.png")))
	return err
}

func mediaUnknownSum(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := withMedia(e.Key(), "no sums", newFile("0/a.png", []byte("a")), newFile("1/b.png", noise(4, 300<<10)))
	records := func(yield func(trackio.Record, error) bool) {
		for _, record := range want.list(1) {
			if m, ok := record.(*trackio.Media); ok {
				m.SHA256 = ""
			}
			if !yield(record, nil) {
				return
			}
		}
	}
	if _, err := e.Backend.ImportRun(ctx, ref, records); err != nil {
		return fmt.Errorf("ImportRun of media without SHA256: %w", err)
	}
	return holds(ctx, e.Backend, ref, want)
}

func mediaNoBodies(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := withMedia(e.Key(), "sums", newFile("0/a.png", []byte("a")), newFile("0/empty", nil),
		missingFile("1/gone.png"), newFile("2/large.bin", noise(5, 1<<20)))
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	got, _, err := export(ctx, e.Backend, ref, trackio.ExportOptions{NoBodies: true})
	if err != nil {
		return err
	}
	return diff(want, got)
}

// mediaUnreadBodies reads nothing, or a little, of each body.
func mediaUnreadBodies(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := withMedia(e.Key(), "unread", newFile("0/a.bin", noise(6, 1<<20)), newFile("1/b.bin", noise(7, 700<<10)), newFile("2/c.bin", []byte("c")))
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	for _, read := range []int64{0, 1000} {
		var paths []string
		for record, err := range trackio.Checked(e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{})) {
			if err != nil {
				return fmt.Errorf("ExportRun, reading %d bytes of each body: %w", read, err)
			}
			m, ok := record.(*trackio.Media)
			if !ok {
				continue
			}
			paths = append(paths, m.Path)
			body := want.media[min(len(paths), len(want.media))-1].body
			got, err := io.ReadAll(io.LimitReader(m.Body, read))
			if err != nil {
				return fmt.Errorf("media %q: %w", m.Path, err)
			}
			if !bytes.Equal(got, body[:min(int(read), len(body))]) {
				return fmt.Errorf("media %q: the first %d bytes are not its own when those before were not read to the end", m.Path, read)
			}
		}
		if !slices.Equal(paths, []string{"0/a.bin", "1/b.bin", "2/c.bin"}) {
			return fmt.Errorf("reading %d bytes of each body, the media %q came, want all three", read, paths)
		}
	}
	return nil
}

func mediaForeignReferences(ctx context.Context, e *Env) error {
	key := e.Key()
	r := withMedia(key, "foreign", newFile("0/a.png", []byte("own")))
	for i, path := range []string{"/elsewhere-" + key + "/some run/0/a.png", "//etc/passwd", "/../../etc/passwd"} {
		r.metrics = append(r.metrics, metricsRow(key, 10+i, image(path)))
	}
	ref, err := roundTrip(ctx, e, r)
	if err != nil {
		return err
	}
	mover, ok := trackio.As[trackio.Mover](e.Backend)
	if !ok {
		return nil
	}
	target := trackio.RunRef{Project: e.Project(), ID: ref.ID}
	if _, err := mover.MoveRun(ctx, ref, target.Project, trackio.MoveOptions{}); err != nil {
		return fmt.Errorf("MoveRun(%s, %q): %w", at(ref), target.Project, err)
	}
	if err := holds(ctx, e.Backend, target, r); err != nil {
		return fmt.Errorf("after a move: %w", err)
	}
	return nil
}

// mediaEscapedReference writes the slash of a reference as JSON also allows. The
// storage may give the reference back in another spelling, with the same meaning,
// and always in the same one.
func mediaEscapedReference(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := withMedia(e.Key(), "escaped", newFile("0/é a.png", []byte("escaped")))
	r.metrics[0].Metrics = json.RawMessage(`{"k":"a\/b","p":{"file_path":"0\/\u00e9 a.png","_type":"trackio.image","n":1.0}}`)
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	got, _, err := export(ctx, e.Backend, ref, trackio.ExportOptions{})
	if err != nil {
		return err
	}
	if err := diffMedia(r.media, got.media); err != nil {
		return fmt.Errorf("a reference with escapes: %w", err)
	}
	if len(got.metrics) != 1 {
		return fmt.Errorf("%d rows of metrics came, want 1", len(got.metrics))
	}
	var payload struct {
		P struct {
			Path string `json:"file_path"`
		} `json:"p"`
	}
	stored := got.metrics[0].Metrics
	if err := json.Unmarshal(stored, &payload); err != nil {
		return fmt.Errorf("the payload came back as %s: %w", stored, err)
	}
	if payload.P.Path != r.media[0].path {
		return fmt.Errorf("the reference came back as %q, want %q", payload.P.Path, r.media[0].path)
	}
	for _, part := range []string{`{"k":"a\/b","p":{"file_path":`, `,"_type":"trackio.image","n":1.0}}`} {
		if !bytes.Contains(stored, []byte(part)) {
			return fmt.Errorf("the payload came back as %s: what is beside the reference has changed, want %s in it", stored, part)
		}
	}
	again := trackio.RunRef{Project: e.Project(), ID: ref.ID}
	got.media = r.media // with the bytes
	if _, err := put(ctx, e.Backend, again, got); err != nil {
		return err
	}
	if err := holds(ctx, e.Backend, again, got); err != nil {
		return errors.Join(errors.New("a second round trip changed the reference again"), err)
	}
	return nil
}
