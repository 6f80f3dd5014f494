package backendtest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
	"github.com/trackio-go/trackio/trackio/memory"
)

func TestMemory(t *testing.T) {
	backendtest.Test(t, func(*testing.T) backendtest.Opener {
		store := memory.NewStore()
		return func(context.Context) (trackio.Backend, error) { return store.Open(), nil }
	})
}

// TestQuotes keeps the reasons of the checks true: each is a sentence, or a part
// of one, of the documentation.
func TestQuotes(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documentation found: %v", err)
	}
	var docs strings.Builder
	for _, name := range append(files, "doc.go") {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(source)) {
			if _, comment, ok := strings.Cut(line, "//"); ok {
				docs.WriteString(strings.TrimPrefix(strings.TrimSpace(comment), "- ") + " ")
			}
		}
	}
	text := strings.Join(strings.Fields(docs.String()), " ")
	names := map[string]bool{}
	for _, check := range backendtest.Checks() {
		if !strings.Contains(text, check.Why) {
			t.Errorf("check %s rests on a sentence that the documentation does not have: %s", check.Name, check.Why)
		}
		if names[check.Name] {
			t.Errorf("two checks have the name %s", check.Name)
		}
		names[check.Name] = true
	}
}

// TestRun runs the suite as the command line does: on one storage that is in use.
func TestRun(t *testing.T) {
	ctx := t.Context()
	store := memory.NewStore()
	mine := store.Open()
	ref := trackio.RunRef{Project: "mine", ID: "1"}
	header := func(yield func(trackio.Record, error) bool) {
		yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "precious"}}, nil)
	}
	before, err := mine.ImportRun(ctx, ref, header)
	if err != nil {
		t.Fatal(err)
	}
	reported := 0
	results := backendtest.Run(ctx, func(context.Context) (trackio.Backend, error) { return store.Open(), nil },
		backendtest.Options{Report: func(backendtest.Result) { reported++ }})
	if len(results) != len(backendtest.Checks()) || reported != len(results) {
		t.Errorf("%d results, %d reported, want %d", len(results), reported, len(backendtest.Checks()))
	}
	for _, result := range results {
		if result.Err != nil || result.NotApplicable != "" {
			t.Errorf("%s: %v %s", result.Check.Name, result.Err, result.NotApplicable)
		}
	}
	after, err := mine.GetRun(ctx, ref)
	if err != nil || after.Revision != before.Revision {
		t.Errorf("the run that was there before: revision %q, want %q (%v)", after.Revision, before.Revision, err)
	}
	for project, err := range mine.ListProjects(ctx) {
		if project != "mine" || err != nil {
			t.Errorf("the suite left project %q behind (%v)", project, err)
		}
	}
}

// TestOneHandle runs the suite on a storage that cannot be opened twice, and on a
// backend that can do nothing beside the required methods.
func TestOneHandle(t *testing.T) {
	notApplicable := 0
	for _, check := range backendtest.Checks() {
		var open atomic.Int32
		store := memory.NewStore()
		opener := func(context.Context) (trackio.Backend, error) {
			if open.Add(1) > 1 {
				return nil, trackio.Errorf(errors.ErrUnsupported, "opened already")
			}
			return plain{store.Open()}, nil
		}
		results := backendtest.Run(t.Context(), opener, backendtest.Options{Fresh: true, Match: func(name string) bool { return name == check.Name }})
		for _, result := range results {
			if result.Err != nil {
				t.Errorf("%s: %v", result.Check.Name, result.Err)
			}
			if result.NotApplicable != "" {
				notApplicable++
			}
		}
	}
	if notApplicable == 0 {
		t.Error("no check says that it does not apply to a backend without capabilities")
	}
}

// plain hides the capabilities of a backend.
type plain struct{ trackio.Backend }
