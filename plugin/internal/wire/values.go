package wire

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

func toRef(ref trackio.RunRef) *backendv1.RunRef {
	return &backendv1.RunRef{Project: ref.Project, Id: ref.ID}
}

func fromRef(ref *backendv1.RunRef) trackio.RunRef {
	return trackio.RunRef{Project: ref.GetProject(), ID: ref.GetId()}
}

// toTime writes a time with its offset and every digit; the zero time is "".
func toTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func fromTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return trackio.ParseTime(text)
}

func toInfo(info trackio.RunInfo) *backendv1.RunInfo {
	return &backendv1.RunInfo{
		Ref:       toRef(info.RunRef),
		Name:      info.Name,
		CreatedAt: toTime(info.CreatedAt),
		Config:    info.Config,
		LastStep:  info.LastStep,
		UpdatedAt: toTime(info.UpdatedAt),
		Counts:    toCounts(info.Counts),
		Revision:  info.Revision,
		DerivedId: info.DerivedID,
	}
}

// fromInfo reports a time that cannot be read as data loss: the backend sent
// something that is not in the protocol.
func fromInfo(info *backendv1.RunInfo) (trackio.RunInfo, error) {
	created, err := fromTime(info.GetCreatedAt())
	if err != nil {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrDataLoss, "created_at of run %q: %w", info.GetRef().GetId(), err)
	}
	updated, err := fromTime(info.GetUpdatedAt())
	if err != nil {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrDataLoss, "updated_at of run %q: %w", info.GetRef().GetId(), err)
	}
	var lastStep *int64
	var config []byte
	if info != nil {
		lastStep, config = info.LastStep, info.Config
	}
	return trackio.RunInfo{
		RunRef:    fromRef(info.GetRef()),
		Name:      info.GetName(),
		CreatedAt: created,
		Config:    config,
		LastStep:  lastStep,
		UpdatedAt: updated,
		Counts:    fromCounts(info.GetCounts()),
		Revision:  info.GetRevision(),
		DerivedID: info.GetDerivedId(),
	}, nil
}

func toCounts(c *trackio.Counts) *backendv1.Counts {
	if c == nil {
		return nil
	}
	return &backendv1.Counts{
		Metrics: c.Metrics, SystemMetrics: c.SystemMetrics, Alerts: c.Alerts, Traces: c.Traces, Pending: c.Pending,
	}
}

func fromCounts(c *backendv1.Counts) *trackio.Counts {
	if c == nil {
		return nil
	}
	return &trackio.Counts{
		Metrics: c.GetMetrics(), SystemMetrics: c.GetSystemMetrics(), Alerts: c.GetAlerts(), Traces: c.GetTraces(), Pending: c.GetPending(),
	}
}

var recordKinds = [...]struct {
	kind trackio.Kinds
	wire backendv1.RecordKind
}{
	{trackio.KindConfig, backendv1.RecordKind_RECORD_KIND_CONFIG},
	{trackio.KindMetrics, backendv1.RecordKind_RECORD_KIND_METRICS},
	{trackio.KindSystemMetrics, backendv1.RecordKind_RECORD_KIND_SYSTEM_METRICS},
	{trackio.KindAlerts, backendv1.RecordKind_RECORD_KIND_ALERTS},
	{trackio.KindTraces, backendv1.RecordKind_RECORD_KIND_TRACES},
	{trackio.KindMedia, backendv1.RecordKind_RECORD_KIND_MEDIA},
}

// ToKinds writes a set of kinds; the zero set, which means all, is empty.
func ToKinds(kinds trackio.Kinds) []backendv1.RecordKind {
	var list []backendv1.RecordKind
	for _, k := range recordKinds {
		if kinds != 0 && kinds.Has(k.kind) {
			list = append(list, k.wire)
		}
	}
	return list
}

// FromKinds reads a set of kinds. Kinds of a later protocol are not in it.
func FromKinds(list []backendv1.RecordKind) trackio.Kinds {
	var kinds trackio.Kinds
	for _, k := range recordKinds {
		if slices.Contains(list, k.wire) {
			kinds |= k.kind
		}
	}
	return kinds
}

func toExportOptions(ref trackio.RunRef, opts trackio.ExportOptions) *backendv1.ExportRunRequest {
	request := &backendv1.ExportRunRequest{
		Ref: toRef(ref), Kinds: ToKinds(opts.Kinds), FromStep: opts.Steps.From, ToStep: opts.Steps.To, NoBodies: opts.NoBodies,
	}
	if opts.Times.From != nil {
		request.FromTime = toTime(*opts.Times.From)
	}
	if opts.Times.To != nil {
		request.ToTime = toTime(*opts.Times.To)
	}
	return request
}

func fromExportOptions(request *backendv1.ExportRunRequest) (trackio.ExportOptions, error) {
	opts := trackio.ExportOptions{
		Kinds:    FromKinds(request.GetKinds()),
		Steps:    trackio.Range[int64]{From: request.FromStep, To: request.ToStep},
		NoBodies: request.GetNoBodies(),
	}
	for _, end := range []struct {
		text string
		to   **time.Time
	}{{request.GetFromTime(), &opts.Times.From}, {request.GetToTime(), &opts.Times.To}} {
		if end.text == "" {
			continue
		}
		t, err := trackio.ParseTime(end.text)
		if err != nil {
			return opts, err
		}
		*end.to = &t
	}
	return opts, nil
}

func toAlert(a trackio.Alert) *backendv1.Alert {
	return &backendv1.Alert{RunId: a.RunID, RunName: a.RunName, Row: toAlertRow(&a.AlertRow)}
}

func fromAlert(a *backendv1.Alert) trackio.Alert {
	return trackio.Alert{RunID: a.GetRunId(), RunName: a.GetRunName(), AlertRow: fromAlertRow(a.GetRow())}
}

func toFinding(f trackio.Finding) *backendv1.Finding {
	return &backendv1.Finding{
		Kind: f.Kind, Project: f.Project, RunId: f.RunID, Message: f.Message, Hint: f.Hint, Fixed: f.Fixed,
	}
}

func fromFinding(f *backendv1.Finding) trackio.Finding {
	return trackio.Finding{
		Kind: f.GetKind(), Project: f.GetProject(), RunID: f.GetRunId(), Message: f.GetMessage(), Hint: f.GetHint(), Fixed: f.GetFixed(),
	}
}

func toCollectOptions(opts trackio.CollectOptions) *backendv1.CollectRequest {
	return &backendv1.CollectRequest{Grace: durationpb.New(opts.Grace), DryRun: opts.DryRun}
}

func fromCollectOptions(request *backendv1.CollectRequest) (trackio.CollectOptions, error) {
	grace := request.GetGrace()
	if err := grace.CheckValid(); grace != nil && err != nil {
		return trackio.CollectOptions{}, trackio.Errorf(trackio.ErrInvalid, "the grace period of a collection: %w", err)
	}
	return trackio.CollectOptions{Grace: grace.AsDuration(), DryRun: request.GetDryRun()}, nil
}

func toGarbage(g trackio.Garbage) *backendv1.Garbage {
	return &backendv1.Garbage{Kind: g.Kind, Name: g.Name, Since: toTime(g.Since), Objects: g.Objects, Bytes: g.Bytes}
}

func fromGarbage(g *backendv1.Garbage) (trackio.Garbage, error) {
	since, err := fromTime(g.GetSince())
	if err != nil {
		return trackio.Garbage{}, trackio.Errorf(trackio.ErrDataLoss, "the time of the garbage %q: %w", g.GetName(), err)
	}
	return trackio.Garbage{Kind: g.GetKind(), Name: g.GetName(), Since: since, Objects: g.GetObjects(), Bytes: g.GetBytes()}, nil
}

func toAlertRow(r *trackio.AlertRow) *backendv1.AlertRow {
	return &backendv1.AlertRow{
		Timestamp: r.Timestamp, Title: r.Title, Text: r.Text, Level: r.Level, Step: r.Step, AlertId: r.AlertID,
	}
}

func fromAlertRow(r *backendv1.AlertRow) trackio.AlertRow {
	if r == nil {
		return trackio.AlertRow{}
	}
	return trackio.AlertRow{
		Timestamp: r.Timestamp, Title: r.Title, Text: r.Text, Level: r.Level, Step: r.Step, AlertID: r.AlertId,
	}
}

// Capability is something that a backend may be able to do.
type Capability = backendv1.Capability

// capabilityNames are the words for capabilities in a config file.
var capabilityNames = [...]struct {
	capability Capability
	name       string
}{
	{backendv1.Capability_CAPABILITY_MOVE, "move"},
	{backendv1.Capability_CAPABILITY_RENAME, "rename"},
	{backendv1.Capability_CAPABILITY_LIST_ALERTS, "list_alerts"},
	{backendv1.Capability_CAPABILITY_SUMMARIZE, "summarize"},
	{backendv1.Capability_CAPABILITY_DELETE_PROJECT, "delete_project"},
	{backendv1.Capability_CAPABILITY_EXAMINE, "examine"},
	{backendv1.Capability_CAPABILITY_COLLECT, "collect"},
	{backendv1.Capability_CAPABILITY_CHANGE_RUNS, "change_runs"},
}

// CapabilityNamed finds a capability by its word in a config file.
func CapabilityNamed(name string) (Capability, bool) {
	for _, c := range capabilityNames {
		if c.name == name {
			return c.capability, true
		}
	}
	return 0, false
}

// CapabilityNames returns the words for all capabilities.
func CapabilityNames() []string {
	var names []string
	for _, c := range capabilityNames {
		names = append(names, c.name)
	}
	return names
}

// CapabilityName returns the word for a capability, "" for an unknown one.
func CapabilityName(capability Capability) string {
	for _, c := range capabilityNames {
		if c.capability == capability {
			return c.name
		}
	}
	return ""
}

// CapabilitiesOf finds out what a backend can do.
func CapabilitiesOf(b trackio.Backend) []Capability {
	var found []Capability
	if _, ok := trackio.As[trackio.Mover](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_MOVE)
	}
	if _, ok := trackio.As[trackio.Renamer](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_RENAME)
	}
	if _, ok := trackio.As[trackio.AlertLister](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_LIST_ALERTS)
	}
	if _, ok := trackio.As[trackio.Summarizer](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_SUMMARIZE)
	}
	if _, ok := trackio.As[trackio.ProjectDeleter](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_DELETE_PROJECT)
	}
	if _, ok := trackio.As[trackio.Examiner](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_EXAMINE)
	}
	if _, ok := trackio.As[trackio.Collector](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_COLLECT)
	}
	if _, ok := trackio.As[trackio.BulkChanger](b); ok {
		found = append(found, backendv1.Capability_CAPABILITY_CHANGE_RUNS)
	}
	return found
}
