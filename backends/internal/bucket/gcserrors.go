package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/trackio-go/trackio/trackio"
)

const hintGoogleLogin = "sign in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"

func (g *gcsStore) explain(err error) verdict { return explainGCS(err) }

func explainGCS(err error) verdict {
	var token *oauth2.RetrieveError
	var api *googleapi.Error
	permission := func(text, hint string) verdict {
		return verdict{kind: trackio.ErrPermission, text: text, hint: hint}
	}
	switch {
	case errors.Is(err, errNoGoogleLogin):
		return permission("no credentials", hintGoogleLogin)
	case errors.As(err, &token):
		return permission("the login has expired", hintGoogleLogin)
	case !errors.As(err, &api):
		if strings.Contains(err.Error(), "oauth2") {
			return permission("the login has expired", hintGoogleLogin)
		}
		return verdict{kind: trackio.ErrUnavailable, text: "the store failed", hint: "try again"}
	}
	switch api.Code {
	case http.StatusNotFound:
		if errors.Is(err, errNoBucket) || says(api, "bucket does not exist") || says(api, "bucket not found") {
			return verdict{kind: trackio.ErrNotFound, text: "the bucket does not exist", hint: "check its name, or create it", bucket: true}
		}
		return verdict{kind: trackio.ErrNotFound, text: "no such object", absent: true}
	case http.StatusPreconditionFailed:
		return verdict{kind: trackio.ErrConflict, text: "another object is there", exists: true}
	case http.StatusRequestedRangeNotSatisfiable:
		return verdict{kind: trackio.ErrInvalid, text: "the object is shorter than that", beyond: true}
	case http.StatusUnauthorized:
		return permission("the store does not accept the credentials, or the login has expired", hintGoogleLogin)
	case http.StatusForbidden:
		return permission("access denied", "ask for the role Storage Object User on the bucket (Object Viewer to read)")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return verdict{kind: trackio.ErrUnavailable, text: "the store is too busy", hint: "try again later", busy: true}
	}
	if api.Code >= 400 && api.Code < 500 {
		return verdict{kind: trackio.ErrInvalid, text: fmt.Sprintf("the store does not accept the request (status %d)", api.Code)}
	}
	return verdict{kind: trackio.ErrUnavailable, text: "the store failed", hint: "try again"}
}

// again repeats a request that failed in a way that may pass.
func again(ctx context.Context, send func() error) error {
	for try := 1; ; try++ {
		err := send()
		if err == nil || try == triesOfRequest || ctx.Err() != nil || !mayPass(err) {
			return err
		}
		if pause(ctx, 2*try) != nil {
			return err
		}
	}
}

func mayPass(err error) bool {
	var api *googleapi.Error
	if errors.As(err, &api) {
		return api.Code == http.StatusTooManyRequests || api.Code == http.StatusRequestTimeout || api.Code >= 500
	}
	var token *oauth2.RetrieveError
	if errors.As(err, &token) {
		return false
	}
	v, network := networkVerdict(err)
	return network && v.kind == trackio.ErrUnavailable && !isTimeout(err) // a silence has taken its time already
}

// byteRange is a Range header; "" for all.
func byteRange(offset, length int64) string {
	switch {
	case length >= 0:
		return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
	case offset > 0:
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return ""
}
