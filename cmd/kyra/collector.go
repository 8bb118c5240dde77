package main

import (
	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/collector/command"
)

func newCollectorCommand() *cobra.Command { return command.New("collector", app.Version(), errUsage) }
