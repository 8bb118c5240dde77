package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "kyra "+app.Version())
			return err
		},
	}
}
