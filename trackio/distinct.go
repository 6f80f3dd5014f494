package trackio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"reflect"
)

// sameBackend reports whether two backends are one handle. Two handles may still
// lead to one storage.
func sameBackend(a, b Backend) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// checkDistinct makes sure, before the run is deleted, that a copy which was found
// in the target is not the run itself: two configurations may name one storage,
// and a file system that takes upper and lower case for the same may give one
// project two names. In doubt it is [ErrInvalid] or [ErrConflict], and nothing is
// deleted.
//
// Where the revisions differ, the two are two, or the run has changed since and
// its deletion will be refused. Else only an experiment tells: a run of nothing
// but a config is put beside the copy, and looked for beside the run. Its id is
// the same on every try, so the next one removes what a killed one has left.
func (t *transfer) checkDistinct(ctx context.Context) error {
	if t.target.ID != t.info.ID || t.copied.Revision != t.revision {
		return nil
	}
	sum := sha256.Sum256([]byte(t.target.ID))
	probe := RunRef{Project: t.target.Project, ID: "trackio-probe-" + hex.EncodeToString(sum[:8])}
	put, err := t.to.ImportRun(ctx, probe, probeRecords(probe))
	if KindOf(err) == ErrExists {
		put, err = t.to.GetRun(ctx, probe)
	}
	if err != nil {
		return t.undecided(err)
	}
	put.RunRef = probe
	_, err = t.from.GetRun(ctx, RunRef{Project: t.info.Project, ID: probe.ID})
	seen := err == nil
	if KindOf(err) == ErrNotFound {
		err = t.checkProbe(ctx, put)
	}
	// The probe goes first: nothing would come back for it after the move.
	if left := t.removeProbe(ctx, put); err == nil {
		err = left
	}
	switch {
	case err != nil:
		return t.undecided(err)
	case seen:
		return Errorf(ErrInvalid, "run %q is in project %q already: both places are one storage", t.info.ID, t.target.Project).
			WithHint("name another project or another storage")
	}
	return nil
}

// checkProbe makes sure that nobody took the probe away while it was looked for.
func (t *transfer) checkProbe(ctx context.Context, put RunInfo) error {
	again, err := t.to.GetRun(ctx, put.RunRef)
	if KindOf(err) == ErrNotFound || err == nil && again.Revision != put.Revision {
		return Errorf(ErrConflict, "another process is at the same")
	}
	return err
}

func (t *transfer) removeProbe(ctx context.Context, put RunInfo) error {
	ctx, cancel := aftermath(ctx)
	defer cancel()
	err := t.to.DeleteRun(ctx, put.RunRef, DeleteOptions{IfRevision: put.Revision, Force: true})
	if err == nil || KindOf(err) == ErrNotFound {
		return nil
	}
	return Errorf(KindOf(err), "run %q of project %q, made to tell two storages apart, could not be removed: %w", put.ID, put.Project, err)
}

func (t *transfer) undecided(cause error) error {
	return Errorf(KindOf(cause), "project %q of the target has the same run %q, but whether that is a copy or the run itself could not be found out; nothing was deleted: %w", t.target.Project, t.target.ID, cause).
		WithHint("try again, or delete one by hand if they are two")
}

// probeRecords is the stream of a run that can be told from every other.
func probeRecords(ref RunRef) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		_ = yield(&Header{RunInfo: RunInfo{RunRef: ref, Name: ref.ID}, Kinds: KindConfig}, nil) &&
			yield(&Config{JSON: []byte(`{"made_to":"tell two storages apart; may be deleted"}`)}, nil)
	}
}
