package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/backup"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func newBackupCommand() *cobra.Command {
	flags := &serverFlags{}
	to, withKey := "", false
	cmd := &cobra.Command{
		Use: "backup --to DIR", Short: "copy the installation into a folder, and test that the copy restores", Args: usageArgs(cobra.NoArgs),
		Long: "Copies database, archive and files into DIR, or brings the copy that lies there up to date: what did\n" +
			"not change is not copied again. The server may run. The copy of the database is checked, every file\n" +
			"hashed, and the backup recorded in the audit log. A PostgreSQL database needs pg_dump.\n\n" +
			"The sealing key is left out, so that who finds the backup cannot open its secrets: keep it elsewhere,\n" +
			"or copy it too with --with-seal-key. The search index is left out: kyra archive reindex builds it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return fmt.Errorf("--to is missing: the folder that the backup goes into: %w", errUsage)
			}
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return withDatabaseBy(cmd, flags, app.OpenAsIs, func(ctx context.Context, db *sqldb.DB) error {
				in := backup.Installation{Data: cfg.Data, DB: db, Postgres: string(cfg.Database.URL), Version: app.Version()}
				s, err := backup.Make(ctx, in, to, actor, withKey, time.Now())
				if err != nil {
					return asUsage(err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "backed up %s: %d files, %d bytes; %d of them, %d bytes, were new or changed\nmanifest %s\n", to, len(s.Files), s.Manifest.Bytes(), s.Copied, s.Bytes, s.SHA256)
				if !withKey {
					fmt.Fprintf(cmd.ErrOrStderr(), "kyra: the sealing key is not in it: keep a copy of %s elsewhere\n", filepath.Join(cfg.Data, backup.SealKey))
				}
				return nil
			})
		},
	}
	addDataFlags(cmd, flags)
	cmd.Flags().StringVar(&to, "to", "", "folder that the backup goes into, best on another disk")
	cmd.Flags().BoolVar(&withKey, "with-seal-key", false, "copy the sealing key too")
	cmd.AddCommand(newBackupTestCommand())
	return cmd
}

func newBackupTestCommand() *cobra.Command {
	flags := &serverFlags{}
	opts := struct{ from, scratch, database string }{}
	cmd := &cobra.Command{
		Use: "test --from DIR", Short: "restore a backup into a temporary folder, check it, and record that it works", Args: usageArgs(cobra.NoArgs),
		Long: "Restores the backup in DIR into a new folder, checks every hash, the database, and the chains of\n" +
			"audit log and archive, removes all that again, and records in the audit log of the running\n" +
			"installation (--data or --config) whether it worked: the check platform-backup looks for that.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.from == "" {
				return fmt.Errorf("--from is missing: the folder of the backup: %w", errUsage)
			}
			return withDatabaseBy(cmd, flags, app.OpenAsIs, func(ctx context.Context, db *sqldb.DB) error {
				p, err := backup.Test(ctx, db, opts.from, opts.scratch, opts.database, actor, time.Now)
				if err != nil {
					return err
				}
				printProof(cmd, p)
				return nil
			})
		},
	}
	addDataFlags(cmd, flags)
	cmd.Flags().StringVar(&opts.from, "from", "", "folder of the backup")
	cmd.Flags().StringVar(&opts.scratch, "scratch", os.TempDir(), "where the temporary folder is made; it needs the room of the backup")
	cmd.Flags().StringVar(&opts.database, "scratch-database", "", "URL of an empty PostgreSQL database, for a backup of one; it is emptied again")
	return cmd
}

func newRestoreCommand() *cobra.Command {
	flags := &serverFlags{}
	from := ""
	cmd := &cobra.Command{
		Use: "restore --from DIR --data DIR", Short: "restore a backup into a new data folder", Args: usageArgs(cobra.NoArgs),
		Long: "Puts the backup in --from into the folder --data, which must not exist or be empty, and into the empty\n" +
			"PostgreSQL database of the settings where it is a backup of one. Checks every hash, the database, and\n" +
			"the chains of audit log and archive. Then put the sealing key there and run kyra archive reindex.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || !cmd.Flags().Changed("data") {
				return fmt.Errorf("--from and --data are needed: the folder of the backup and the new data folder: %w", errUsage)
			}
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			p, err := backup.Restore(cmd.Context(), from, cfg.Data, string(cfg.Database.URL))
			if err != nil {
				return asUsage(err)
			}
			printProof(cmd, p)
			if !p.HasKey {
				fmt.Fprintf(cmd.OutOrStdout(), "next: put the sealing key of the old installation into %s\n", filepath.Join(cfg.Data, backup.SealKey))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "next: kyra archive reindex --data %s\nnext: kyra serve --data %[1]s\n", cfg.Data)
			return nil
		},
	}
	addDataFlags(cmd, flags)
	cmd.Flags().StringVar(&from, "from", "", "folder of the backup")
	return cmd
}

func printProof(cmd *cobra.Command, p *backup.Proof) {
	fmt.Fprintf(cmd.OutOrStdout(), "restored the backup of %s: %d files, %d bytes; every hash holds, the database is whole\n%d tenants, %d entries of the audit log and %d blocks (%d records) of the archive: every chain holds\n",
		p.At.Format(time.RFC3339), p.Files, p.Bytes, p.Tenants, p.Audit, p.Blocks, p.Records)
}
