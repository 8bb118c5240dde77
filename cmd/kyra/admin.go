package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// actor is how changes from the command line stand in the audit log.
const actor = "cli"

// withDatabase opens and migrates the control database of a server, which may be running.
func withDatabase(cmd *cobra.Command, flags *serverFlags, f func(ctx context.Context, db *sqldb.DB) error) error {
	return withDatabaseBy(cmd, flags, app.OpenExisting, f)
}

func withDatabaseBy(cmd *cobra.Command, flags *serverFlags, open func(context.Context, config.Config) (*sqldb.DB, error), f func(ctx context.Context, db *sqldb.DB) error) error {
	cfg, err := flags.load(cmd)
	if err != nil {
		return err
	}
	db, err := open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(cmd.Context(), db), db.Close())
}

func addDataFlags(cmd *cobra.Command, flags *serverFlags) {
	cmd.Flags().StringVar(&flags.config, "config", "", "YAML file of the server")
	cmd.Flags().StringVar(&flags.data, "data", "./kyra-data", "data folder of the server")
}

func newKeyCommand() *cobra.Command {
	parent := &cobra.Command{Use: "key", Short: "make API keys", Args: usageArgs(cobra.NoArgs)}
	flags := &serverFlags{}
	opts := struct {
		name, scope, tenant string
		cidrs               []string
		expires             time.Duration
	}{}
	cmd := &cobra.Command{
		Use: "create --name NAME --scope read-only|read-write", Short: "make a key and print it alone", Args: usageArgs(cobra.NoArgs),
		Long: "Makes an API key and prints its secret, which is shown only now, alone on standard output. Works\nwhile the server runs.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, flags, func(ctx context.Context, db *sqldb.DB) error {
				tenants := tenant.New(db)
				t, err := findTenant(ctx, tenants, opts.tenant)
				if err != nil {
					return err
				}
				draft := identity.Draft{Name: opts.name, Scope: identity.Scope(opts.scope), CIDRs: opts.cidrs}
				if opts.expires > 0 {
					draft.ExpiresAt = new(time.Now().Add(opts.expires))
				}
				keys := identity.New(db, tenants, slog.New(slog.DiscardHandler), time.Now)
				_, secret, err := keys.Create(ctx, t.Number, actor, draft)
				if err != nil {
					return asUsage(err)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
				return err
			})
		},
	}
	addDataFlags(cmd, flags)
	cmd.Flags().StringVar(&opts.name, "name", "", "what the key is for")
	cmd.Flags().StringVar(&opts.scope, "scope", "", "read-only or read-write")
	cmd.Flags().StringVar(&opts.tenant, "tenant", "", "id or name of the tenant; the default tenant where empty")
	cmd.Flags().StringSliceVar(&opts.cidrs, "cidr", nil, "network that it may be used from")
	cmd.Flags().DurationVar(&opts.expires, "expires", 0, "how long it is valid, such as 720h; for ever where 0")
	parent.AddCommand(cmd)
	return parent
}

// asUsage marks what the command line got wrong, with the name of the flag.
func asUsage(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Invalid || f.Field == "" {
		return err
	}
	return fmt.Errorf("--%s: %s: %w", f.Field, f.Message, errUsage)
}

func findTenant(ctx context.Context, tenants *tenant.Service, name string) (*tenant.Tenant, error) {
	if name == "" {
		t, err := tenants.ByName(ctx, tenant.DefaultName)
		if errors.Is(err, fault.NotFound) {
			t, err = tenants.Default(ctx) // it was given a name of its own
		}
		return t, err
	}
	t, err := tenants.ByName(ctx, name)
	if errors.Is(err, fault.NotFound) {
		t, err = tenants.Get(ctx, name)
	}
	if errors.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("there is no tenant %q: see kyra tenant list", name)
	}
	return t, err
}

func newTenantCommand() *cobra.Command {
	parent := &cobra.Command{Use: "tenant", Short: "make and list tenants", Args: usageArgs(cobra.NoArgs)}
	flags := &serverFlags{}
	opts := struct {
		name, plan string
		days       int
	}{}
	create := &cobra.Command{
		Use: "create --name NAME --plan FREE|MDR|PRO|CUSTOM", Short: "make a tenant and print its id", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, flags, func(ctx context.Context, db *sqldb.DB) error {
				t, err := tenant.New(db).Create(ctx, actor, tenant.Draft{Name: opts.name, Plan: tenant.Plan(opts.plan), RetentionDays: opts.days})
				if err != nil {
					return asUsage(err)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), t.ID)
				return err
			})
		},
	}
	addDataFlags(create, flags)
	create.Flags().StringVar(&opts.name, "name", "", "name of the customer")
	create.Flags().StringVar(&opts.plan, "plan", "CUSTOM", "FREE, MDR, PRO or CUSTOM")
	create.Flags().IntVar(&opts.days, "retention-days", 0, "how long events are kept; 90 days where 0")
	list := &cobra.Command{
		Use: "list", Short: "list the tenants", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, flags, func(ctx context.Context, db *sqldb.DB) error {
				all, err := tenant.New(db).List(ctx)
				for _, t := range all {
					fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\t%d days\n", t.ID, t.Name, t.Plan, t.RetentionDays)
				}
				return err
			})
		},
	}
	addDataFlags(list, flags)
	parent.AddCommand(create, list)
	return parent
}
