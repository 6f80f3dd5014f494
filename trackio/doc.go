// Package trackio manages the runs of machine-learning experiments over any
// storage: it lists, reads, deletes, moves and renames them. It is the Go
// counterpart of the Python class trackio.Api.
//
// # For programs
//
// An [Api] stands on an opened [Backend]:
//
//	api := trackio.New(backend)
//	runs, err := api.Runs(ctx, "my_project")
//	for run := range runs.All() {
//		fmt.Println(run.Name(), run.Project())
//	}
//
// # For authors of backends
//
// A backend implements the seven methods of [Backend], and whichever optional
// capabilities it can do natively ([Mover], [Renamer], [BulkChanger], [AlertLister],
// [Summarizer] and others). A run travels in one form only, the ordered record stream
// described at [Record]. Package backendtest checks every promise made here.
//
// # Words
//
// A project holds runs. A run has an id, which is unique within its project,
// and a name, which is a label and may repeat. Metrics, system metrics, alerts
// and traces are rows of a run; media are its files.
package trackio
