package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
)

// gcsStore is a bucket of Google Cloud Storage, reached by the JSON API. Keys
// are the names of objects as they stand.
type gcsStore struct {
	objects *storage.ObjectsService
	bucket  string
	idle    func()
}

// openGCS finds credentials as Google's own programs do: application default
// credentials, unless the URL says anonymous=true or STORAGE_EMULATOR_HOST names
// an emulator.
func openGCS(ctx context.Context, at *location) (store, error) {
	anonymous, err := at.takeBool("anonymous")
	if err != nil {
		return nil, err
	}
	domain := at.take("universe_domain")
	public := anonymous != nil && *anonymous || at.take("access_id") == "-"
	if err := at.done(); err != nil {
		return nil, err
	}
	transport := newTransport(at.stall, at.count)
	client := &http.Client{Transport: transport}
	options := []option.ClientOption{option.WithHTTPClient(client)}
	if domain != "" {
		options = append(options, option.WithUniverseDomain(domain))
	}
	if host := os.Getenv("STORAGE_EMULATOR_HOST"); host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		options = append(options, option.WithEndpoint(strings.TrimSuffix(host, "/")+"/storage/v1/"))
	} else if !public {
		tokens, err := googleTokens(ctx, domain)
		if err != nil {
			return nil, err
		}
		client.Transport = &oauth2.Transport{Source: tokens, Base: transport}
	}
	// The context lives as long as the service; option.WithHTTPClient uses it for nothing.
	service, err := storage.NewService(context.WithoutCancel(ctx), options...)
	if err != nil {
		return nil, err
	}
	return &gcsStore{objects: service.Objects, bucket: at.host, idle: transport.CloseIdleConnections}, nil
}

// errNoGoogleLogin wraps what the search for credentials says.
var errNoGoogleLogin = errors.New("no credentials of Google")

// googleTokens looks for credentials, which may ask the metadata service of a
// machine that has none: that is given two seconds.
func googleTokens(ctx context.Context, domain string) (oauth2.TokenSource, error) {
	type found struct {
		credentials *google.Credentials
		err         error
	}
	answer := make(chan found, 1)
	go func() {
		// Tokens are renewed with this context for as long as the bucket is used.
		credentials, err := google.FindDefaultCredentialsWithParams(context.WithoutCancel(ctx), google.CredentialsParams{
			Scopes: []string{storage.DevstorageReadWriteScope}, UniverseDomain: domain,
		})
		answer <- found{credentials, err}
	}()
	select {
	case f := <-answer:
		if f.err != nil {
			return nil, errors.Join(errNoGoogleLogin, f.err)
		}
		return f.credentials.TokenSource, nil
	case <-time.After(2 * time.Second):
		return nil, errNoGoogleLogin
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errNoBucket marks the "not found" that is the answer to a list.
var errNoBucket = errors.New("no such bucket")

func ofList(err error) error {
	var api *googleapi.Error
	if errors.As(err, &api) && api.Code == http.StatusNotFound {
		return errors.Join(errNoBucket, err)
	}
	return err
}

func (g *gcsStore) ping(ctx context.Context, prefix string) error {
	return ofList(again(ctx, func() error {
		_, err := g.objects.List(g.bucket).Prefix(prefix).MaxResults(1).Fields("items(name)").Context(ctx).Do()
		return err
	}))
}

func (g *gcsStore) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		_, err := g.stat(ctx, key)
		return http.NoBody, err
	}
	var answer *http.Response
	err := again(ctx, func() error {
		call := g.objects.Get(g.bucket, key).Context(ctx)
		call.Header().Set("Cache-Control", "no-cache, no-transform")
		if span := byteRange(offset, length); span != "" {
			call.Header().Set("Range", span)
		}
		var err error
		answer, err = call.Download()
		return err
	})
	if err != nil {
		return nil, err
	}
	if answer.ContentLength < 0 { // compressed in transit; the end of the chunks is its check
		return answer.Body, nil
	}
	return &wholeReader{ReadCloser: answer.Body, left: answer.ContentLength}, nil
}

// write sends the body in one request, which is a multipart body of the API.
func (g *gcsStore) write(ctx context.Context, key string, body []byte, contentType string, onlyNew bool) error {
	send := func() error {
		call := g.insert(key, contentType).Context(ctx)
		if onlyNew {
			call.IfGenerationMatch(0)
		}
		_, err := call.Media(bytes.NewReader(body), googleapi.ContentType(typeOr(contentType)), googleapi.ChunkSize(0)).Do()
		return err
	}
	if onlyNew {
		return send()
	}
	return again(ctx, send)
}

// upload is resumable: it is sent in chunks, each repeated on its own, and there
// is an object when the last has come.
func (g *gcsStore) upload(ctx context.Context, key string, r io.Reader, _ int64, contentType string) error {
	_, err := g.insert(key, contentType).Context(ctx).
		Media(r, googleapi.ContentType(typeOr(contentType)), googleapi.ChunkSize(partSize), googleapi.ChunkRetryDeadline(30*time.Second)).
		WithRetry(&gax.Backoff{Initial: 50 * time.Millisecond, Max: longestPause, Multiplier: 2}, g.passing()).Do()
	return err
}

// passing is mayPass for some requests in a row.
func (g *gcsStore) passing() func(error) bool {
	tries := 0
	return func(err error) bool {
		if !mayPass(err) {
			return false
		}
		tries++
		return tries < 10*triesOfRequest
	}
}

func (g *gcsStore) insert(key, contentType string) *storage.ObjectsInsertCall {
	return g.objects.Insert(g.bucket, &storage.Object{Name: key, ContentType: typeOr(contentType)}).Fields("name")
}

func (g *gcsStore) stat(ctx context.Context, key string) (Attributes, error) {
	var object *storage.Object
	err := again(ctx, func() (err error) {
		object, err = g.objects.Get(g.bucket, key).Fields("size,updated").Context(ctx).Do()
		return err
	})
	if err != nil {
		return Attributes{}, err
	}
	return attributes(object), nil
}

func attributes(object *storage.Object) Attributes {
	updated, err := time.Parse(time.RFC3339Nano, object.Updated)
	if err != nil {
		updated = time.Time{}
	}
	return Attributes{Size: int64(object.Size), ModTime: updated}
}

func (g *gcsStore) list(ctx context.Context, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		page := ""
		for {
			var objects *storage.Objects
			err := again(ctx, func() (err error) {
				call := g.objects.List(g.bucket).Prefix(prefix).MaxResults(1000).PageToken(page).
					Fields("nextPageToken,items(name,size,updated)").Context(ctx)
				if after != "" {
					call.StartOffset(after) // from it on; the caller passes over it
				}
				objects, err = call.Do()
				return err
			})
			if err != nil {
				yield(Entry{}, ofList(err))
				return
			}
			for _, object := range objects.Items {
				a := attributes(object)
				if !yield(Entry{Key: object.Name, Size: a.Size, ModTime: a.ModTime}, nil) {
					return
				}
			}
			if page = objects.NextPageToken; page == "" {
				return
			}
		}
	}
}

func (g *gcsStore) remove(ctx context.Context, keys []string) error {
	return inParallel(ctx, keys, func(ctx context.Context, key string) error {
		err := again(ctx, func() error { return g.objects.Delete(g.bucket, key).Context(ctx).Do() })
		if err != nil && g.explain(err).absent {
			return nil
		}
		return err
	})
}

func (g *gcsStore) close() error {
	g.idle()
	return nil
}

// says reports whether Google's answer has a text, in its message or its body.
func says(api *googleapi.Error, text string) bool {
	if strings.Contains(strings.ToLower(api.Message), text) {
		return true
	}
	var answer struct{ Error struct{ Message string } }
	if json.Unmarshal([]byte(api.Body), &answer) == nil && answer.Error.Message != "" {
		return strings.Contains(strings.ToLower(answer.Error.Message), text)
	}
	return strings.Contains(strings.ToLower(api.Body), text)
}
