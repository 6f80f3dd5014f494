package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

func nameChecks() []Check {
	const data = "Names are data: no name reaches outside the storage, whatever it contains."
	return []Check{
		{"names/run-names", data, namesOfRuns},
		{"names/run-ids", "run ids and names are any text: they are data, and none may lead outside the storage.", namesAsIDs},
		{"names/crossed", "A run has an id, which is unique within its project, and a name, which is a label and may repeat.", namesCrossed},
		{"names/patterns", "It never touches another run's.", namesPatterns},
		{"names/projects", "Project names are canonical ([CanonicalProject])", namesOfProjects},
	}
}

// odd are texts that lead a careless storage astray.
func odd() []string {
	return []string{
		"a/b", "/", "/etc/backendtest", "a//b/", "..", "../../x", "a/../../../x", ".", "./a", "...", ".hidden",
		"with space", " ", " lead", "trail ", "trail.", "line\nbreak\ttab", "naïve 日本語 😀", "e\u0301", "\u202egnp",
		"-rf", "--help", "files", "files/x", "media", "CON", "C:\\x", "a\\b", "x.db", "%2e%2e%2f", "$HOME", "~", "#", "null",
		"'; DROP TABLE metrics; --", `"quoted"`, "`tick`", "*", "[a-z]*?", "%", "_", "a%_", "{\"a\":1}", "<b>&amp;", "\\u0041",
		strings.Repeat("x", 300), strings.Repeat("長", 300), strings.Repeat("d/", 150), "0", "1e3", "9007199254740993",
	}
}

// lifeOf imports a run, finds it, moves it when the backend can, and deletes it.
func lifeOf(ctx context.Context, e *Env, ref trackio.RunRef, target string, r run) error {
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	return restOfLife(ctx, e, ref, target, r)
}

// restOfLife is lifeOf for a run that is there.
func restOfLife(ctx context.Context, e *Env, ref trackio.RunRef, target string, r run) error {
	if err := holds(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	if mover, ok := trackio.As[trackio.Mover](e.Backend); ok {
		moved := trackio.RunRef{Project: target, ID: ref.ID}
		if _, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{}); err != nil {
			return fmt.Errorf("MoveRun(%s, %q): %w", at(ref), target, err)
		}
		if err := errors.Join(absent(ctx, e.Backend, ref), holds(ctx, e.Backend, moved, r)); err != nil {
			return fmt.Errorf("after a move: %w", err)
		}
		ref = moved
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	return absent(ctx, e.Backend, ref)
}

func namesOfRuns(ctx context.Context, e *Env) error {
	project, target := e.Project(), e.Project()
	witness := trackio.RunRef{Project: project, ID: e.Key()}
	untouched := withMedia(e.Key(), "witness", newFile("0/a.png", []byte("the witness's")))
	if _, err := put(ctx, e.Backend, witness, untouched); err != nil {
		return err
	}
	for _, name := range append(odd(), "", "witness") {
		r := withMedia(e.Key(), name, newFile("0/a.png", []byte("of "+name)))
		if err := lifeOf(ctx, e, trackio.RunRef{Project: project, ID: e.Key()}, target, r); err != nil {
			return fmt.Errorf("a run named %q: %w", short(name), err)
		}
	}
	return holds(ctx, e.Backend, witness, untouched)
}

func namesAsIDs(ctx context.Context, e *Env) error {
	project, target := e.Project(), e.Project()
	// All at once, so that ids that a storage confuses get in each other's way.
	runs := map[trackio.RunRef]run{}
	for i, id := range odd() {
		runs[trackio.RunRef{Project: project, ID: id}] = withMedia(e.Key(), "one name", newFile("0/a.png", fmt.Append(nil, i)))
	}
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	infos, err := listRuns(ctx, e.Backend, project, trackio.ListOptions{})
	if err != nil {
		return fmt.Errorf("ListRuns: %w", err)
	}
	if len(infos) != len(runs) {
		return fmt.Errorf("ListRuns lists %d runs, want %d", len(infos), len(runs))
	}
	for ref, r := range runs {
		if err := restOfLife(ctx, e, ref, target, r); err != nil {
			return fmt.Errorf("a run with the id %q: %w", short(ref.ID), err)
		}
	}
	return nil
}

// short cuts a long name for a message.
func short(name string) string {
	if r := []rune(name); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return name
}

func namesCrossed(ctx context.Context, e *Env) error {
	project := e.Project()
	x, y := e.Key(), e.Key()
	runs := map[trackio.RunRef]run{
		{Project: project, ID: x}:       withMedia(e.Key(), y, newFile("0/a.png", []byte("x named y"))),
		{Project: project, ID: y}:       withMedia(e.Key(), x, newFile("0/a.png", []byte("y named x"))),
		{Project: project, ID: project}: withMedia(e.Key(), project, newFile("0/a.png", []byte("like the project"))),
	}
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	if err := holdsAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	gone := trackio.RunRef{Project: project, ID: x}
	if err := e.Backend.DeleteRun(ctx, gone, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(gone), err)
	}
	delete(runs, gone)
	if err := absent(ctx, e.Backend, gone); err != nil {
		return err
	}
	return holdsAll(ctx, e.Backend, runs)
}

func namesPatterns(ctx context.Context, e *Env) error {
	project, target := e.Project(), e.Project()
	key := e.Key()
	runs := map[trackio.RunRef]run{}
	for _, id := range []string{"run", "Run", "run ", "run1", "run10", "r_n", "r%", "r*", "r?n", "[r]un", "run/", "run/1", "r%n", "*", "%"} {
		runs[trackio.RunRef{Project: project, ID: key + id}] = withMedia(e.Key(), id, newFile("0/a.png", []byte(id)))
	}
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	for _, id := range []string{"r*", "r%", "r_n", "[r]un", "run", "run/"} {
		ref := trackio.RunRef{Project: project, ID: key + id}
		if mover, ok := trackio.As[trackio.Mover](e.Backend); ok {
			if _, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{}); err != nil {
				return fmt.Errorf("MoveRun(%s): %w", at(ref), err)
			}
		} else if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
			return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
		}
		delete(runs, ref)
		if err := absent(ctx, e.Backend, ref); err != nil {
			return err
		}
		if err := holdsAll(ctx, e.Backend, runs); err != nil {
			return fmt.Errorf("after the run %q was taken out: %w", id, err)
		}
	}
	return nil
}

func namesOfProjects(ctx context.Context, e *Env) error {
	var projects []string
	for _, prefix := range []string{"backendtest_", "-lead-", "_", "__", "9", "日本語-", "Ünïcode-", "٣", "e-mail_", "registry", "a_system-", "Ⅷ", strings.Repeat("p", 150), "default-"} {
		if name := e.NamedProject(prefix); trackio.CanonicalProject(name) == name {
			projects = append(projects, name)
		} else {
			return fmt.Errorf("the check itself is wrong: %q is not canonical", name)
		}
	}
	target := e.Project()
	for _, project := range projects {
		r := withMedia(e.Key(), project, newFile("0/a.png", []byte(project)))
		kept := trackio.RunRef{Project: project, ID: "kept"}
		if _, err := put(ctx, e.Backend, kept, r); err != nil {
			return fmt.Errorf("project %q: %w", project, err)
		}
		if err := lifeOf(ctx, e, trackio.RunRef{Project: project, ID: "life"}, target, full(e.Key(), "a").delivered()); err != nil {
			return fmt.Errorf("project %q: %w", project, err)
		}
		if err := lifeOf(ctx, e, trackio.RunRef{Project: target, ID: "life"}, project, small(e.Key(), "a")); err != nil {
			return fmt.Errorf("into project %q: %w", project, err)
		}
		if err := holds(ctx, e.Backend, kept, r); err != nil {
			return fmt.Errorf("project %q: %w", project, err)
		}
	}
	listed, err := collect(e.Backend.ListProjects(ctx))
	if err != nil {
		return fmt.Errorf("ListProjects: %w", err)
	}
	for _, project := range projects {
		if !slices.Contains(listed, project) {
			return fmt.Errorf("ListProjects yields %q, want %q among them", listed, project)
		}
	}
	return nil
}
