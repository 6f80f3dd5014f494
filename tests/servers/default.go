//go:build !allstores

package servers

// Kinds are the servers of the ordinary tests. With the build tag allstores,
// MinIO and Azurite are among them.
func Kinds() []Kind { return []Kind{Versitygw, FakeGCS} }
