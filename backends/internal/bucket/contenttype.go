package bucket

import (
	"mime"
	"path"
	"strings"
)

// ContentType is the type of a media file by its extension, first of those that
// Trackio writes, whatever tables the machine has.
func ContentType(name string) string {
	extension := strings.ToLower(path.Ext(name))
	if known, ok := contentTypes[extension]; ok {
		return known
	}
	if known := mime.TypeByExtension(extension); known != "" {
		return known
	}
	return "application/octet-stream"
}

var contentTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".mp4": "video/mp4", ".webm": "video/webm", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg",
	".html": "text/html; charset=utf-8", ".json": "application/json", ".glb": "model/gltf-binary", ".gltf": "model/gltf+json",
	".obj": "model/obj", ".stl": "model/stl",
}
