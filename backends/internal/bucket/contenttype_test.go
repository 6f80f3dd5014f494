package bucket_test

import (
	"testing"

	"github.com/trackio-go/trackio/backends/internal/bucket"
)

// TestContentType: what Trackio writes has the same type on every machine.
func TestContentType(t *testing.T) {
	for name, want := range map[string]string{
		"data/x/media/00000001.png": "image/png", "a/b.MP4": "video/mp4", "clip.webm": "video/webm",
		"sound.wav": "audio/wav", "scene.glb": "model/gltf-binary", "page.html": "text/html; charset=utf-8",
		"nothing": "application/octet-stream", "a.png/nothing": "application/octet-stream",
	} {
		if got := bucket.ContentType(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
