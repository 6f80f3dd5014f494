package bucket

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/trackio-go/trackio/trackio"
)

// triesOfRequest is how often a request is sent that failed in a way that may
// pass, with up to longestPause between.
const (
	triesOfRequest = 5
	longestPause   = 2 * time.Second
)

// awsConfig is the configuration of the environment, changed by what the URL
// and the Config say. The options are those of gocloud.
func awsConfig(ctx context.Context, at *location) (aws.Config, error) {
	options, err := awsOptions(at)
	if err != nil {
		return aws.Config{}, err
	}
	endpoint, role := at.take("endpoint"), at.take("role")
	at.take("hostname_immutable") // an endpoint is always taken as it stands
	at.take("awssdk")
	if err := at.done(); err != nil {
		return aws.Config{}, err
	}
	if at.Endpoint != "" {
		endpoint = at.Endpoint
	}
	if endpoint != "" {
		if err := CheckEndpoint(endpoint); err != nil {
			return aws.Config{}, err
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, err
	}
	if cfg.Region == "" {
		// Most compatible servers take any region, and S3 answers a wrong one
		// with the name of the right one.
		cfg.Region = "us-east-1"
	}
	if role != "" {
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role))
	}
	if endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	if cfg.Credentials != nil && !aws.IsCredentialsProvider(cfg.Credentials, aws.AnonymousCredentials{}) {
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			return aws.Config{}, &loginError{err}
		}
	}
	return cfg, nil
}

func awsOptions(at *location) ([]func(*config.LoadOptions) error, error) {
	options := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}), // errors are returned; nothing is said on stderr
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) {
			o.Client = quickMetadata{imds.New(imds.Options{})} // the SDK's own comes later, if there is none
		}),
	}
	region, profile := at.take("region"), at.take("profile")
	if at.Region != "" {
		region = at.Region
	}
	if at.Profile != "" {
		profile = at.Profile
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	limiter := retry.RateLimiter(ratelimit.None)
	if text := at.take("rate_limiter_capacity"); text != "" {
		capacity, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, trackio.Errorf(trackio.ErrInvalid, "%s: rate_limiter_capacity=%s is not a number", at.name(), text)
		}
		limiter = ratelimit.NewTokenRateLimit(uint(capacity))
	}
	options = append(options, config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.RateLimiter = triesOfRequest, limiter
			o.Backoff = retry.BackoffDelayerFunc(func(try int, _ error) (time.Duration, error) { return pauseBefore(2 * try), nil })
			// A silence has taken its time already.
			o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				if isTimeout(err) {
					return aws.FalseTernary
				}
				return aws.UnknownTernary
			})}, o.Retryables...)
		})
	}))
	for option, apply := range map[string]func(){
		"dualstack": func() { options = append(options, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled)) },
		"fips":      func() { options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled)) },
		"anonymous": func() { options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{})) },
	} {
		value, err := at.takeBool(option)
		if err != nil {
			return nil, err
		}
		if value != nil && *value {
			apply()
		}
	}
	if strings.EqualFold(at.take("request_checksum_calculation"), "when_required") {
		options = append(options, config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired))
	}
	if strings.EqualFold(at.take("response_checksum_validation"), "when_required") {
		options = append(options, config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired))
	}
	return options, nil
}

// quickMetadata asks EC2's metadata service for credentials, which is the last
// resort everywhere: where there is none, such as on a laptop, that must not
// take the five seconds of the SDK.
type quickMetadata struct {
	ec2rolecreds.GetMetadataAPIClient
}

func (q quickMetadata) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, options ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return q.GetMetadataAPIClient.GetMetadata(ctx, in, options...)
}
