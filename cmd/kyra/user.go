package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// userWork is what a subcommand of kyra user works on.
type userWork struct {
	cmd      *cobra.Command
	cfg      config.Config
	accounts *account.Service
	tenant   *tenant.Tenant
}

// link is where the console takes a one-time link.
func (w *userWork) link(token string) string {
	at := strings.TrimSuffix(w.cfg.PublicURL, "/")
	if at == "" {
		at = "http://" + w.cfg.Listen
		if w.cfg.TLS.Cert != "" {
			at = "https://" + w.cfg.Listen
		}
	}
	return at + "/invitation#" + token
}

// person finds somebody of the tenant by their address.
func (w *userWork) person(ctx context.Context, email string) (*account.Person, error) {
	p, err := w.accounts.ByEmail(ctx, w.tenant.Number, email)
	if errors.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("nobody in tenant %s has the address %s: see kyra user list", w.tenant.Name, email)
	}
	return p, err
}

func newUserCommand() *cobra.Command {
	parent := &cobra.Command{Use: "user", Short: "add, list and help people who sign in", Args: usageArgs(cobra.NoArgs)}
	flags, name := &serverFlags{}, ""
	// with makes a subcommand that works on the accounts of a tenant, while the server runs
	// or does not.
	with := func(cmd *cobra.Command, f func(ctx context.Context, w *userWork, args []string) error) *cobra.Command {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return withDatabase(cmd, flags, func(ctx context.Context, db *sqldb.DB) error {
				tenants := tenant.New(db)
				own, err := findTenant(ctx, tenants, "")
				if err != nil {
					return err
				}
				t, err := findTenant(ctx, tenants, name)
				if err != nil {
					return err
				}
				accounts := account.New(account.Config{DB: db, Tenants: tenants, Owner: own.Number, Log: slog.New(slog.DiscardHandler), Now: time.Now})
				return asUsage(f(ctx, &userWork{cmd, cfg, accounts, t}, args))
			})
		}
		addDataFlags(cmd, flags)
		cmd.Flags().StringVar(&name, "tenant", "", "id or name of the tenant; the default tenant where empty")
		parent.AddCommand(cmd)
		return cmd
	}
	addUserAdd(with)
	with(&cobra.Command{Use: "list", Short: "list the people of a tenant", Args: usageArgs(cobra.NoArgs)}, listUsers)
	with(&cobra.Command{
		Use: "reset-password EMAIL", Short: "print a link for another password", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Prints a link that works once and for a day; for who has not followed their invitation, a new one.",
	}, func(ctx context.Context, w *userWork, args []string) error {
		p, err := w.person(ctx, args[0])
		if err != nil {
			return err
		}
		_, token, err := w.accounts.NewLink(ctx, w.tenant.Number, actor, p.ID)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(w.cmd.OutOrStdout(), w.link(token))
		return err
	})
	with(&cobra.Command{
		Use: "reset-second-factor EMAIL", Short: "take somebody's second factor away", Args: usageArgs(cobra.ExactArgs(1)),
	}, func(ctx context.Context, w *userWork, args []string) error {
		p, err := w.person(ctx, args[0])
		if err != nil {
			return err
		}
		return w.accounts.ResetFactor(ctx, w.tenant.Number, actor, p.ID)
	})
	for use, status := range map[string]account.Status{"disable": account.Disabled, "enable": account.Active} {
		with(&cobra.Command{Use: use + " EMAIL", Short: use + " somebody in a tenant", Args: usageArgs(cobra.ExactArgs(1))}, func(ctx context.Context, w *userWork, args []string) error {
			p, err := w.person(ctx, args[0])
			if err != nil {
				return err
			}
			_, err = w.accounts.Change(ctx, w.tenant.Number, actor, p.ID, account.Patch{Status: &status})
			return err
		})
	}
	return parent
}

func addUserAdd(with func(*cobra.Command, func(context.Context, *userWork, []string) error) *cobra.Command) {
	var email, name, role string
	var fromStdin bool
	cmd := with(&cobra.Command{
		Use: "add --email EMAIL --name NAME --role Admin|Analyst|Viewer|Auditor", Short: "invite somebody and print the link alone", Args: usageArgs(cobra.NoArgs),
		Long: "Gives somebody a place in a tenant and prints the link with which they set their password, once and\nwithin seven days. With --password-stdin the first line of standard input is their password, and they\ncan sign in at once. Works while the server runs.",
	}, func(ctx context.Context, w *userWork, _ []string) error {
		draft := account.Draft{Email: email, Name: name, Role: identity.Role(role)}
		if fromStdin {
			line, err := bufio.NewReader(io.LimitReader(w.cmd.InOrStdin(), 4<<10)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the password: %w", err)
			}
			if draft.Password = strings.TrimRight(line, "\r\n"); draft.Password == "" {
				return fmt.Errorf("--password-stdin: standard input is empty: %w", errUsage)
			}
			begun := time.Now().Truncate(time.Millisecond)
			u, err := w.accounts.Add(ctx, actor, w.tenant.Number, draft)
			if err != nil {
				return err
			}
			if u.CreatedAt.Before(begun) {
				fmt.Fprintf(w.cmd.ErrOrStderr(), "%s has an account already: its password and name stay as they were\n", u.Email)
			}
			_, err = fmt.Fprintln(w.cmd.OutOrStdout(), u.ID)
			return err
		}
		_, token, err := w.accounts.Invite(ctx, w.tenant.Number, actor, draft)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(w.cmd.OutOrStdout(), w.link(token))
		return err
	})
	cmd.Flags().StringVar(&email, "email", "", "their mail address")
	cmd.Flags().StringVar(&name, "name", "", "their name")
	cmd.Flags().StringVar(&role, "role", "", "Admin, Analyst, Viewer or Auditor")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "take the password from standard input")
}

func listUsers(ctx context.Context, w *userWork, _ []string) error {
	const size = 100
	for page := 0; ; page++ {
		list, _, err := w.accounts.List(ctx, w.tenant.Number, account.Filter{Sort: "email", Ascending: true, Page: page, Size: size})
		if err != nil {
			return err
		}
		for i := range list {
			p := &list[i]
			factor := "no second factor"
			if p.Factor {
				factor = "second factor"
			}
			fmt.Fprintf(w.cmd.OutOrStdout(), "%s\t%s\t%s\t%s\t%s\n", p.Email, p.Name, p.Role, p.Status, factor)
		}
		if len(list) < size {
			return nil
		}
	}
}
