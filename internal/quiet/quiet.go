// Package quiet keeps one remark of a library off standard error: importing it is
// enough. On machines without pressure figures in their cgroup, the metrics library
// prints a line while the program is still being set up, before main could say
// anything about it. Every other line goes through.
//
// Go sets packages up in the order of their import paths as soon as what they
// import is set up. This one needs only a few packages of the standard library,
// the metrics library also net/http, so this one comes first. A script test of the
// program checks that standard error is empty.
package quiet

import (
	"bytes"
	"io"
	"log"
	"os"
)

var _ = install()

func install() struct{} {
	log.SetOutput(filter{os.Stderr})
	return struct{}{}
}

type filter struct{ w io.Writer }

func (f filter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("disable exposing PSI metrics")) {
		return len(p), nil
	}
	return f.w.Write(p)
}
