// Command kyra-collector is the collector alone: what "kyra collector" does, in a
// program that is small enough for every host.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kyra-mdr/kyra/internal/collector/command"
)

// version is set when releases are built.
var version = "dev"

var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string) int {
	root := command.New("kyra-collector", version, errUsage)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	text := strings.TrimSuffix(err.Error(), ": "+errUsage.Error())
	fmt.Fprintln(os.Stderr, "kyra-collector: "+strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}
