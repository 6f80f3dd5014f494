package sqlite

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/trackio-go/trackio/trackio"
)

// changeEverything is the helper "change": it tries every change on a store and
// says what each met.
func changeEverything(dir string, out io.Writer) error {
	ctx := context.Background()
	b, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	ref := trackio.RunRef{Project: "demo", ID: "id-a"}
	say := func(what string, err error) {
		_, _ = fmt.Fprintf(out, "%s: %v: %v (%s)\n", what, trackio.KindOf(err), err, trackio.HintOf(err))
	}
	say("delete", b.DeleteRun(ctx, ref, trackio.DeleteOptions{}))
	_, err = b.MoveRun(ctx, ref, "target", trackio.MoveOptions{})
	say("move", err)
	_, err = b.RenameRun(ctx, ref, "new", trackio.RenameOptions{})
	say("rename", err)
	_, err = b.ImportRun(ctx, trackio.RunRef{Project: "target", ID: "x"}, failingStream(nil))
	say("import", err)
	return nil
}

// moveOnly is the helper "move".
func moveOnly(dir string, out io.Writer) error {
	b, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.MoveRun(context.Background(), trackio.RunRef{Project: "demo", ID: "id-a"}, "target", trackio.MoveOptions{})
	_, err = fmt.Fprintf(out, "%v: %v\n", trackio.KindOf(err), err)
	return err
}

// deleteForced is the helper "delete-forced". All of its work is one thread's,
// since strace counts the calls of each.
func deleteForced(dir string) error {
	runtime.LockOSThread()
	b, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	return b.DeleteRun(context.Background(), trackio.RunRef{Project: "p", ID: "id-p"}, trackio.DeleteOptions{Force: true})
}

// moveSpilling is the helper "move-spilling": a move that holds next to nothing of
// what it writes in memory, as one of a long run does.
func moveSpilling(dir string) error {
	b, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	b.cache = 16
	_, err = b.MoveRun(context.Background(), trackio.RunRef{Project: "p", ID: "id-long"}, "q", trackio.MoveOptions{})
	return err
}
