package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/scim"
	"github.com/kyra-mdr/kyra/internal/sso"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// setupFile holds the link of the first set-up while nobody has an account.
const setupFile = "setup-link"

// openAccounts opens the accounts of people, and makes the set-up link where there is none.
func (s *Server) openAccounts(ctx context.Context, tenants *tenant.Service, keys *identity.Service, now func() time.Time) error {
	sealer, err := s.sealer()
	if err != nil {
		return err
	}
	path := s.folder.in(setupFile)
	removeLink := func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the used set-up link: %w", err)
		}
		return nil
	}
	s.accounts = account.New(account.Config{
		DB: s.db, Tenants: tenants, Sealer: sealer, Owner: s.owner, URL: s.URL, EndKeys: keys.RevokeOf, CarryKeys: keys.CarryOver, Log: s.log, Now: now,
		Founded: func(ctx context.Context) {
			if err := removeLink(); err != nil {
				s.log.WarnContext(ctx, "a file with a link that works no more is left", "err", err)
			}
		},
	})
	token, err := s.accounts.SetupToken(ctx)
	if err != nil {
		return err
	}
	if token == "" {
		return removeLink()
	}
	s.SetupLink = s.URL() + "/setup#" + token
	if err := os.WriteFile(path, []byte(s.SetupLink+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the set-up link: %w", err)
	}
	return nil
}

// singleSignOn needs the accounts and the guard of the way out.
func (s *Server) singleSignOn(now func() time.Time) *sso.Service {
	return sso.New(sso.Config{DB: s.db, Accounts: s.accounts, Sealer: s.telling.sealer, Guard: s.telling.guard, Owner: s.owner, URL: s.URL, Log: s.log, Now: now})
}

// withDirectory puts the door of customers' directories before next.
func (s *Server) withDirectory(next http.Handler) http.Handler {
	door := scim.New(scim.Config{Accounts: s.accounts, URL: s.URL, Secure: s.secure, Log: s.log})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == scim.Base || strings.HasPrefix(r.URL.Path, scim.Base+"/") {
			door.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secure tells whether people reach the console over TLS.
func (s *Server) secure() bool { return strings.HasPrefix(s.URL(), "https://") }

// origins are where the console is served from besides the address that a request names.
func (s *Server) origins() []string {
	if s.cfg.PublicURL == "" {
		return nil
	}
	scheme, rest, _ := strings.Cut(s.cfg.PublicURL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return []string{scheme + "://" + host}
}
