package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/client"
	"github.com/kyra-mdr/kyra/internal/api"
	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sight"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func newRulesCommand() *cobra.Command {
	parent := &cobra.Command{Use: "rules", Short: "import, list, export and test detection rules", Args: usageArgs(cobra.NoArgs)}
	parent.AddCommand(newRulesImportCommand(), newRulesListCommand(), newRulesExportCommand(), newRulesTestCommand(), newRulesExplainCommand())
	return parent
}

// A rulesTarget is whose rules a command works on: those of a server that is asked,
// or those in the data folder of one.
type rulesTarget struct {
	to, key, keyFile, tenant string
	server                   serverFlags
}

func (t *rulesTarget) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.to, "to", "", "address of a server to ask; without it, the data folder is used")
	cmd.Flags().StringVar(&t.key, "key", "", "API key, with --to")
	cmd.Flags().StringVar(&t.keyFile, "key-file", "", "file that holds the key alone")
	cmd.Flags().StringVar(&t.tenant, "tenant", "", "id or name of the tenant, without --to; the default tenant where empty")
	addDataFlags(cmd, &t.server)
}

// client returns a client where a server is to be asked, nil where the data folder
// is to be used.
func (t *rulesTarget) client(cmd *cobra.Command) (*client.Client, error) {
	folder := cmd.Flags().Changed("data") || cmd.Flags().Changed("config") || cmd.Flags().Changed("tenant")
	to := cmp.Or(t.to, os.Getenv("KYRA_URL"))
	switch {
	case t.to != "" && folder:
		return nil, fmt.Errorf("give either --to or --data, --config and --tenant: %w", errUsage)
	case to == "" || folder:
		return nil, nil
	}
	key := cmp.Or(t.key, os.Getenv("KYRA_KEY"))
	if t.keyFile != "" {
		text, err := os.ReadFile(t.keyFile)
		if err != nil {
			return nil, err
		}
		key = strings.TrimSpace(string(text))
	}
	if key == "" {
		return nil, fmt.Errorf("no key: give --key, --key-file or KYRA_KEY: %w", errUsage)
	}
	c, err := client.New(to, key, client.Options{UserAgent: "kyra-rules"})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errUsage)
	}
	return c, nil
}

// withCatalogue opens the rules of a data folder, of which the server may be running.
func (t *rulesTarget) withCatalogue(cmd *cobra.Command, f func(ctx context.Context, tenant uint32, importer *content.Importer) error) error {
	return withDatabase(cmd, &t.server, func(ctx context.Context, db *sqldb.DB) error {
		whose, err := findTenant(ctx, tenant.New(db), t.tenant)
		if err != nil {
			return err
		}
		rules := rule.New(db, content.Check)
		sights := sight.New(db, sight.Options{Log: slog.New(slog.DiscardHandler), Lists: rules.Lists, Active: rules.Active})
		rules.SetBlind(sights.Health)
		return f(ctx, whose.Number, &content.Importer{Rules: rules, Sight: sights})
	})
}

func newRulesImportCommand() *cobra.Command {
	target := &rulesTarget{}
	opts := struct {
		content.Options
		status, onConflict, format string
		json, diff                 bool
	}{}
	cmd := &cobra.Command{
		Use: "import PATH", Short: "import a folder, an archive or a file of rules", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Imports Sigma rules from a folder, a .zip, a .tar.gz or one YAML file into a server (--to URL --key\n" +
			"KEY) or into its data folder (--data DIR), running or not. Importing a pack again brings it up to date:\n" +
			"status, severity, exceptions and texts changed here stay.\n\n" +
			"Prints what was loaded, what of it is blind, and what was refused with file, line, column and reason.",
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Status, opts.OnConflict = rule.Status(strings.ToUpper(opts.status)), rule.Resolution(opts.onConflict)
			format, err := content.FormatOf(opts.format)
			if err != nil {
				return asUsage(err)
			}
			c, err := target.client(cmd)
			if err != nil {
				return err
			}
			tree, err := content.Open(args[0], format)
			if err != nil {
				return err
			}
			var report *client.ImportReport
			if c != nil {
				report, err = importThere(cmd.Context(), c, tree, format, &opts.Options)
			} else {
				err = target.withCatalogue(cmd, func(ctx context.Context, tenant uint32, importer *content.Importer) error {
					r, err := importer.Import(ctx, tenant, actor, tree, format, opts.Options)
					if err != nil {
						return asImportUsage(err)
					}
					report, err = asAnswered(r)
					return err
				})
			}
			if err != nil {
				return err
			}
			if opts.json {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(report)
			}
			return printImport(cmd.OutOrStdout(), report, opts.diff)
		},
	}
	target.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&opts.format, "format", "sigma", "what the rules are written in: "+strings.Join(content.FormatNames(), ", "))
	f.StringVar(&opts.Pack, "pack", "", "name of the pack; that of the folder or file where empty")
	f.StringVar(&opts.Source, "source", "", "URI that the pack comes from, kept with each rule")
	f.StringVar(&opts.License, "license", "", "licence of rules that name none; that of the pack's licence file where empty")
	f.StringVar(&opts.status, "status", "active", "status of new rules: active, inactive or draft")
	f.BoolVar(&opts.Staged, "staged", false, "with --status draft: new rules run and raise nothing")
	f.StringVar(&opts.MinLevel, "min-level", "", "leave out rules below: informational, low, medium, high, critical")
	f.StringVar(&opts.onConflict, "on-conflict", "", "for rules changed both here and there: ours or theirs; left out, ours for now")
	f.BoolVar(&opts.Prune, "prune", false, "remove rules that the pack has no more and that were not changed here")
	f.BoolVar(&opts.DryRun, "dry-run", false, "tell what would happen and change nothing")
	f.BoolVar(&opts.diff, "diff", false, "show what was changed on both sides of a conflict")
	f.BoolVar(&opts.json, "json", false, "print the whole report as JSON")
	return cmd
}

// importThere sends the tree to a server. A folder goes as an archive.
func importThere(ctx context.Context, c *client.Client, tree *content.Tree, format content.Format, o *content.Options) (*client.ImportReport, error) {
	name, data, err := tree.Repack()
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, value := range map[string]string{
		"format": format.Name, "pack": cmp.Or(o.Pack, tree.Name), "source": o.Source, "license": cmp.Or(o.License, tree.License), "status": string(o.Status),
		"minLevel": o.MinLevel, "onConflict": string(o.OnConflict),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]bool{"staged": o.Staged, "prune": o.Prune, "dryRun": o.DryRun} {
		if value {
			query.Set(name, strconv.FormatBool(value))
		}
	}
	report, err := c.ImportRules(ctx, name, data, query)
	if err != nil {
		return nil, err
	}
	for _, r := range tree.Refused { // they were not sent
		report.Refused = append(report.Refused, client.RefusedRule{File: r.File, Line: r.Line, Column: r.Column, Reason: r.Reason})
		report.Counts.Refused++
	}
	return report, nil
}

// asAnswered brings a report into the form that a server answers.
func asAnswered(r *content.Report) (*client.ImportReport, error) {
	data, err := json.Marshal(api.ImportReport(r))
	if err != nil {
		return nil, err
	}
	report := &client.ImportReport{}
	return report, json.Unmarshal(data, report)
}

// asImportUsage names the flag that a fault is about.
func asImportUsage(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Field != "" {
		flag := map[string]string{"minLevel": "min-level", "onConflict": "on-conflict"}[f.Field]
		return fmt.Errorf("--%s: %s: %w", cmp.Or(flag, f.Field), f.Message, errUsage)
	}
	return err
}

func newRulesListCommand() *cobra.Command {
	target := &rulesTarget{}
	opts := struct{ search, status, health string }{}
	cmd := &cobra.Command{
		Use: "list", Short: "list the rules", Args: usageArgs(cobra.NoArgs),
		Long: "Lists the rules of a server (--to URL --key KEY) or of its data folder, by name: id, status, severity,\n" +
			"health, name, parted by tabs.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := target.client(cmd)
			if err != nil {
				return err
			}
			show := func(r *client.Rule) error {
				name := strings.Join(strings.Fields(harmless(r.Name)), " ") // one line, one column
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\t%s\t%s\n", harmless(r.ID), r.Status, r.Severity, r.Health, name)
				return err
			}
			if c != nil {
				return listThere(cmd.Context(), c, map[string]string{"search": opts.search, "status": opts.status, "health": opts.health}, show)
			}
			return target.withCatalogue(cmd, func(ctx context.Context, tenant uint32, importer *content.Importer) error {
				q := rule.Query{Filter: rule.Filter{Search: opts.search}, Sort: "name", Ascending: true, Size: listSize}
				if opts.status != "" {
					q.Statuses = []rule.Status{rule.Status(opts.status)}
				}
				if opts.health != "" {
					q.Healths = []rule.Health{rule.Health(opts.health)}
				}
				for ; ; q.Page++ {
					page, err := importer.Rules.List(ctx, tenant, q)
					if err != nil {
						return asUsage(err)
					}
					for i := range page.Rules {
						r := &page.Rules[i]
						if err := show(&client.Rule{ID: r.ID, Name: r.Name, Severity: r.Severity, Status: string(r.Status), Health: string(r.Health)}); err != nil {
							return err
						}
					}
					if len(page.Rules) < listSize {
						return nil
					}
				}
			})
		},
	}
	target.addFlags(cmd)
	cmd.Flags().StringVar(&opts.search, "search", "", "text that stands in name, description, tactic or technique")
	cmd.Flags().StringVar(&opts.status, "status", "", "only rules of this status: active, inactive or draft")
	cmd.Flags().StringVar(&opts.health, "health", "", "only rules of this health: failing, blind, noisy, neverFired, ok")
	return cmd
}

const listSize = 100 // rules asked for at a time

func listThere(ctx context.Context, c *client.Client, filter map[string]string, show func(*client.Rule) error) error {
	query := url.Values{"sort": {"name"}, "direction": {"asc"}, "size": {strconv.Itoa(listSize)}}
	for name, value := range filter {
		if value != "" {
			query.Set(name, value)
		}
	}
	for n := 0; ; n++ {
		query.Set("page", strconv.Itoa(n))
		page, err := c.Rules(ctx, query)
		if err != nil {
			return err
		}
		for i := range page.Content {
			if err := show(&page.Content[i]); err != nil {
				return err
			}
		}
		if int64(n+1) >= page.TotalPages {
			return nil
		}
	}
}

func newRulesExportCommand() *cobra.Command {
	target := &rulesTarget{}
	opts := struct{ pack string }{}
	cmd := &cobra.Command{
		Use: "export FILE.zip", Short: "export your own and imported rules", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Writes the rules that were written here or imported into a zip, with a notice that names author,\n" +
			"origin and licence of each.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := target.client(cmd)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if c != nil {
				err = c.ExportRules(cmd.Context(), &b, opts.pack)
			} else {
				err = target.withCatalogue(cmd, func(ctx context.Context, tenant uint32, importer *content.Importer) error {
					rules, err := importer.Rules.Packed(ctx, tenant, opts.pack)
					if err != nil {
						return err
					}
					return content.WriteZip(&b, rules)
				})
			}
			if err != nil {
				return err
			}
			return os.WriteFile(args[0], b.Bytes(), 0o600)
		},
	}
	target.addFlags(cmd)
	cmd.Flags().StringVar(&opts.pack, "pack", "", "only rules of this pack")
	return cmd
}
