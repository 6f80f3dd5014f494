package bucket

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/trackio-go/trackio/trackio"
)

const (
	hintLogin       = "sign in again, for example with `aws sso login`, or renew the session token"
	hintKeys        = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile"
	hintCredentials = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile (AWS_PROFILE or profile=), and sign in if it uses SSO"
	hintAccess      = "ask for s3:ListBucket, s3:GetObject and, to write, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload"
)

func (s *s3Store) explain(err error) verdict { return explainS3(err) }

// explainS3 goes by the code in the answer; a HEAD's answer has a status alone.
func explainS3(err error) verdict {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return explainAWS(err)
	}
	code, status := api.ErrorCode(), 0
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	permission := func(text, hint string) verdict {
		return verdict{kind: trackio.ErrPermission, text: text, hint: hint}
	}
	switch code {
	case "NoSuchKey":
		return verdict{kind: trackio.ErrNotFound, text: "no such object", absent: true}
	case "NotFound": // what the SDK makes of any 404; of a HEAD there is no more
		if response == nil || response.Response == nil || response.Response.Request == nil || response.Response.Request.Method != http.MethodHead {
			return verdict{kind: trackio.ErrUnavailable, text: "no S3 answers here", hint: "check the endpoint"}
		}
		return verdict{kind: trackio.ErrNotFound, text: "no such object", absent: true}
	case "NoSuchBucket":
		return verdict{kind: trackio.ErrNotFound, text: "the bucket does not exist", hint: "check its name, region and endpoint, or create it", bucket: true}
	case "PreconditionFailed", "ConditionalRequestConflict":
		return verdict{kind: trackio.ErrConflict, text: "another object is there", exists: true}
	case "NotImplemented":
		return verdict{kind: errors.ErrUnsupported, text: "the store has no such function", hint: hintConditional}
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "UnauthorizedException":
		return permission("the login has expired", hintLogin)
	case "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException":
		return permission("the store does not know the access key", hintKeys)
	case "SignatureDoesNotMatch":
		return permission("the secret key is wrong", hintKeys)
	case "InvalidToken":
		return permission("the session token is not valid", hintLogin)
	case "RequestTimeTooSkewed":
		return permission("this machine's clock is wrong", "set the clock; the store refuses requests that are minutes off")
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "MovedPermanently", "IllegalLocationConstraintException":
		return wrongRegion(api, response)
	case "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem":
		return permission("access denied", hintAccess)
	case "SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests":
		return verdict{kind: trackio.ErrUnavailable, text: "the store is too busy", hint: "try again later", busy: true}
	case "InvalidBucketName":
		return verdict{kind: trackio.ErrInvalid, text: "the store does not accept the bucket's name", hint: "check the URL"}
	case "KeyTooLongError":
		return verdict{kind: trackio.ErrInvalid, text: "the name is too long for the store"}
	}
	switch {
	case status == http.StatusMovedPermanently, status == http.StatusTemporaryRedirect:
		return wrongRegion(api, response)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return permission("access denied", hintAccess)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return verdict{kind: trackio.ErrUnavailable, text: "the store is too busy", hint: "try again later", busy: true}
	case status == http.StatusRequestedRangeNotSatisfiable:
		return verdict{kind: trackio.ErrInvalid, text: "the object is shorter than that", beyond: true}
	case status == http.StatusNotFound:
		return verdict{kind: trackio.ErrUnavailable, text: "no S3 answers here", hint: "check the endpoint"}
	case status >= 400 && status < 500:
		return verdict{kind: trackio.ErrInvalid, text: "the store does not accept the request (" + code + ")", hint: "check the endpoint and the options of the URL"}
	}
	return explainAWS(err)
}

// wrongRegion names the region that the store asks for, if it says so.
func wrongRegion(api smithy.APIError, response *awshttp.ResponseError) verdict {
	region := ""
	if response != nil && response.Response != nil {
		region = response.Response.Header.Get("X-Amz-Bucket-Region")
	}
	if match := expectedRegion.FindStringSubmatch(api.ErrorMessage()); region == "" && match != nil {
		region = match[1]
	}
	v := verdict{kind: trackio.ErrInvalid, text: "the bucket is in another region", hint: "set region= to the bucket's region"}
	if region != "" {
		v.text, v.hint = "the bucket is in the region "+region, "set region="+region
	}
	return v
}

var expectedRegion = regexp.MustCompile(`expecting '([a-z0-9-]+)'`)

// explainAWS explains what fails before a request is sent: finding out who asks.
func explainAWS(err error) verdict {
	var token *ssocreds.InvalidTokenError
	var profile config.SharedConfigProfileNotExistError
	text := err.Error() // these have no types of their own
	var login *loginError
	switch {
	case errors.As(err, &token), strings.Contains(text, "refresh cached SSO token failed"), strings.Contains(text, "SSO session"),
		strings.Contains(text, "cached SSO token"), strings.Contains(text, "login credentials"):
		return verdict{kind: trackio.ErrPermission, text: "the login has expired", hint: hintLogin}
	case errors.As(err, &profile):
		return verdict{kind: trackio.ErrInvalid, text: "there is no AWS profile " + profile.Profile, hint: "check AWS_PROFILE, profile= and ~/.aws/config"}
	case strings.Contains(text, "failed to refresh cached credentials"), strings.Contains(text, "get credentials"),
		strings.Contains(text, "failed to retrieve credentials"), strings.Contains(text, "no EC2 IMDS role found"):
		return verdict{kind: trackio.ErrPermission, text: "no credentials", hint: hintCredentials}
	case errors.As(err, &login):
		if v, network := networkVerdict(err); network {
			v.text = "signing in: " + v.text
			return v
		}
		return verdict{kind: trackio.ErrPermission, text: "no credentials", hint: hintCredentials}
	case strings.Contains(text, "failed to load shared config"), strings.Contains(text, "failed to parse"):
		return verdict{kind: trackio.ErrInvalid, text: "the AWS configuration cannot be read", hint: "check ~/.aws/config and ~/.aws/credentials"}
	case strings.Contains(text, "deserialization failed"):
		return verdict{kind: trackio.ErrUnavailable, text: "no S3 answers here", hint: "check the endpoint"}
	}
	return verdict{kind: trackio.ErrUnavailable, text: "the store failed", hint: "try again"}
}

// deleteError is an entry among the errors of a DeleteObjects.
func deleteError(failed types.Error) error {
	var code, message string
	if failed.Code != nil {
		code = *failed.Code
	}
	if failed.Message != nil {
		message = *failed.Message
	}
	err := &smithy.GenericAPIError{Code: code, Message: message}
	if failed.Key == nil {
		return err
	}
	return &keyError{*failed.Key, err}
}

func retriableDelete(failed types.Error) bool {
	if failed.Code == nil {
		return false
	}
	switch *failed.Code {
	case "InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted":
		return true
	}
	return false
}
