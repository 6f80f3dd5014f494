// Package backendtest checks that a [trackio.Backend] keeps its promises. Every
// check quotes the sentence of the documentation that it rests on, looks from
// outside only, and stands on its own.
//
// # From go test
//
//	func TestConformance(t *testing.T) {
//		backendtest.Test(t, func(t *testing.T) backendtest.Opener {
//			dir := t.TempDir()
//			return func(ctx context.Context) (trackio.Backend, error) { return mine.Open(ctx, dir) }
//		})
//	}
//
// # On a storage in use
//
// [Run] works on any storage that may be written to. The checks make projects
// whose names begin with "backendtest-" or an equally unusual letter and a random
// number, touch nothing else, and remove what they made.
//
// # Promises
//
// Beside the documentation of the interface, the checks rest on what every
// storage promises its users:
//
//   - A run is whole or absent wherever one looks. A read that loses its data on
//     the way ends in an error, never short.
//   - Delete removes the run's rows and the media only it refers to, and never
//     another run's.
//   - Move and rename keep id, created_at, log_id, alert_id, space_id,
//     timestamps, row order, number tokens and media bytes.
//   - Errors have a kind; nothing is swallowed; an unknown id is "not found"
//     everywhere, and leaves nothing behind.
//   - A failed or cancelled call has changed nothing, or has happened completely.
//   - Two processes on one storage are safe.
//   - Names are data: no name reaches outside the storage, whatever it contains.
//   - A project may have no runs; a backend may forget such a project.
//
// # What is not checked
//
// How much memory a call takes, what a killed process leaves behind, and what
// lies outside the storage cannot be seen from here. A backend that knows runs by
// name alone cannot pass: it does not keep the id.
package backendtest
