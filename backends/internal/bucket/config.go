package bucket

import (
	"context"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// defaultTimeout is how long a call may wait for a store.
const defaultTimeout = 15 * time.Second

// openTimeout bounds [Open], whatever the timeout of a call.
const openTimeout = 10 * time.Second

// Config says which bucket and how to reach it. What it leaves empty comes from
// the URL's query, then from the environment of the cloud (AWS_* variables and
// shared profiles with SSO; Google's application default credentials and
// STORAGE_EMULATOR_HOST; AZURE_STORAGE_* and Azure's default credentials).
type Config struct {
	// URL is a gocloud URL: s3://bucket, gs://bucket, azblob://container,
	// file:///directory, mem://name. Its query may have prefix=PATH, to which a
	// slash is added, and the options that gocloud gives the scheme, such as
	// endpoint, region, profile and use_path_style for s3.
	URL string

	Endpoint string // the URL of an S3-compatible server
	Region   string // of S3
	Profile  string // of the shared AWS configuration

	// PathStyle puts the bucket into the path of requests to S3 instead of the
	// host name. With an endpoint that is so unless use_path_style=false.
	PathStyle bool

	// ReadOnly refuses every write, creates no directory and takes no lock.
	ReadOnly bool

	// Shared lets other processes use a file:// directory at the same time.
	// Without it one process has the directory, and others get ErrConflict.
	Shared bool

	// Timeout is how long a call may wait for the store; 15 seconds if zero.
	// Bodies may take as long as their bytes keep moving.
	Timeout time.Duration
}

// location is a Config whose URL is taken apart.
type location struct {
	Config
	scheme string
	host   string // the bucket
	path   string // of file
	prefix string
	query  url.Values // without prefix
	stall  time.Duration
	count  *requests
}

// Open opens a bucket and makes sure within ten seconds that it is there and
// can be read.
func Open(ctx context.Context, config Config) (*Bucket, error) {
	at, err := parse(config)
	if err != nil {
		return nil, err
	}
	b := &Bucket{
		name: at.name(), prefix: at.prefix, timeout: at.Timeout, readOnly: config.ReadOnly, requests: at.count,
	}
	call, cancel := context.WithTimeout(ctx, min(openTimeout, at.Timeout))
	defer cancel()
	b.store, err = at.open(call)
	if err != nil {
		b.store = unopened{at: at}
		return nil, b.fault(ctx, opening, "", err)
	}
	if err := b.store.ping(call, at.prefix); err != nil {
		err = b.fault(ctx, opening, "", err)
		_ = b.store.close()
		return nil, err
	}
	return b, nil
}

func (at *location) open(ctx context.Context) (store, error) {
	switch at.scheme {
	case "s3":
		return openS3(ctx, at)
	case "gs":
		return openGCS(ctx, at)
	case "azblob":
		return openAzure(at)
	case "file":
		return openDirectory(at)
	case "mem":
		return openMemory(at.host)
	}
	return nil, errScheme(at)
}

func parse(config Config) (*location, error) {
	invalid := func(format string, args ...any) error {
		return trackio.Errorf(trackio.ErrInvalid, format, args...).
			WithHint("a bucket is written like s3://bucket?region=eu-west-1&prefix=trackio/, a directory like file:///data/runs")
	}
	shown := withoutSecrets(config.URL)
	u, err := url.Parse(config.URL)
	if err != nil || u.Scheme == "" {
		return nil, invalid("%q is not the URL of a bucket", shown)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalid("the query of %q cannot be read", shown)
	}
	at := &location{
		Config: config, scheme: u.Scheme, host: u.Host, path: u.Path, query: query, count: new(requests),
	}
	switch {
	case u.User != nil:
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s://%s: credentials do not belong into a URL", u.Scheme, u.Host).
			WithHint("they come from the environment of the cloud, as for its own tools, or from a profile")
	case u.Scheme != "mem" && u.Scheme != "file" && u.Host == "":
		return nil, invalid("%q names no bucket", shown)
	case u.Scheme != "file" && strings.Trim(u.Path, "/") != "":
		return nil, invalid("%q: the path within a bucket is given as prefix=", shown)
	}
	prefix := strings.Trim(at.take("prefix"), "/")
	if prefix != "" {
		if problem := keyProblem(prefix); problem != "" {
			return nil, invalid("the prefix of %q: %s", shown, problem)
		}
		at.prefix = prefix + "/"
	}
	if at.Timeout <= 0 {
		at.Timeout = defaultTimeout
	}
	at.stall = at.Timeout * 2 / 3
	return at, nil
}

// withoutSecrets is a URL, or what should be one, without the parts in which
// people put credentials: what is before the host, and the query.
func withoutSecrets(text string) string {
	text, _, _ = strings.Cut(text, "?")
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
}

// name is the URL as messages show it.
func (at *location) name() string {
	name := at.scheme + "://" + at.host
	if at.scheme == "file" {
		name += at.path
	}
	if at.prefix != "" {
		name = strings.TrimSuffix(name, "/") + "/" + strings.TrimSuffix(at.prefix, "/")
	}
	return name
}

// take returns an option of the query and takes it out.
func (at *location) take(option string) string {
	value := at.query.Get(option)
	at.query.Del(option)
	return value
}

// takeBool is take for options that are true or false; nil when not given.
func (at *location) takeBool(option string) (*bool, error) {
	text := at.take(option)
	if text == "" {
		return nil, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s: %s=%s is neither true nor false", at.name(), option, text)
	}
	return &value, nil
}

// done fails if the query has options that nobody took.
func (at *location) done() error {
	if len(at.query) == 0 {
		return nil
	}
	var unknown []string
	for option := range at.query {
		unknown = append(unknown, option)
	}
	sort.Strings(unknown)
	return trackio.Errorf(trackio.ErrInvalid, "%s: unknown option %s", at.name(), strings.Join(unknown, ", ")).
		WithHint("the options of a %s:// URL are those of gocloud.dev", at.scheme)
}

// unopened explains what failed before there was a store.
type unopened struct {
	store
	at *location
}

func (u unopened) explain(err error) verdict {
	switch u.at.scheme {
	case "s3":
		return explainS3(err)
	case "gs":
		return explainGCS(err)
	case "azblob":
		return explainAzure(err)
	case "file":
		return explainDisk(err, u.at.path)
	}
	return explainAny(err)
}
