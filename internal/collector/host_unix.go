//go:build !windows

package collector

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// makePrivate makes a folder and those above it, and lets nobody else look into it.
func makePrivate(dir string) error { return os.MkdirAll(dir, 0o700) }

// makeSettings makes a folder for settings, which are for everybody to read, and those
// above it.
func makeSettings(dir string) error {
	return os.MkdirAll(dir, 0o755) //nolint:gosec // see above
}

// machineID is the system's own id, "" where it has none.
func machineID() string {
	text, _ := os.ReadFile("/etc/machine-id") // without one the copy of a machine goes unnoticed
	return string(text)
}

// listenControl opens the socket that status and reload come through. Who may open the
// state folder may use it.
func listenControl(p Paths) (net.Listener, error) {
	path := p.control()
	_ = os.Remove(path) // of a collector that was killed: the lock is ours
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

func dialControl(ctx context.Context, p Paths) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", p.control())
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
