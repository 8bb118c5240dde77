package app

import (
	"runtime"
	"syscall"
)

// lowPriority lets the calling goroutine's thread yield to all others. The thread ends
// with the goroutine.
func lowPriority() {
	runtime.LockOSThread()
	const nice = 10
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), nice) // it only takes longer for the others
}
