package wire

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestNotesReachTheCaller(t *testing.T) {
	client := connect(t, NewServer(&stub{
		deleteRun: func(ctx context.Context, _ trackio.RunRef, _ trackio.DeleteOptions) error {
			trackio.Note(ctx, "left %s", "ä.png")
			trackio.Note(ctx, "and more")
			return trackio.Errorf(trackio.ErrConflict, "no")
		},
		listProjects: func(ctx context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				trackio.Note(ctx, "one project cannot be read")
				yield("p", nil)
			}
		},
		exportRun: func(ctx context.Context, _ trackio.RunRef, _ trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
			trackio.Note(ctx, "%s", strings.Repeat("n", 1<<20))
			trackio.Note(ctx, "\xff")
			return sequence(nil, &trackio.Header{})
		},
		importRun: func(ctx context.Context, ref trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
			for i := range maxNotes + 5 {
				trackio.Note(ctx, "note %d", i)
			}
			_, err := take(r)
			return trackio.RunInfo{RunRef: ref}, err
		},
	}))
	var notes []string
	ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })

	if err := client.DeleteRun(ctx, trackio.RunRef{}, trackio.DeleteOptions{}); err == nil {
		t.Error("the error was lost")
	}
	for _, err := range client.ListProjects(ctx) {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{"left ä.png", "and more", "one project cannot be read"}
	if !reflect.DeepEqual(notes, want) {
		t.Errorf("got %q, want %q", notes, want)
	}

	notes = nil
	if _, err := take(client.ExportRun(ctx, trackio.RunRef{}, trackio.ExportOptions{})); err != nil {
		t.Error(err)
	}
	if len(notes) != 2 || len(notes[0]) != maxNote+len("...") || notes[1] != "\uFFFD" {
		t.Errorf("of an export: %.100q", notes)
	}

	notes = nil
	if _, err := client.ImportRun(ctx, trackio.RunRef{}, sequence(nil, &trackio.Header{})); err != nil {
		t.Fatal(err)
	}
	if len(notes) != maxNotes+1 || notes[maxNotes-1] != fmt.Sprintf("note %d", maxNotes-1) {
		t.Errorf("%d notes came", len(notes))
	}
}
