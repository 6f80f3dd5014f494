// Package objectstore tests the backend s3 as a whole, on real servers: many
// processes at once, and networks that fail at every request.
package objectstore
