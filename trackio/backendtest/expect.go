package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// collect reads a sequence to its end, and goes on after an error to see that
// nothing follows it.
func collect[T any](seq iter.Seq2[T, error]) (all []T, failed error) {
	for item, err := range seq {
		switch {
		case failed != nil:
			return all, fmt.Errorf("the iterator went on after its error %w", failed)
		case err != nil:
			failed = err
		default:
			all = append(all, item)
		}
	}
	return all, failed
}

func listRuns(ctx context.Context, b trackio.Backend, project string, opts trackio.ListOptions) ([]trackio.RunInfo, error) {
	return collect(b.ListRuns(ctx, project, opts))
}

// listed returns the run as the listing of its project shows it, nil when it is
// not there or the project is not known.
func listed(ctx context.Context, b trackio.Backend, ref trackio.RunRef, opts trackio.ListOptions) (*trackio.RunInfo, error) {
	infos, err := listRuns(ctx, b, ref.Project, opts)
	if trackio.KindOf(err) == trackio.ErrNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ListRuns(%q): %w", ref.Project, err)
	}
	for _, info := range infos {
		if info.RunRef == ref {
			return &info, nil
		}
	}
	return nil, nil
}

// put imports a run, which must succeed.
func put(ctx context.Context, b trackio.Backend, ref trackio.RunRef, r run) (trackio.RunInfo, error) {
	info, err := b.ImportRun(ctx, ref, r.records())
	if err != nil {
		return info, fmt.Errorf("ImportRun(%s): %w", at(ref), err)
	}
	return info, nil
}

// putAll imports the same kind of run under several ids.
func putAll(ctx context.Context, b trackio.Backend, runs map[trackio.RunRef]run) error {
	for ref, r := range runs {
		if _, err := put(ctx, b, ref, r); err != nil {
			return err
		}
	}
	return nil
}

// at names a run in a message.
func at(ref trackio.RunRef) string { return fmt.Sprintf("%q in %q", ref.ID, ref.Project) }

// read reads a stream into a run, and checks that it is in order, that bodies are
// what their records say, and that a stream without bodies has the sums.
func read(records iter.Seq2[trackio.Record, error], bodies bool) (run, *trackio.Header, error) {
	var r run
	var header *trackio.Header
	for record, err := range trackio.Checked(records) {
		if err != nil {
			return r, header, err
		}
		switch record := record.(type) {
		case *trackio.Header:
			header, r.name = record, record.Name
		case *trackio.Config:
			r.config = &trackio.Config{JSON: slices.Clone(record.JSON), CreatedAt: record.CreatedAt}
		case *trackio.Metrics:
			for _, row := range record.Rows {
				row.Metrics = slices.Clone(row.Metrics)
				r.metrics = append(r.metrics, row)
			}
		case *trackio.SystemMetrics:
			for _, row := range record.Rows {
				row.Metrics = slices.Clone(row.Metrics)
				r.system = append(r.system, row)
			}
		case *trackio.Alerts:
			r.alerts = append(r.alerts, record.Rows...)
		case *trackio.Traces:
			for _, row := range record.Rows {
				row.Messages, row.Metadata = slices.Clone(row.Messages), slices.Clone(row.Metadata)
				r.traces = append(r.traces, row)
			}
		case *trackio.Media:
			var f file
			f, err = readMedia(record, bodies)
			r.media = append(r.media, f)
		}
		if err != nil {
			return r, header, err
		}
	}
	return r, header, nil
}

// readMedia reads the body of one of the media to its end.
func readMedia(m *trackio.Media, body bool) (file, error) {
	f := file{path: m.Path, size: m.Size, sha: m.SHA256, missing: m.Missing}
	switch {
	case m.Missing && (m.Body != nil || m.Size != 0 || m.SHA256 != ""):
		return f, fmt.Errorf("media %q is Missing, but has size %d, SHA-256 %q, body %t", m.Path, m.Size, m.SHA256, m.Body != nil)
	case m.Missing:
		return f, nil
	case !body && m.Body != nil:
		return f, fmt.Errorf("media %q has a body, though NoBodies was set", m.Path)
	case !body && m.SHA256 == "":
		return f, fmt.Errorf("media %q has no SHA256, though NoBodies was set", m.Path)
	case !body:
		return f, nil
	case m.Body == nil:
		return f, fmt.Errorf("media %q has no body", m.Path)
	}
	hash := sha256.New()
	n, err := io.Copy(hash, m.Body)
	if err != nil {
		return f, fmt.Errorf("media %q: %w", m.Path, err)
	}
	f.sha = hex.EncodeToString(hash.Sum(nil))
	if n != m.Size {
		return f, fmt.Errorf("media %q: the body has %d bytes, its record says %d", m.Path, n, m.Size)
	}
	if m.SHA256 != "" && m.SHA256 != f.sha {
		return f, fmt.Errorf("media %q: the body has SHA-256 %s, its record says %s", m.Path, f.sha, m.SHA256)
	}
	return f, nil
}

// export reads a whole run.
func export(ctx context.Context, b trackio.Backend, ref trackio.RunRef, opts trackio.ExportOptions) (run, *trackio.Header, error) {
	r, header, err := read(b.ExportRun(ctx, ref, opts), !opts.NoBodies)
	if err != nil {
		err = fmt.Errorf("ExportRun(%s): %w", at(ref), err)
	}
	return r, header, err
}

// holds reports how the stored run differs from the one that was expected: in
// GetRun, in the listings and in its stream.
func holds(ctx context.Context, b trackio.Backend, ref trackio.RunRef, want run) error {
	info, err := b.GetRun(ctx, ref)
	if err != nil {
		return fmt.Errorf("GetRun(%s): %w", at(ref), err)
	}
	if info.RunRef != ref || info.Name != want.name {
		return fmt.Errorf("GetRun(%s) returned the run %s named %q, want the name %q", at(ref), at(info.RunRef), info.Name, want.name)
	}
	if err := sameTime("CreatedAt", want.createdAt(), info.CreatedAt); err != nil {
		return fmt.Errorf("GetRun(%s): %w", at(ref), err)
	}
	inList, err := listed(ctx, b, ref, trackio.ListOptions{})
	if err != nil {
		return err
	}
	if inList == nil {
		return fmt.Errorf("ListRuns(%q) does not list the run %q", ref.Project, ref.ID)
	}
	if inList.Name != want.name {
		return fmt.Errorf("ListRuns(%q) lists run %q with the name %q, want %q", ref.Project, ref.ID, inList.Name, want.name)
	}
	got, _, err := export(ctx, b, ref, trackio.ExportOptions{})
	if err != nil {
		return err
	}
	if err := diff(want, got); err != nil {
		return fmt.Errorf("run %s: %w", at(ref), err)
	}
	return nil
}

// holdsAll is holds for several runs.
func holdsAll(ctx context.Context, b trackio.Backend, runs map[trackio.RunRef]run) error {
	for ref, want := range runs {
		if err := holds(ctx, b, ref, want); err != nil {
			return err
		}
	}
	return nil
}

// absent reports when there is anything left of a run.
func absent(ctx context.Context, b trackio.Backend, ref trackio.RunRef) error {
	_, err := b.GetRun(ctx, ref)
	if err := wantKind(fmt.Sprintf("GetRun(%s)", at(ref)), err, trackio.ErrNotFound); err != nil {
		return err
	}
	_, _, err = export(ctx, b, ref, trackio.ExportOptions{})
	if err := wantKind(fmt.Sprintf("ExportRun(%s)", at(ref)), err, trackio.ErrNotFound); err != nil {
		return err
	}
	info, err := listed(ctx, b, ref, trackio.ListOptions{})
	if err != nil {
		return err
	}
	if info != nil {
		return fmt.Errorf("ListRuns(%q) lists the run %q, want it absent", ref.Project, ref.ID)
	}
	return nil
}

// noProject reports when a project is known.
func noProject(ctx context.Context, b trackio.Backend, project string) error {
	projects, err := collect(b.ListProjects(ctx))
	if err != nil {
		return fmt.Errorf("ListProjects: %w", err)
	}
	if slices.Contains(projects, project) {
		return fmt.Errorf("ListProjects lists %q, which was never created", project)
	}
	infos, err := listRuns(ctx, b, project, trackio.ListOptions{})
	if err == nil {
		return fmt.Errorf("ListRuns(%q) lists %d runs without an error, want not found: the project was never created", project, len(infos))
	}
	return wantKind(fmt.Sprintf("ListRuns(%q)", project), err, trackio.ErrNotFound)
}

// wantKind reports when an error is not there, or is of none of the kinds.
func wantKind(what string, err error, want ...error) error {
	if err == nil {
		return fmt.Errorf("%s succeeded, want the error kind %q", what, want)
	}
	kind := trackio.KindOf(err)
	if !slices.Contains(want, kind) {
		if kind == nil {
			return fmt.Errorf("%s returned an error without a kind, want %q: %w", what, want, err)
		}
		return fmt.Errorf("%s returned the error kind %q, want %q: %w", what, kind, want, err)
	}
	return nil
}

// anyError reports when an error is not there, or has no kind though the context
// was not cancelled.
func anyError(ctx context.Context, what string, err error) error {
	if err == nil {
		return fmt.Errorf("%s succeeded, want an error", what)
	}
	if ctx.Err() == nil && trackio.KindOf(err) == nil {
		return fmt.Errorf("%s returned an error without a kind: %w", what, err)
	}
	return nil
}

// sameTime compares instants and offsets.
func sameTime(what string, want, got time.Time) error {
	if want.Equal(got) && trackio.FormatTime(want) == trackio.FormatTime(got) {
		return nil
	}
	return fmt.Errorf("%s is %q, want %q", what, trackio.FormatTime(got), trackio.FormatTime(want))
}

// sameStep compares optional steps.
func sameStep(what string, want, got *int64) error {
	if same(want, got) {
		return nil
	}
	return fmt.Errorf("%s is %s, want %s", what, show(got), show(want))
}
