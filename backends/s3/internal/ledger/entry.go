package ledger

import (
	"encoding/json"

	"github.com/trackio-go/trackio/trackio"
)

// entry is a commit as it stands in the log. It never changes once it was read
// or written.
type entry struct {
	ID      string   `json:"id"`
	At      string   `json:"at"`
	By      string   `json:"by"`
	Actions []Action `json:"actions"`

	seq int64
}

// encode returns the body of the commit. The number is the key's alone.
func (e *entry) encode() ([]byte, error) {
	body := *e
	body.Actions = make([]Action, len(e.Actions))
	for i, a := range e.Actions {
		body.Actions[i] = a.numbered(0)
	}
	return encode(&body)
}

// decodeEntry reads commit seq. An error is [trackio.ErrDataLoss].
func decodeEntry(seq int64, body []byte) (*entry, error) {
	e := &entry{seq: seq}
	if err := json.Unmarshal(body, e); err != nil {
		return nil, damaged(logKey(seq), "%v", err)
	}
	if e.ID == "" {
		return nil, damaged(logKey(seq), "the commit has no id")
	}
	for i := range e.Actions {
		a := &e.Actions[i]
		if err := a.check(); err != nil {
			return nil, damaged(logKey(seq), "%v", err)
		}
		if a.Run != nil {
			a.Run.keep(seq)
		}
	}
	return e, nil
}

// numbered returns the action with a record of its own that carries the number of
// the commit; 0 leaves it out.
func (a Action) numbered(seq int64) Action {
	if a.Run != nil {
		run := *a.Run
		run.keep(seq)
		a.Run = &run
	}
	return a
}

// damaged says that an object is there and is not what it must be.
func damaged(key, format string, args ...any) *trackio.Error {
	why := trackio.Errorf(trackio.ErrDataLoss, format, args...)
	return trackio.Errorf(trackio.ErrDataLoss, "%s is damaged: %v", key, why).
		WithHint("restore the object from a backup or an older version of it; if it is under %s, removing it is enough", statePrefix)
}
