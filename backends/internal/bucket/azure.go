package bucket

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob/azureblob"

	"github.com/trackio-go/trackio/trackio"
)

// azureStore is a container of Azure's, through gocloud with a client of our own.
type azureStore struct {
	gocloud
	idle func()
}

// openAzure finds account and credentials as gocloud does: AZURE_STORAGE_ACCOUNT
// with AZURE_STORAGE_KEY, a SAS token or a connection string, or else Azure's
// default credentials (environment, workload identity, `az login`).
func openAzure(at *location) (store, error) {
	options := azureblob.NewDefaultServiceURLOptions()
	home := *options
	for option, field := range map[string]*string{
		"domain": &options.StorageDomain, "protocol": &options.Protocol, "storage_account": &options.AccountName,
	} {
		if value := at.take(option); value != "" {
			*field = value
		}
	}
	for option, field := range map[string]*bool{"cdn": &options.IsCDN, "localemu": &options.IsLocalEmulator} {
		value, err := at.takeBool(option)
		if err != nil {
			return nil, err
		}
		if value != nil {
			*field = *value
		}
	}
	if err := at.done(); err != nil {
		return nil, err
	}
	if options.AccountName == "" {
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s: no storage account", at.name()).
			WithHint("set AZURE_STORAGE_ACCOUNT, or storage_account= in the URL")
	}
	if options.SASToken != "" && (options.StorageDomain != home.StorageDomain || options.AccountName != home.AccountName || options.Protocol != home.Protocol) {
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s: a URL may not send AZURE_STORAGE_SAS_TOKEN to another server", at.name()).
			WithHint("name the server with AZURE_STORAGE_DOMAIN and AZURE_STORAGE_ACCOUNT")
	}
	service, err := azureblob.NewServiceURL(options)
	if err != nil {
		return nil, err
	}
	transport := newTransport(at.stall, at.count)
	client, err := azureClient(string(service), at.host, options, transport)
	if err != nil {
		return nil, err
	}
	opened, err := azureblob.OpenBucket(context.Background(), client, nil)
	if err != nil {
		return nil, err
	}
	return &azureStore{gocloud: gocloud{opened}, idle: transport.CloseIdleConnections}, nil
}

func azureClient(service, name string, options *azureblob.ServiceURLOptions, transport http.RoundTripper) (*container.Client, error) {
	common := azcore.ClientOptions{
		Transport: &http.Client{Transport: transport},
		Retry:     policy.RetryOptions{MaxRetries: triesOfRequest - 1, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: longestPause, ShouldRetry: retryAzure},
	}
	clientOptions := &container.ClientOptions{ClientOptions: common}
	base, query, _ := strings.Cut(service, "?")
	url := strings.TrimSuffix(base, "/") + "/" + name
	if query != "" {
		url += "?" + query
	}
	connection := os.Getenv("AZURE_STORAGE_CONNECTION_STRING")
	if connection == "" {
		connection = os.Getenv("AZURE_STORAGEBLOB_CONNECTIONSTRING")
	}
	switch key := os.Getenv("AZURE_STORAGE_KEY"); {
	case key != "":
		shared, err := azblob.NewSharedKeyCredential(options.AccountName, key)
		if err != nil {
			return nil, trackio.Errorf(trackio.ErrInvalid, "AZURE_STORAGE_KEY is not a key of Azure's storage").
				WithHint("it is base64 text")
		}
		return container.NewClientWithSharedKeyCredential(url, shared, clientOptions)
	case options.SASToken != "":
		return container.NewClientWithNoCredential(url, clientOptions)
	case connection != "":
		return container.NewClientFromConnectionString(connection, name, clientOptions)
	}
	identity, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return container.NewClient(url, identity, clientOptions)
}

func retryAzure(answer *http.Response, err error) bool {
	if err != nil {
		return !isTimeout(err) // a silence has taken its time already
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func (a *azureStore) close() error {
	a.idle()
	return a.gocloud.close()
}

// list sorts in memory: gocloud escapes ordinary characters of a key (such as %
// and #), and the service sorts the escaped.
func (a *azureStore) list(ctx context.Context, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var all []Entry
		for entry, err := range a.gocloud.list(ctx, prefix, after) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			all = append(all, entry)
		}
		slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
		for _, entry := range all {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

func (a *azureStore) write(ctx context.Context, key string, body []byte, contentType string, onlyNew bool) error {
	if onlyNew {
		ctx = policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1}) // one attempt
	}
	return a.gocloud.write(ctx, key, body, contentType, onlyNew)
}

func (a *azureStore) explain(err error) verdict { return explainAzure(err) }

func explainAzure(err error) verdict {
	var response *azcore.ResponseError
	if !errors.As(err, &response) {
		var unavailable interface{ NonRetriable() }
		if errors.As(err, &unavailable) && strings.Contains(err.Error(), "Credential") {
			return verdict{kind: trackio.ErrPermission, text: "no credentials, or an expired login", hint: "set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or sign in with `az login`"}
		}
		return explainAny(err)
	}
	permission := func(text, hint string) verdict {
		return verdict{kind: trackio.ErrPermission, text: text, hint: hint}
	}
	switch bloberror.Code(response.ErrorCode) {
	case bloberror.BlobNotFound:
		return verdict{kind: trackio.ErrNotFound, text: "no such object", absent: true}
	case bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted:
		return verdict{kind: trackio.ErrNotFound, text: "the container does not exist", hint: "check its name and the storage account, or create it", bucket: true}
	case bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.TargetConditionNotMet:
		return verdict{kind: trackio.ErrConflict, text: "another object is there", exists: true}
	case bloberror.AuthenticationFailed:
		return permission("the store does not accept the credentials, or they have expired", "check AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or sign in again with `az login`")
	case bloberror.ServerBusy, bloberror.OperationTimedOut:
		return verdict{kind: trackio.ErrUnavailable, text: "the store is too busy", hint: "try again later", busy: response.StatusCode == http.StatusServiceUnavailable}
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized, response.StatusCode == http.StatusForbidden:
		return permission("access denied", "ask for the role Storage Blob Data Contributor on the container (Reader to read)")
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return verdict{kind: trackio.ErrInvalid, text: "the object is shorter than that", beyond: true}
	case response.StatusCode == http.StatusNotFound:
		return verdict{kind: trackio.ErrUnavailable, text: "no Azure storage answers here", hint: "check the account and the domain"}
	case response.StatusCode == http.StatusTooManyRequests, response.StatusCode == http.StatusServiceUnavailable:
		return verdict{kind: trackio.ErrUnavailable, text: "the store is too busy", hint: "try again later", busy: true}
	case response.StatusCode >= 400 && response.StatusCode < 500:
		return verdict{kind: trackio.ErrInvalid, text: "the store does not accept the request (" + response.ErrorCode + ")"}
	}
	return verdict{kind: trackio.ErrUnavailable, text: "the store failed", hint: "try again"}
}
