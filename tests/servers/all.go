//go:build allstores

package servers

// Kinds are all servers; without the build tag allstores, those that are built
// quickly.
func Kinds() []Kind { return []Kind{Versitygw, FakeGCS, MinIO, Azurite} }
