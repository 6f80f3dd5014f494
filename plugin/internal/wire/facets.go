package wire

import (
	"context"
	"iter"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// The capabilities of a [Client] are types of their own, so that a type
// assertion on the client finds none that its backend does not have.
type (
	mover          struct{ *Client }
	renamer        struct{ *Client }
	alertLister    struct{ *Client }
	summarizer     struct{ *Client }
	projectDeleter struct{ *Client }
	examiner       struct{ *Client }
	collector      struct{ *Client }
)

func (c mover) MoveRun(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
	request := &backendv1.MoveRunRequest{Ref: toRef(ref), Project: project, IfRevision: opts.IfRevision, Force: opts.Force}
	response, err := change(ctx, c.Client, "MoveRun", c.RPC.MoveRun, request)
	return infoOf(response, err)
}

func (c renamer) RenameRun(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
	request := &backendv1.RenameRunRequest{Ref: toRef(ref), Name: name, IfRevision: opts.IfRevision, Force: opts.Force}
	response, err := change(ctx, c.Client, "RenameRun", c.RPC.RenameRun, request)
	return infoOf(response, err)
}

func (c alertLister) ListAlerts(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
	request := &backendv1.ListAlertsRequest{Project: project, RunId: opts.RunID, Level: opts.Level, Since: toTime(opts.Since)}
	return items(messages(ctx, c.Client, "ListAlerts", c.RPC.ListAlerts, request), (*backendv1.ListAlertsResponse).GetAlerts,
		func(a *backendv1.Alert) (trackio.Alert, error) { return fromAlert(a), nil })
}

func (c summarizer) SummarizeRun(ctx context.Context, ref trackio.RunRef) (trackio.Summary, error) {
	response, err := unary(ctx, c.Client, "SummarizeRun", c.RPC.SummarizeRun, &backendv1.SummarizeRunRequest{Ref: toRef(ref)})
	if err != nil {
		return trackio.Summary{}, err
	}
	sum := trackio.Summary{LastStep: response.LastStep, MetricNames: response.GetMetricNames(), SystemMetrics: response.GetSystemMetrics()}
	if counts := fromCounts(response.GetCounts()); counts != nil {
		sum.Counts = *counts
	}
	return sum, nil
}

func (c projectDeleter) DeleteProject(ctx context.Context, project string, opts trackio.DeleteOptions) error {
	request := &backendv1.DeleteProjectRequest{Project: project, Force: opts.Force}
	_, err := change(ctx, c.Client, "DeleteProject", c.RPC.DeleteProject, request)
	return err
}

func (c examiner) Examine(ctx context.Context, opts trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
	return items(messages(ctx, c.Client, "Examine", c.RPC.Examine, &backendv1.ExamineRequest{Fix: opts.Fix}), (*backendv1.ExamineResponse).GetFindings,
		func(f *backendv1.Finding) (trackio.Finding, error) { return fromFinding(f), nil })
}

func (c collector) Collect(ctx context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	return items(changing(ctx, c.Client, "Collect", c.RPC.Collect, toCollectOptions(opts)), (*backendv1.CollectResponse).GetGarbage, fromGarbage)
}
