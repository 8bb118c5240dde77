//go:build !unix

package victorialogs

import (
	"context"
	"os/exec"
)

// lock does nothing where there are no file locks; the engine has its own.
func lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }

func detach(*exec.Cmd) {}
