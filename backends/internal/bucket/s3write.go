package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func (s *s3Store) write(ctx context.Context, key string, body []byte, contentType string, onlyNew bool) error {
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: aws.String(escapeKey(key)), Body: bytes.NewReader(body),
		ContentType: aws.String(typeOr(contentType)), ContentLength: aws.Int64(int64(len(body))),
		ServerSideEncryption: s.sse.method, SSEKMSKeyId: s.sse.key,
	}
	if !onlyNew {
		_, err := s.client.PutObject(ctx, in)
		return err
	}
	in.IfNoneMatch = aws.String("*")
	_, err := s.client.PutObject(ctx, in, once)
	return err
}

// once sends a request without repeating it.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// upload sends an object in parts. Parts of an upload that does not come to its
// end are removed.
func (s *s3Store) upload(ctx context.Context, key string, r io.Reader, size int64, contentType string) error {
	key = escapeKey(key)
	begun, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: &key, ContentType: aws.String(typeOr(contentType)),
		ChecksumAlgorithm:    s.checksum,
		ServerSideEncryption: s.sse.method, SSEKMSKeyId: s.sse.key,
	})
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, key, begun.UploadId, r, partLength(size))
	if err == nil {
		// Some servers put the parts together now, byte by byte.
		call, cancel := context.WithTimeout(ctx, s.timeout+time.Duration(max(size, 0)>>26)*time.Second)
		_, err = s.client.CompleteMultipartUpload(call, &s3.CompleteMultipartUploadInput{
			Bucket: &s.bucket, Key: &key, UploadId: begun.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}, s.patiently)
		cancel()
		err = s.completed(ctx, key, size, err)
	}
	if err == nil {
		return nil
	}
	// The context may be over already; what it started is cleaned up still.
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, abort := s.client.AbortMultipartUpload(cleanup, &s3.AbortMultipartUploadInput{
		Bucket: &s.bucket, Key: &key, UploadId: begun.UploadId,
	})
	var gone *types.NoSuchUpload
	if abort != nil && !errors.As(abort, &gone) {
		err = errors.Join(err, abort)
	}
	return err
}

// completed settles how CompleteMultipartUpload ended: when it is repeated
// after a lost reply, the upload that it has completed is not found any more.
func (s *s3Store) completed(ctx context.Context, key string, size int64, err error) error {
	var gone *types.NoSuchUpload
	if !errors.As(err, &gone) {
		return err
	}
	at, look := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if look == nil && (size < 0 || aws.ToInt64(at.ContentLength) == size) {
		return nil
	}
	return err
}

func (s *s3Store) patiently(o *s3.Options) { o.HTTPClient = s.patient }

// partLength is large enough for S3's limit of 10,000 parts.
func partLength(size int64) int64 {
	return max(partSize, (size/9000+1<<20-1)&^(1<<20-1))
}

// sendParts reads one part after the other and sends some at a time.
func (s *s3Store) sendParts(ctx context.Context, key string, id *string, r io.Reader, length int64) ([]types.CompletedPart, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		sending sync.WaitGroup
		mu      sync.Mutex
		parts   []types.CompletedPart
		buffers = make(chan []byte, partsAtOnce)
	)
	for range partsAtOnce {
		buffers <- nil
	}
	var err error
	for number := int32(1); err == nil; number++ {
		var buffer []byte
		select {
		case <-ctx.Done():
		case buffer = <-buffers:
		}
		if ctx.Err() != nil {
			break
		}
		if buffer == nil {
			buffer = make([]byte, 0, length)
		}
		buffer, err = readPart(r, buffer[:0])
		if err != nil && err != io.EOF || len(buffer) == 0 && number > 1 {
			break
		}
		mu.Lock()
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(number)})
		mu.Unlock()
		sending.Go(func() {
			part, err := s.sendPart(ctx, key, id, number, buffer)
			if err != nil {
				cancel(fmt.Errorf("part %d: %w", number, err))
				return
			}
			mu.Lock()
			parts[number-1] = part
			mu.Unlock()
			buffers <- buffer
		})
	}
	if err != nil && err != io.EOF {
		cancel(err)
	}
	sending.Wait()
	return parts, context.Cause(ctx)
}

func (s *s3Store) sendPart(ctx context.Context, key string, id *string, number int32, body []byte) (types.CompletedPart, error) {
	sent, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &s.bucket, Key: &key, UploadId: id, PartNumber: &number,
		ChecksumAlgorithm: s.checksum,
		Body:              bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
	})
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{
		PartNumber: &number, ETag: sent.ETag,
		ChecksumCRC32: sent.ChecksumCRC32,
	}, nil
}

const (
	deleteBatch   = 1000 // the limit of DeleteObjects
	batchesAtOnce = 4
)

// remove deletes in batches. What DeleteObjects could not delete stands in the
// body of an answer that says 200.
func (s *s3Store) remove(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, batchesAtOnce)
	var batches sync.WaitGroup
	for start := 0; start < len(keys) && ctx.Err() == nil; start += deleteBatch {
		batch := keys[start:min(start+deleteBatch, len(keys))]
		slots <- struct{}{}
		batches.Go(func() {
			defer func() { <-slots }()
			if err := s.removeBatch(ctx, batch); err != nil {
				cancel(err)
			}
		})
	}
	batches.Wait()
	return context.Cause(ctx)
}

func (s *s3Store) removeBatch(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if len(keys) == 1 {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(escapeKey(keys[0]))})
		if err != nil {
			return &keyError{keys[0], err}
		}
		return nil
	}
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = aws.String(escapeKey(key))
	}
	for try := 1; ; try++ {
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
		}, s.patiently)
		if err != nil {
			return err
		}
		if len(out.Errors) == 0 {
			return nil
		}
		objects = objects[:0]
		for _, failed := range out.Errors {
			if err := deleteError(failed); !retriableDelete(failed) || try == triesOfRequest {
				return err
			}
			objects = append(objects, types.ObjectIdentifier{Key: failed.Key})
		}
		if err := pause(ctx, 2*try); err != nil {
			return err
		}
	}
}
