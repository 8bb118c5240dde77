package main

import (
	"fmt"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/config"
)

func newConfigCommand() *cobra.Command {
	path := ""
	cmd := &cobra.Command{
		Use: "config", Short: "check the configuration and print what is in force", Args: usageArgs(cobra.NoArgs),
		Long: "Prints the settings in force as YAML: defaults, changed by the file, changed by the environment\n" +
			"(KYRA_LISTEN, KYRA_SYSLOG_UDP, KYRA_QUEUE_MAX_BYTES, …: the path of the key in capitals). Secrets\n" +
			"are shown as ***. The output is a complete configuration file to start from.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.Environ())
			if err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return fmt.Errorf("configuration: %w", err)
			}
			text, err := yaml.Marshal(cfg)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "YAML file")
	return cmd
}
