package ledger

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// MaxCommit is the size of the largest commit, in bytes, and MaxActions that of
// the actions in it.
const (
	MaxCommit  = 3 << 20
	MaxActions = MaxCommit - envelope
)

// Action is one step of a commit. Make it with [Add], [Move], [Rename],
// [Remove] or [RemoveAll].
type Action struct {
	Action  string   `json:"action"`
	Project string   `json:"project,omitempty"`
	ID      string   `json:"id,omitempty"`
	All     bool     `json:"all,omitempty"`
	To      string   `json:"to,omitempty"`
	Run     *Run     `json:"run,omitempty"`
	Data    []string `json:"data,omitempty"`
}

const (
	actionAdd    = "add"
	actionRemove = "remove"
	actionMove   = "move"
	actionRename = "rename"
	actionFence  = "fence"
)

// Add puts a new run into a project. run.Data must be the data of an open
// [Import] of this ledger.
func Add(project string, run *Run) Action {
	return Action{Action: actionAdd, Project: project, Run: run}
}

// Move takes a run from one project to another; run is its record as it is
// afterwards, with the same id.
func Move(project, to string, run *Run) Action {
	return Action{Action: actionMove, Project: project, ID: run.ID, To: to, Run: run}
}

// Rename gives a run another name; run is its record as it is afterwards.
func Rename(project string, run *Run) Action {
	return Action{Action: actionRename, Project: project, ID: run.ID, Run: run}
}

// Remove takes a run out of a project.
func Remove(project, id string) Action {
	return Action{Action: actionRemove, Project: project, ID: id}
}

// RemoveAll takes every run out of a project, which must have one at least.
func RemoveAll(project string) Action {
	return Action{Action: actionRemove, Project: project, All: true}
}

// Size returns how much room the action takes in a commit.
func (a Action) Size() (int, error) {
	body, err := encode(a.numbered(0))
	if err != nil {
		return 0, trackio.Errorf(trackio.ErrInvalid, "the record of a run cannot be written: %v", err)
	}
	return len(body) + 1, nil
}

// check reports what is wrong with an action in itself.
func (a *Action) check() error {
	for _, text := range [...]string{a.Project, a.ID, a.To} {
		if !utf8.ValidString(text) {
			return trackio.Errorf(trackio.ErrInvalid, "%q is not UTF-8", text)
		}
	}
	if (a.Project == "") != (a.Action == actionFence) {
		return trackio.Errorf(trackio.ErrInvalid, "action %q names project %q", a.Action, a.Project)
	}
	withRun := a.Action == actionAdd || a.Action == actionMove || a.Action == actionRename
	if (a.Run != nil) != withRun {
		return trackio.Errorf(trackio.ErrInvalid, "action %q has a record where it must not, or none where it must", a.Action)
	}
	if withRun {
		if err := a.Run.check(); err != nil {
			return err
		}
	}
	switch a.Action {
	case actionAdd:
	case actionMove, actionRename:
		if a.Run.ID != a.ID {
			return trackio.Errorf(trackio.ErrInvalid, "%s of run %q has the record of run %q", a.Action, a.ID, a.Run.ID)
		}
		if (a.Action == actionMove) != (a.To != "") || a.To == a.Project {
			return trackio.Errorf(trackio.ErrInvalid, "%s of run %q from project %q to %q", a.Action, a.ID, a.Project, a.To)
		}
	case actionRemove:
		if a.All == (a.ID != "") {
			return trackio.Errorf(trackio.ErrInvalid, "remove from project %q must name a run, or all", a.Project)
		}
	case actionFence:
		if len(a.Data) == 0 {
			return trackio.Errorf(trackio.ErrInvalid, "a fence around nothing")
		}
	default:
		return trackio.Errorf(trackio.ErrInvalid, "unknown action %q", a.Action)
	}
	return nil
}

// check reports what is wrong with a record in itself.
func (r *Run) check() error {
	for _, text := range [...]string{r.ID, r.Name, r.Data, r.CreatedAt, r.UpdatedAt, r.Manifest} {
		if !utf8.ValidString(text) {
			return trackio.Errorf(trackio.ErrInvalid, "the record of run %q holds %q, which is not UTF-8", r.ID, text)
		}
	}
	if r.ID == "" || r.Data == "" {
		return trackio.Errorf(trackio.ErrInvalid, "the record of run %q in data %q lacks an id", r.ID, r.Data)
	}
	if len(r.Config) > MaxConfig {
		return trackio.Errorf(trackio.ErrInvalid, "the record of run %q has a config of %d bytes", r.ID, len(r.Config))
	}
	return nil
}

// encode returns the JSON of a value, with no escapes that JSON does not need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
