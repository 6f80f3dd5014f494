//go:build kill && linux && !amd64

package tracer

// oldCalls are those that younger architectures do not have.
var oldCalls []uint32
