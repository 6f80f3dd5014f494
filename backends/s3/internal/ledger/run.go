package ledger

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// MaxConfig is the size up to which a run's configuration stands in its record.
const MaxConfig = 64 << 10

// Run is the record of a run: all that the store knows of it without looking at
// its data. A record that came out of the ledger is shared: it must not be
// changed. To change a run, change a copy of it.
type Run struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Data string `json:"data"` // the data directory that holds it

	CreatedAt string `json:"created_at,omitempty"` // as it was logged; "" if not known
	UpdatedAt string `json:"updated_at,omitempty"`
	LastStep  *int64 `json:"last_step,omitempty"`

	Rows        Rows  `json:"rows"`
	Undelivered int64 `json:"undelivered"` // rows with a space id
	Media       int64 `json:"media"`       // files
	Bytes       int64 `json:"bytes"`       // of all objects of the data directory

	Config           json.RawMessage `json:"config,omitempty"`             // up to MaxConfig
	ConfigInManifest bool            `json:"config_in_manifest,omitempty"` // it is larger, and stands there
	Manifest         string          `json:"manifest"`                     // SHA-256 of the manifest, in hex

	// Commit is the number of the last commit that touched the run. The ledger
	// sets it; in an action it is ignored.
	Commit int64 `json:"commit,omitempty"`

	place place // of a record that came out of the ledger
}

// Rows counts the rows of a run.
type Rows struct {
	Metrics       int64 `json:"metrics"`
	SystemMetrics int64 `json:"system_metrics"`
	Alerts        int64 `json:"alerts"`
	Traces        int64 `json:"traces"`
}

// Created returns the instant of CreatedAt, with the offset that was logged; the
// zero time if there is none, or the text is no time.
func (r *Run) Created() time.Time { return instant(r.CreatedAt) }

// Updated returns the instant of UpdatedAt, as Created does.
func (r *Run) Updated() time.Time { return instant(r.UpdatedAt) }

// Revision returns the text that changes whenever the run does.
func (r *Run) Revision() string { return strconv.FormatInt(r.Commit, 10) }

func instant(text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := trackio.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// place is where a run stands in a listing.
type place struct {
	created time.Time
	id      string
}

// keep makes the record one of the ledger's, of a commit.
func (r *Run) keep(seq int64) {
	r.Commit = seq
	r.place = place{r.Created(), r.ID}
}

func (p place) compare(q place) int {
	if c := p.created.Compare(q.created); c != 0 {
		return c
	}
	return cmp.Compare(p.id, q.id)
}
