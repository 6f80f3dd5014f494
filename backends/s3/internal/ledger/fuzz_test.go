package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/trackio-go/trackio/trackio"
)

// Whatever stands in the log, it is read and written the same, or it is said to
// be damaged; and applying it does not panic.
func FuzzEntry(f *testing.F) {
	for _, actions := range []string{
		`{"action":"add","project":"p","run":{"id":"r","name":"n","data":"d","created_at":"2026-01-01","config":{"a":1e400}}}`,
		`{"action":"move","project":"p","id":"r","to":"q","run":{"id":"r","data":"d"}}`,
		`{"action":"rename","project":"p","id":"r","run":{"id":"r","data":"d","name":"<&\u2028"}}`,
		`{"action":"remove","project":"p","id":"r"},{"action":"remove","project":"p","all":true}`,
		`{"action":"fence","data":["a","b"]}`,
	} {
		f.Add([]byte(`{"id":"x","at":"","by":"","actions":[` + actions + `]}`))
	}
	f.Add([]byte(`{"id":"x","actions":[{"action":"add","project":"p","run":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decodeEntry(7, body)
		if err != nil {
			if !errors.Is(err, trackio.ErrDataLoss) {
				t.Errorf("error %v", err)
			}
			return
		}
		written, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeEntry(7, written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		twice, err := again.encode()
		if err != nil || !bytes.Equal(written, twice) {
			t.Errorf("%s, then %s, %v", written, twice, err)
		}
		base := &checkpoint{seq: 6, projects: map[string]*part{"p": {Key: partKey(6, "x"), Runs: 1}}}
		if s, err := newState(nil, base).after(e); err == nil {
			for _, project := range s.Projects() {
				if s.Count(project) < 1 {
					t.Errorf("%s has %d runs", project, s.Count(project))
				}
			}
		} else if !errors.Is(err, trackio.ErrDataLoss) {
			t.Errorf("error %v", err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	whole, err := (&checkpoint{seq: 16, projects: map[string]*part{
		"p": {Key: partKey(16, "0a"), SHA256: checksum(nil), Runs: 3},
	}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"seq":16}`))
	f.Add([]byte(`{"seq":16,"projects":{"p":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := decodeCheckpoint(16, body)
		if err != nil {
			if !errors.Is(err, trackio.ErrDataLoss) {
				t.Errorf("error %v", err)
			}
			return
		}
		for project, p := range c.projects {
			if project == "" || partSeq(p.Key) < 1 || partSeq(p.Key) > 16 {
				t.Errorf("project %q in %q", project, p.Key)
			}
		}
		written, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCheckpoint(16, written); err != nil {
			t.Errorf("%s: %v", written, err)
		}
	})
}

// A part is fuzzed before compression as well as after it.
func FuzzPart(f *testing.F) {
	runs := []*Run{{ID: "z", Data: "d", Commit: 1}, {ID: "a", Data: "d", CreatedAt: "2026-01-01", Commit: 2}}
	body, _, err := encodePart(func(yield func(*Run, error) bool) {
		for _, r := range runs {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body, true)
	f.Add(body[:len(body)/2], true)
	f.Add([]byte(`{"id":"z","data":"d","commit":1}`+"\n"+`{"data":"d","id":"\u0061","created_at":"2026-01-01","commit":2}`), false)
	f.Add([]byte(`{"id":"a\"b","data":"d","commit":1}`+"\n{}"), false)
	w, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, compressed bool) {
		if !compressed {
			body = w.EncodeAll(body, nil)
		}
		p := &part{Key: partKey(16, "x"), Runs: 2}
		var read []*Run
		for run, err := range p.runs(body) {
			if err != nil {
				if !errors.Is(err, trackio.ErrDataLoss) {
					t.Errorf("error %v", err)
				}
				return
			}
			read = append(read, run)
		}
		if len(read) != 2 || read[0].place.compare(read[1].place) >= 0 {
			t.Errorf("read %v", read)
		}
		for _, run := range read {
			found, err := p.find(body, map[string]bool{run.ID: true})
			if err != nil || found[run.ID] == nil {
				// A record in an unusual spelling of its keys is found like any other.
				text, _ := json.Marshal(run)
				t.Errorf("%s is not found: %v %v", text, found, err)
			}
		}
		again, n, err := encodePart(func(yield func(*Run, error) bool) {
			for _, r := range slices.Clone(read) {
				if !yield(r, nil) {
					return
				}
			}
		})
		if err != nil || n != 2 {
			t.Error(err, n)
		}
		for _, err := range p.runs(again) {
			if err != nil {
				t.Error(err)
			}
		}
	})
}
