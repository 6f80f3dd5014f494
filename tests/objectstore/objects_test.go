package objectstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/zstd"

	"github.com/trackio-go/trackio/tests/servers"
)

// rawBucket reads a bucket without any code of the backend, as another program
// would that knows docs/object-store-layout.md.
type rawBucket struct {
	client *awss3.Client
	name   string
}

func rawBucketOf(t *testing.T, server *servers.Server, bucket string) rawBucket {
	u, err := url.Parse(bucket)
	if err != nil {
		t.Fatal(err)
	}
	return rawBucket{client: server.S3(), name: u.Host}
}

func (b rawBucket) keys(ctx context.Context) (map[string]int64, error) {
	keys := map[string]int64{}
	for pages := awss3.NewListObjectsV2Paginator(b.client, &awss3.ListObjectsV2Input{Bucket: &b.name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			keys[*object.Key] = aws.ToInt64(object.Size)
		}
	}
	return keys, nil
}

func (b rawBucket) get(ctx context.Context, key string) (body []byte, err error) {
	object, err := b.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	return io.ReadAll(object.Body)
}

// replayed is what the log says, from its first commit on: data directories by
// project and id.
func (b rawBucket) replayed(ctx context.Context, keys map[string]int64) (runs map[[2]string]string, commits int, err error) {
	runs = map[[2]string]string{}
	for n := 1; ; n++ {
		key := fmt.Sprintf("log/%020d.json", n)
		if _, ok := keys[key]; !ok {
			return runs, n - 1, nil
		}
		body, err := b.get(ctx, key)
		if err != nil {
			return nil, 0, err
		}
		var commit struct {
			Actions []struct {
				Action, Project, ID, To string
				All                     bool
				Run                     struct{ ID, Data string }
			}
		}
		if err := json.Unmarshal(body, &commit); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", key, err)
		}
		for _, a := range commit.Actions {
			at := [2]string{a.Project, a.ID}
			switch _, there := runs[at]; {
			case a.Action == "add":
				runs[[2]string{a.Project, a.Run.ID}] = a.Run.Data
			case a.Action == "fence":
			case a.All:
				for at := range runs {
					if at[0] == a.Project {
						delete(runs, at)
					}
				}
			case !there:
				return nil, 0, fmt.Errorf("%s: %s of run %s, which is not in %s", key, a.Action, a.ID, a.Project)
			case a.Action == "remove":
				delete(runs, at)
			case a.Action == "move":
				delete(runs, at)
				runs[[2]string{a.To, a.ID}] = a.Run.Data
			case a.Action == "rename":
			default:
				return nil, 0, fmt.Errorf("%s: action %q", key, a.Action)
			}
		}
	}
}

// dataKeys are the objects of a data directory, as its manifest says.
func (b rawBucket) dataKeys(ctx context.Context, data string) ([]string, error) {
	dir := "data/" + data + "/"
	body, err := b.get(ctx, dir+"manifest.json")
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Files map[string]struct{ Key string }
		Media *struct{ Key string }
	}
	if err := json.Unmarshal(body, &manifest); err != nil {
		return nil, err
	}
	keys := []string{dir + "manifest.json"}
	for _, f := range manifest.Files {
		keys = append(keys, dir+f.Key)
	}
	if manifest.Media == nil {
		return keys, nil
	}
	keys = append(keys, dir+manifest.Media.Key)
	if body, err = b.get(ctx, dir+manifest.Media.Key); err != nil {
		return nil, err
	}
	unpacked, err := zstd.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer unpacked.Close()
	for lines := json.NewDecoder(unpacked); lines.More(); {
		var file struct {
			Key     string
			Missing bool
		}
		if err := lines.Decode(&file); err != nil {
			return nil, err
		}
		if !file.Missing {
			keys = append(keys, dir+file.Key)
		}
	}
	return keys, nil
}

// checkObjects sees that the bucket holds what the log says and no other object.
func checkObjects(ctx context.Context, t *testing.T, server *servers.Server, bucket string) {
	t.Helper()
	b := rawBucketOf(t, server, bucket)
	keys, err := b.keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	total := len(keys)
	runs, commits, err := b.replayed(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(key string) {
		if _, ok := keys[key]; !ok {
			t.Errorf("object %s is missing", key)
		}
		delete(keys, key)
	}
	for n := range commits {
		expect(fmt.Sprintf("log/%020d.json", n+1))
	}
	for at, data := range runs {
		objects, err := b.dataKeys(ctx, data)
		if err != nil {
			t.Errorf("run %s of %s: %v", at[1], at[0], err)
		}
		for _, key := range objects {
			expect(key)
		}
	}
	expect("store.json")
	if commits >= 16 {
		newest := fmt.Sprintf("state/%020d.json", commits-commits%16)
		expect("state/latest")
		expect(newest)
		body, err := b.get(ctx, newest)
		if err != nil {
			t.Fatal(err)
		}
		var checkpoint struct {
			Projects map[string]struct{ Part string }
		}
		if err := json.Unmarshal(body, &checkpoint); err != nil {
			t.Fatal(err)
		}
		for _, project := range checkpoint.Projects {
			expect(project.Part)
		}
	}
	var left []string
	for key := range keys {
		left = append(left, key)
	}
	slices.Sort(left)
	if len(left) > 0 {
		t.Errorf("%d objects that nothing knows:\n%s", len(left), strings.Join(left, "\n"))
	}
	t.Logf("%d objects: %d commits, %d runs, and nothing that they do not know", total, commits, len(runs))
}
