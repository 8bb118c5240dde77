package main

import (
	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
)

// newEventstoreCommand is the child that `kyra serve` starts.
func newEventstoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "eventstore", Short: "the storage node, started by kyra serve", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error { return app.RunEventStore(cmd.Context(), args) },
	}
}
