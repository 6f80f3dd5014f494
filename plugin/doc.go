// Package plugin runs backends as processes of their own, for hosts and for
// authors of backends.
//
// # For authors
//
// A backend is a program that serves a [Definition]:
//
//	type Config struct {
//		DSN     string        `trackio:"dsn,required,sensitive" env:"LAB_DSN" help:"where the database is"`
//		Timeout time.Duration `trackio:"timeout" default:"30s"`
//	}
//
//	func main() {
//		plugin.Serve(plugin.Define(
//			plugin.Info{Type: "postgres", Version: "1.0.0", Environment: []string{"PGPASSWORD"}},
//			func(ctx context.Context, cfg Config) (trackio.Backend, error) { return open(ctx, cfg) },
//		))
//	}
//
// Built as trackio-backend-postgres and put where [Host] looks, it is used by
// a block of the config file:
//
//	backend "postgres" "lab" {
//		dsn = env("LAB_DSN")
//	}
//
// Inside the program hclog.Default is a logger whose lines reach the user of the
// host, and so does what is written to the standard output and error once the
// backend is being opened.
//
// # For hosts
//
// A [Host] opens the backend of a block of a [Config]. Backends that are part of
// the program itself run as processes too, of the same executable, so main must
// call [ServeBuiltin] before anything else.
//
// # Guarantees
//
//   - One process for each opened backend. It ends with [Client.Close], and at
//     the latest two seconds after its host ended, however that happened.
//   - A change whose context ends is cancelled in the backend, which gets up to
//     five seconds to undo it before the call returns. One that was done all the
//     same is reported as done.
//   - A process that dies makes calls fail with [trackio.ErrBackendDied], which
//     says how it died and what it wrote last. No call is repeated.
//   - The process gets a small, known environment, and no terminal.
//   - Nothing that a process writes or answers can stop or crash the host. It is
//     killed when it is not ready within ten seconds, or does not close within
//     five.
//   - What is wrong with a configuration is reported with file, line and
//     excerpt, also when the backend finds it.
//   - The memory that a stream takes does not depend on its length.
package plugin
