//go:build !linux

package app

// lowPriority does nothing: only Linux has priorities of threads.
func lowPriority() {}
