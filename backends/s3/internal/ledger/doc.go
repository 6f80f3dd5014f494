// Package ledger keeps the single commit log of an object store, and its
// checkpoints, as docs/object-store-layout.md lays them out.
//
// # Guarantees
//
// The log is the truth: commit n is an object that is created only if there is
// none of its name, by a writer that has checked it against the state after
// commit n-1. So there is one history, which every process sees a prefix of, and
// a commit of any number of actions is seen whole or not at all. Nothing rests on
// listings, clocks or caches. Whether a commit has happened is always found out
// from the log, never guessed from a reply; when the store does not answer at
// all, the error is [ErrOutcomeUnknown], and it alone leaves the question open.
//
// Checkpoints bound what a reader has to read: they can be lost, late, or written
// by many at once, and can be made again from the log.
//
// Every value here may be used by several goroutines at once, unless it says
// otherwise.
package ledger
