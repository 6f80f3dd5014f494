//go:build !otherstores

package servers

// Kinds are the servers of the ordinary tests. With the build tag
// otherstores they are MinIO and Azurite.
func Kinds() []Kind { return []Kind{Versitygw, FakeGCS} }
