package trackio

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Backend is a storage of runs. Its methods may be called by several goroutines
// at once, and several processes may use one storage at the same time.
//
// Project names are canonical ([CanonicalProject]); run ids and names are any
// text: they are data, and none may lead outside the storage.
//
// Every error has a kind ([KindOf]) unless the context was cancelled; then it is
// the context's error. A call that returns an error has changed nothing, or says
// that it cannot know ([ErrBackendDied], [ErrUnavailable]).
//
// Iterators do nothing before the loop begins, yield at most one error, as
// their last item, release everything when the loop is left, and are used once.
type Backend interface {
	// ListProjects yields the canonical names of all projects in byte order,
	// each once. An empty or missing storage has none, which is no error. A
	// project that cannot be read is listed all the same: its own calls fail.
	ListProjects(ctx context.Context) iter.Seq2[string, error]

	// ListRuns yields the runs of a project, the oldest first: by CreatedAt,
	// then by id. An unknown project is [ErrNotFound]. Its cost does not depend
	// on the number of rows unless opts.Counts is set.
	ListRuns(ctx context.Context, project string, opts ListOptions) iter.Seq2[RunInfo, error]

	// GetRun returns one run, with its Revision, Config and Latest fields
	// filled. An unknown project or id is [ErrNotFound].
	GetRun(ctx context.Context, ref RunRef) (RunInfo, error)

	// ExportRun yields the run as a stream of records (see [Record]), all of it
	// from one snapshot. An unknown run is [ErrNotFound]. A stream that ends
	// without an error is whole: data that cannot be read ends it with
	// [ErrDataLoss] or the error of the storage, never early and silently.
	ExportRun(ctx context.Context, ref RunRef, opts ExportOptions) iter.Seq2[Record, error]

	// ImportRun stores a run from a stream under the project and id of ref, and
	// creates the project when it is new. It is all or nothing: the run becomes
	// visible, as a whole, before ImportRun returns nil, and leaves no trace
	// when it returns an error, also when the error came out of the stream. A
	// run of that id in that project is [ErrExists], and stays as it is; its
	// name may be in use already. The result has its Revision filled.
	//
	// A storage that cannot keep the id as it is, or that cannot keep a run of
	// which there is nothing but a header, returns [errors.ErrUnsupported].
	//
	// The stream should be read through [Checked]. A SHA256 that comes with a
	// media file must be compared.
	ImportRun(ctx context.Context, ref RunRef, records iter.Seq2[Record, error]) (RunInfo, error)

	// DeleteRun removes the run: its rows, its config and the media that only
	// it refers to. It never touches another run's. An unknown run is
	// [ErrNotFound]. A run that is still written to is [ErrConflict] unless
	// opts.Force is set, and so is one whose revision is not opts.IfRevision. A
	// run counts as still written to while its youngest row is less than a minute
	// old, or while rows of it wait to be imported into the storage.
	DeleteRun(ctx context.Context, ref RunRef, opts DeleteOptions) error

	// Close releases everything. Calls made afterwards fail with
	// [ErrUnavailable]; calls under way end first or fail. Closing again does
	// nothing.
	Close() error
}

// RunRef names a run: ids are unique within a project.
type RunRef struct {
	Project string // canonical
	ID      string
}

// RunInfo describes a run.
type RunInfo struct {
	RunRef
	Name string

	// CreatedAt is the earliest timestamp of the run's metrics; when it has
	// none, of its other rows; when it has no rows, the config's created_at; the
	// zero time when that is not known either. The stored offset is kept.
	// Timestamps are compared as text, as Python Trackio does.
	CreatedAt time.Time

	// Config is the configuration as stored, nil when the run has none. Filled
	// by GetRun, and in lists when ListOptions.Config was set.
	Config json.RawMessage

	// LastStep is the highest step of the metrics, nil when there are none, and
	// UpdatedAt the latest timestamp of any row, the zero time when there are
	// none. Filled by GetRun, and in lists when ListOptions.Latest was set.
	LastStep  *int64
	UpdatedAt time.Time

	// DerivedID is the id that the run gets where runs have ids, when this storage
	// knows it by its name alone (then ID is the name); else empty. It follows
	// from what the run is (see [DeriveRunID]), so that every try finds the same
	// copy. Filled by GetRun and a stream's Header.
	DerivedID string

	// Counts is filled in lists when ListOptions.Counts was set.
	Counts *Counts

	// Revision changes with any change of the run. Filled by GetRun, ImportRun,
	// MoveRun, RenameRun, ChangeRuns and a stream's Header; empty in lists, and it
	// may be empty in the Header of an export that ExportOptions.Steps or Times narrow,
	// so that a window can be read without looking at the whole run. It is
	// compared, never interpreted.
	Revision string
}

// Counts are the numbers of rows of a run.
type Counts struct {
	Metrics       int64
	SystemMetrics int64
	Alerts        int64
	Traces        int64
	// Pending are rows that a training process has handed in and that are not
	// imported into the storage yet; they are not among the others.
	Pending int64
}

// ListOptions says what a listing carries beside id, name and created_at. Each
// may cost the storage more.
type ListOptions struct {
	Config bool // fill RunInfo.Config: filters over many runs are one call
	Latest bool // fill RunInfo.LastStep and UpdatedAt
	Counts bool // fill RunInfo.Counts
}

// ExportOptions narrows an export. The zero value exports everything.
type ExportOptions struct {
	// Kinds are the kinds of records wanted; others are left out.
	Kinds Kinds
	// Steps and Times are hints: rows outside them are not wanted, and a backend
	// that has an index skips them; it may yield more, never less. Rows without
	// a step are not touched by Steps. Media that only rows outside refer to may
	// be left out.
	Steps Range[int64]
	Times Range[time.Time]
	// NoBodies leaves out the bytes of the media: each comes with path, size and
	// SHA256 only, for verification and dry runs.
	NoBodies bool
}

// Range is a closed interval; a nil end is open.
type Range[T any] struct{ From, To *T }

// DeleteOptions guards a deletion.
type DeleteOptions struct {
	IfRevision string // delete only this state of the run; "" for any
	Force      bool   // delete even a run that is still written to
}

// MoveOptions guards a move.
type MoveOptions struct {
	IfRevision string // move only this state of the run; "" for any
	Force      bool   // move even a run that is still written to, or not delivered
}

// RenameOptions guards a renaming.
type RenameOptions struct {
	IfRevision string
	Force      bool
}

// Mover is the optional capability to move a run to another project of the same
// storage without copying it through the core.
type Mover interface {
	// MoveRun moves the run with everything that belongs to it and returns it
	// as it is in its new place. Id, name, created_at, log ids, alert ids, space
	// ids, timestamps, the order of rows, number tokens and media bytes stay the
	// same; only a storage that knew the run by name alone may give it an id,
	// and then the same one on every try. At every moment, also after a kill,
	// readers find the run in exactly one of the two projects. [ErrExists] when
	// the target has the id, [ErrInvalid] when the target is the run's project,
	// [ErrConflict] as in DeleteRun and, unless opts.Force is set, for a run with
	// rows that are not delivered (their SpaceID is not empty).
	MoveRun(ctx context.Context, ref RunRef, project string, opts MoveOptions) (RunInfo, error)
}

// Renamer is the optional capability to change the name of a run.
type Renamer interface {
	// RenameRun changes the name and nothing else, and returns the run as it is
	// then. A storage that knows the run by name alone gives it the new name as
	// its id, and [ErrExists] when that is taken. A run that is still written to
	// is [ErrConflict], as in DeleteRun.
	RenameRun(ctx context.Context, ref RunRef, name string, opts RenameOptions) (RunInfo, error)
}

// BulkChanger is the optional capability to change many runs in few steps.
type BulkChanger interface {
	// ChangeRuns moves, renames and deletes runs, one after the other as MoveRun,
	// RenameRun and DeleteRun would, but with as few steps as the storage needs:
	// where it can, one for hundreds of runs. It yields one result for each change,
	// in their order. A change that is refused has the error in its result and does
	// not keep the others from happening.
	//
	// An error ends it, and so does the end of the context, between two steps. No
	// change whose result was not yielded has happened then, unless the error says
	// that it cannot know ([ErrBackendDied], [ErrUnavailable]). Leaving the loop
	// ends it too, with the step that the last result is of: the changes that share
	// it have happened.
	ChangeRuns(ctx context.Context, changes []Change) iter.Seq2[ChangeResult, error]
}

// Change is what is to become of one run.
type Change struct {
	Run        RunRef
	Kind       ChangeKind
	To         string // the project that a move leads to
	Name       string // the name that a renaming gives
	IfRevision string // change only this state of the run; "" for any
	Force      bool   // as in MoveOptions, RenameOptions and DeleteOptions
}

// ChangeKind says what a [Change] is. Another than these is [ErrInvalid].
type ChangeKind uint8

// The kinds of changes.
const (
	ChangeMove ChangeKind = iota + 1
	ChangeRename
	ChangeDelete
)

// ChangeResult is what became of one [Change].
type ChangeResult struct {
	// Run is the run as it is now, with its Revision, and DerivedID, filled and
	// else as in a list without options; zero when it was deleted, or not changed.
	Run RunInfo
	Err error // why the change was refused; nil when it has happened
}

// AlertLister is the optional capability to list the alerts of a whole project
// without reading its runs one by one.
type AlertLister interface {
	// ListAlerts yields the alerts of a project, the newest first: by timestamp
	// as text, descending, then, within a run, the latest written first. An
	// unknown project is [ErrNotFound].
	ListAlerts(ctx context.Context, project string, opts AlertOptions) iter.Seq2[Alert, error]
}

// AlertOptions narrows a list of alerts.
type AlertOptions struct {
	RunID string    // only this run's; "" for all
	Level string    // only this level; "" for all
	Since time.Time // only alerts at or after it; the zero time for all
}

// Alert is an alert together with the run that raised it.
type Alert struct {
	RunID   string
	RunName string
	AlertRow
}

// Summarizer is the optional capability to sum up a run without sending its
// rows to the core.
type Summarizer interface {
	// SummarizeRun returns the summary of one run; an unknown one is
	// [ErrNotFound].
	SummarizeRun(ctx context.Context, ref RunRef) (Summary, error)
}

// Summary says what a run holds.
type Summary struct {
	Counts
	LastStep      *int64   // highest step of the metrics; nil when there are none
	MetricNames   []string // top-level keys of the metrics, in byte order
	SystemMetrics []string // top-level keys of the system metrics, in byte order
}

// ProjectDeleter is the optional capability to delete a whole project: its runs,
// and what belongs to no run of it.
type ProjectDeleter interface {
	// DeleteProject removes the project. An unknown one is [ErrNotFound]; one
	// with a run that is still written to is [ErrConflict] unless opts.Force is
	// set (opts.IfRevision does not apply). It is all or nothing for readers.
	DeleteProject(ctx context.Context, project string, opts DeleteOptions) error
}

// Examiner is the optional capability to look for what is wrong with a storage,
// beyond what a read would meet.
type Examiner interface {
	// Examine yields what it finds, in no order that can be relied on. With
	// opts.Fix it finishes or undoes interrupted operations, as the next change
	// would, and nothing else; it changes nothing without.
	Examine(ctx context.Context, opts ExamineOptions) iter.Seq2[Finding, error]
}

// ExamineOptions says what an examination may do.
type ExamineOptions struct {
	Fix bool // finish or undo interrupted operations
}

// Finding is one thing that is wrong with a storage.
type Finding struct {
	Kind    string // what sort of thing, such as "interrupted-operation": stable, for programs
	Project string // "" when it concerns no project
	RunID   string // "" when it concerns no run
	Message string // what is wrong with which thing
	Hint    string // the way out; may be empty
	Fixed   bool   // Examine has mended it
}

// The kinds of findings that are known to the core; backends may have others.
const (
	FindingOperation = "interrupted-operation" // a change was begun and not ended
)

// Collector is the optional capability to remove what is of no use to anybody:
// what interrupted changes, or copies that came to nothing, have left in a
// storage and no run refers to.
type Collector interface {
	// Collect removes such things and yields each after it was removed, in no
	// order that can be relied on; with opts.DryRun it changes nothing and yields
	// what it would remove. What a run refers to is never touched. It is safe
	// while others read and write, whatever opts.Grace: an import under way whose
	// data is collected fails with [ErrConflict] and leaves nothing. An error ends
	// it, and so does leaving the loop; what was yielded before is gone.
	Collect(ctx context.Context, opts CollectOptions) iter.Seq2[Garbage, error]
}

// CollectOptions says what may be collected.
type CollectOptions struct {
	Grace  time.Duration // what is younger is left alone; 0 takes everything
	DryRun bool          // change nothing
}

// Garbage is one thing that no run refers to.
type Garbage struct {
	Kind    string    // what sort of thing, such as "import": stable, for programs
	Name    string    // which one, as the storage knows it
	Since   time.Time // when it came to be; the zero time when that is not known
	Objects int64     // how many objects or files it consists of
	Bytes   int64     // and their size
}

// The kinds of garbage that are known to the core; backends may have others.
const (
	GarbageImport     = "import"     // the data of an import that no run refers to, or not any more
	GarbageCheckpoint = "checkpoint" // a copy of the state that a newer one replaces
)

// As finds an optional capability of a backend. It looks through wrappers: one
// that has a method As(any) bool answers for itself, as [errors.As] would ask.
func As[C any](b Backend) (C, bool) {
	if w, ok := b.(interface{ As(target any) bool }); ok {
		var c C
		found := w.As(&c)
		return c, found
	}
	c, ok := b.(C)
	return c, ok
}
