package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/pipeline"
	"github.com/kyra-mdr/kyra/internal/telemetry"
)

func newArchiveCommand() *cobra.Command {
	parent := &cobra.Command{Use: "archive", Short: "check the raw archive, and rebuild the event store from it", Args: usageArgs(cobra.NoArgs)}
	flags := &serverFlags{}
	verify := &cobra.Command{
		Use: "verify", Short: "check every hash and every link of the archive", Args: usageArgs(cobra.NoArgs),
		Long: "Reads the whole archive and checks the hash of every block and its link to the block before. The\n" +
			"server may run; a block that it is writing at this moment is told as not complete, which is no fault.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			r, err := app.VerifyArchive(cmd.Context(), cfg.Data, nil)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			printReport(cmd, r)
			for _, u := range r.Unfinished {
				fmt.Fprintf(out, "%s: being written, or cut off when the server starts\n", u)
			}
			if len(r.Faults) == 0 {
				fmt.Fprintln(out, "no faults")
				return nil
			}
			for _, f := range r.Faults {
				fmt.Fprintln(out, f)
			}
			return fmt.Errorf("the archive has %d faults", len(r.Faults))
		},
	}
	addDataFlags(verify, flags)
	fresh := false
	reindex := &cobra.Command{
		Use: "reindex", Short: "add to the event store what it lacks of the archive", Args: usageArgs(cobra.NoArgs),
		Long: "Reads the archive, parses it with the parsers of this version and adds what the event store lacks.\n" +
			"Stop the server first. --fresh sets the present index aside and builds it anew.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			child, err := childCommand()
			if err != nil {
				return err
			}
			log := telemetry.NewLogger(cmd.ErrOrStderr(), cfg.Log.SlogLevel(), cfg.Log.Format)
			last := time.Now()
			p, aside, err := app.Reindex(cmd.Context(), cfg, child, fresh, log, func(p pipeline.Progress) {
				if time.Since(last) > time.Second {
					last = time.Now()
					fmt.Fprintf(os.Stderr, "\r%d events read, %d added", p.Events, p.Added)
				}
			})
			if aside != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "the old index is in %s: remove it when all is well\n", aside)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d blocks, %d events read, %d added\n", p.Blocks, p.Events, p.Added)
			return err
		},
	}
	addDataFlags(reindex, flags)
	reindex.Flags().BoolVar(&fresh, "fresh", false, "set the present index aside first")
	parent.AddCommand(verify, reindex)
	return parent
}

func printReport(cmd *cobra.Command, r archive.Report) {
	fmt.Fprintf(cmd.OutOrStdout(), "%d tenants, %d segments, %d blocks, %d records, %d bytes\n", r.Tenants, r.Segments, r.Blocks, r.Records, r.Bytes)
}
