package tests

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// step is one command line of the session.
type step struct {
	args  string // between spaces; what stands between quotes is one word
	code  int
	shows string // among its output, on every storage

	// differs says why the storages have different answers. Where it is empty,
	// every storage prints the same, on both outputs.
	differs string
	sqlite  answer // then
	bucket  answer
}

// answer is what one storage has to say.
type answer struct {
	code  int
	shows string
}

// forgotten is why a project differs whose runs are all gone.
const forgotten = "a project is a file of a directory, and stays; in a bucket it is what its runs say"

// both is a step, and the same with --json.
func both(args string, code int, shows string) []step {
	return []step{{args: args, code: code, shows: shows}, {args: args + " --json", code: code}}
}

func session() []step {
	var all []step
	add := func(steps ...step) { all = append(all, steps...) }

	// Reading.
	add(both("list projects", 0, "live\np\nq\n")...)
	add(both("list runs --project p", 0, "team/größe π")...)
	add(both("list runs --project live", 0, "busy")...)
	add(both("get project --project p", 0, "first")...)
	for _, run := range []string{"--run first", "--run=-quiet", "--run 'only system'", "--run again"} {
		add(both("get run --project p "+run, 0, "p")...)
		add(both("list metrics --project p "+run, 0, "")...)
		add(both("list system-metrics --project p "+run, 0, "")...)
		add(both("list reports --project p "+run, 0, "")...)
		add(both("list alerts --project p "+run, 0, "")...)
		add(both("get system-metric --project p "+run, 0, "")...)
		add(both("get snapshot --project p "+run+" --step 7 --window 100", 0, "")...)
	}
	add(both("get run --project p --run 'team/größe π'", 0, "loss")...)
	add(both("get run --project p --run-id id-pending", 0, "pending")...)
	add(both("list alerts --project p", 0, "of again")...)
	add(both("list alerts --project p --level error", 0, "Spike")...)
	add(both("list alerts --project p --since 2026-01-01T00:02:30", 0, "same time")...)
	add(both("get alerts --project p --run first", 0, "Spike")...)
	add(both("list reports --project p", 0, "notes")...)
	add(both("get report --project p --run first --report notes", 0, "Hi")...)
	add(both("get report --project p --run first --report none", 3, "")...)
	for _, metric := range []string{"loss", "n", "img", "t", "hist", "notes"} {
		add(both("get metric --project p --run first --metric "+metric, 0, "")...)
	}
	add(both("get metric --project p --run first --metric loss --around 2 --window 1", 0, "0.25")...)
	add(both("get metric --project p --run first --metric loss --step 3", 0, "")...)
	add(both("get metric --project p --run first --metric loss --at-time 2026-01-01T00:02:00 --window 60", 0, "")...)
	add(both("get metric --project p --run first --metric lose", 3, "loss")...)
	add(both("get system-metric --project p --run first --metric cpu", 0, "")...)
	add(both("get system-metric --project p --run first --metric none", 3, "")...)
	add(both("get snapshot --project p --run first --step 2", 0, "0.25")...)
	add(both("get snapshot --project p --run first --around 2 --window 1", 0, "loss")...)

	// Names that are none.
	add(both("list runs --project pp", 3, "did you mean")...)
	add(both("get run --project p --run frist", 3, "first")...)
	add(both("get run --project p --run-id id-frist", 3, "")...)
	add(both("get run --project nothing --run first", 3, "")...)
	add(both("list alerts --project nothing", 3, "")...)

	// Names.
	add(step{args: "rename run --project p --run first --name second", shows: "Renamed"})
	add(both("rename run --project p --run-id id-first --name again", 0, "again")...)
	add(both("rename run --project p --run again --name other", 2, "id-old, id-new")...)
	add(both("rename run --project p --run-id id-first --name first", 0, "")...)
	add(both("rename run --project p --run first --name ../up", 2, "")...)
	add(both("rename run --project live --run busy --name idle", 5, "--force")...)
	add(step{args: "rename run --project live --run busy --name idle --force --json", shows: "idle"})
	add(both("get metric --project p --run first --metric loss", 0, "")...)

	// Copies.
	add(step{args: "copy run --project p --run first --to copies", shows: "first"})
	add(both("copy run --project p --run first --to copies", 4, "very same run")...)
	add(both("copy run --project p --run first", 4, "--new-id")...)
	add(step{args: "copy run --project p --run first --to copies --new-id --json"})
	add(both("copy run --project p --run-id id-old --to q", 4, "other content")...)
	add(both("copy run --project p --run pending --to copies", 5, "--force")...)
	add(step{args: "copy run --project p --run pending --to copies --force --json"})
	add(step{args: "copy runs --project p --run=-quiet --run 'only system' --to copies --json"})
	add(both("list runs --project copies", 0, "first")...)
	add(both("get run --project copies --run-id id-first", 0, "")...)

	// Moves.
	add(both("move run --project p --run again --to q", 2, "id-old, id-new")...)
	add(both("move run --project p --run-id id-old --to q", 4, "")...)
	add(both("move run --project p --run first --to p", 2, "")...)
	add(both("move run --project p --run nobody --to q", 3, "")...)
	add(both("move run --project live --run idle --to q", 5, "--force")...)
	add(both("move run --project p --run pending --to q", 5, "--force")...)
	add(step{args: "move run --project p --run pending --to q --force", shows: "Moved"})
	add(step{args: "move run --project p --run first --to 'my new' --json", shows: "mynew"})
	add(step{args: "move runs --project p --run-id id-new --run 'team/größe π' --to q", shows: "Moved"})
	add(both("get run --project mynew --run first", 0, "mynew")...)
	add(both("get snapshot --project mynew --run first --step 0", 0, "")...)
	add(both("list alerts --project mynew", 0, "Spike")...)
	add(both("list alerts --project p", 0, "")...)
	add(both("list runs --project q", 0, "pending")...)
	add(step{args: "move runs --project q --run-id id-new --run nobody --to p", code: 3})
	add(step{args: "move runs --project q --run-id id-new --run-id id-old --to p --json", code: 4, shows: "moved 1 of 2"})
	add(both("list projects", 0, "mynew")...)

	// Deletions.
	add(both("delete run --project q --run x", 2, "--yes")...)
	add(both("delete run --project q --run nobody --yes", 3, "")...)
	add(both("delete run --project live --run idle --yes", 5, "--force")...)
	add(step{args: "delete runs --project live --run done --run idle --yes --json", code: 5, shows: "deleted 1 of 2"})
	add(step{args: "delete run --project live --run idle --yes --force", shows: "Deleted"})
	add(step{args: "delete run --project mynew --run first --yes --json", shows: "mynew"})
	add(step{
		args: "get run --project mynew --run first", differs: forgotten,
		sqlite: answer{3, `run "first" not found`}, bucket: answer{3, `no project "mynew"`},
	})
	add(both("delete project --project q", 2, "--yes")...)
	add(both("delete project --project nothing --yes", 3, "")...)
	add(step{args: "delete project --project q --yes", shows: "Deleted"})
	add(step{args: "delete projects --project copies --yes --json", shows: "copies"})
	add(both("delete project --project copies --yes", 3, "")...)
	add(step{args: "list projects", differs: forgotten, sqlite: answer{0, "live\nmynew\np\n"}, bucket: answer{0, "p\n"}})
	add(both("list runs --project p", 0, "again")...)

	// What one storage has and the other has not.
	add(step{
		args: "doctor", differs: "a bucket's state is one log, of which nothing can be half done",
		sqlite: answer{0, "Nothing is wrong"}, bucket: answer{9, "trackio gc"},
	}, step{
		args: "gc --dry-run --grace 0s", differs: "what was interrupted in a directory is finished or undone by doctor --fix",
		sqlite: answer{9, "trackio doctor --fix"}, bucket: answer{0, ""},
	}, step{
		args: "gc --grace 0s --json", differs: "the same",
		sqlite: answer{9, "does not collect"}, bucket: answer{0, `"dry_run": false`},
	}, step{
		args: "gc --grace 0s", differs: "the same",
		sqlite: answer{9, "does not collect"}, bucket: answer{0, "There is nothing to collect."},
	})
	add(both("gc --grace soon", 2, "--grace")...)
	add(both("list runs --project p", 0, "again")...)
	return all
}

// TestSession: a whole session prints the same on every storage.
func TestSession(t *testing.T) {
	steps := session()
	var first []string
	for i, storage := range storages {
		t.Run(storage.name, func(t *testing.T) {
			p := storage.new(t)
			fillSession(t, p)
			for n, s := range steps {
				out, errOut, code := p.run(t, words(s.args)...)
				want := answer{s.code, s.shows}
				if s.differs != "" {
					want = s.bucket
					if i == 0 {
						want = s.sqlite
					}
				}
				if code != want.code || !strings.Contains(out+errOut, want.shows) {
					t.Errorf("trackio %s: exit code %d, want %d, with %q\n%s%s", s.args, code, want.code, want.shows, out, errOut)
				}
				if strings.HasSuffix(s.args, "--json") && out != "" && !json.Valid([]byte(out)) {
					t.Errorf("trackio %s: no JSON: %q", s.args, out)
				}
				told := neutral(p, "stdout: "+out+"stderr: "+errOut)
				switch {
				case i == 0:
					first = append(first, told)
				case n >= len(first):
					t.Fatal("there is nothing to compare with")
				case s.differs == "" && told != first[n]:
					t.Errorf("trackio %s: the storages differ in %q\n--- %s\n%s\n--- here\n%s", s.args, difference(first[n], told), storages[0].name, first[n], told)
				}
			}
		})
	}
}

// words takes a command line apart, with single quotes.
func words(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

// argued are words of messages in which storages may differ, and why.
var argued = strings.NewReplacer(
	// Programs train into a directory and never into a bucket, which gets no rows
	// that come late,
	": what is logged from then on comes in under the old place", "",
	// no files that wait to be delivered,
	" rows or files that Trackio has", " rows that Trackio has",
	// and which Python cannot deliver from.
	"run Python's `trackio sync --project p` first, or force it: they are then delivered from the new place", "<deliver>",
	"Trackio delivers them from its own directory alone; force it, and they wait in the new place", "<deliver>",
)

var randomID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// neutral takes out what no two runs of the session have in common, where the
// storage is and the random ids of copies, and what may differ.
func neutral(p place, text string) string {
	return argued.Replace(randomID.ReplaceAllString(strings.ReplaceAll(text, p.name, "<storage>"), "<id>"))
}

// difference is the first line of a text that is not in the same place of
// another.
func difference(want, got string) string {
	lines := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(lines) || lines[i] != line {
			return line
		}
	}
	return "what is missing at the end"
}
