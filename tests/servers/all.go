//go:build otherstores

package servers

// Kinds are the servers that the ordinary tests leave out, since they take long
// to build; without the build tag otherstores, those of the ordinary tests.
func Kinds() []Kind { return []Kind{MinIO, Azurite} }
