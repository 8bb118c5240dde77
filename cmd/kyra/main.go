// Command kyra is the whole platform and its tools in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	_ "github.com/kyra-mdr/kyra/internal/quiet" // see there
)

// Exit statuses that scripts rely on.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// errUsage marks a command line that makes no sense.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "kyra: "+oneLine(strings.TrimSuffix(err.Error(), ": "+errUsage.Error())))
		return exitUsage
	default:
		fmt.Fprintln(os.Stderr, "kyra: "+oneLine(err.Error()))
		return exitFailed
	}
}

// oneLine keeps an error on one line, as scripts expect.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kyra",
		Short: "KYRA takes in security logs, detects attacks as they happen, and tells people",
		Long: "KYRA takes in security logs, detects attacks as the events arrive, raises alerts, groups them\n" +
			"into incidents, and offers all of it through a REST API.\n\n" +
			"Start with `kyra serve`, or look at `kyra demo` first.\n\n" +
			"Exit status: 0 done, 1 failed, 2 wrong usage.",
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q: see kyra --help: %w", args[0], errUsage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: see %s --help: %w", err, cmd.CommandPath(), errUsage)
	})
	root.AddCommand(
		newServeCommand(), newDemoCommand(), newSendCommand(), newExportCommand(), newParseCommand(), newHuntCommand(), newRulesCommand(), newVerifyCommand(),
		newKeyCommand(), newUserCommand(), newTenantCommand(), newArchiveCommand(), newBackupCommand(), newRestoreCommand(), newConfigCommand(), newVersionCommand(),
		newEventstoreCommand(), newCollectorCommand(),
	)
	return root
}

// exactly wraps cobra's argument checks so that they count as wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w: see %s --help: %w", err, cmd.CommandPath(), errUsage)
		}
		return nil
	}
}
