package identity_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func TestIngestTokens(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
		tenants := tenant.New(db)
		s := identity.New(db, tenants, slog.New(slog.DiscardHandler), func() time.Time { return now })
		ann, err := tenants.Create(ctx, "test", tenant.Draft{Name: "ann", Plan: tenant.PRO})
		if err != nil {
			t.Fatal(err)
		}
		bob, err := tenants.Create(ctx, "test", tenant.Draft{Name: "bob", Plan: tenant.PRO})
		if err != nil {
			t.Fatal(err)
		}
		token, secret, err := s.CreateIngestToken(ctx, ann.Number, "test", identity.IngestDraft{Name: " beats ", Source: "Nginx", ExpiresAt: new(now.Add(time.Hour))})
		if err != nil || token.Name != "beats" || token.Source != "nginx" || !strings.HasPrefix(secret, token.Prefix) {
			t.Fatalf("token %+v, error %v", token, err)
		}
		from := netip.MustParseAddr("192.0.2.1")
		sender, err := s.AuthenticateSender(ctx, secret, from)
		if err != nil || sender.Tenant.Number != ann.Number || sender.Source != "nginx" || sender.TokenID != token.ID {
			t.Fatalf("sender %+v, error %v", sender, err)
		}
		if _, err := s.Authenticate(ctx, secret, from); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("an ingest token is taken for an API key: %v", err)
		}

		// A key that may write does as well, one that may not does not.
		for _, x := range []struct {
			scope identity.Scope
			good  bool
		}{{identity.ReadWrite, true}, {identity.ReadOnly, false}} {
			_, key, err := s.Create(ctx, ann.Number, "test", identity.Draft{Name: string(x.scope), Scope: x.scope})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.AuthenticateSender(ctx, key, from); (err == nil) != x.good || err != nil && !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("a %s key: %v", x.scope, err)
			}
		}

		if _, err := s.IngestToken(ctx, bob.Number, token.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant sees the token: %v", err)
		}
		if err := s.RevokeIngestToken(ctx, bob.Number, "test", token.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant revokes the token: %v", err)
		}
		page, total, err := s.IngestTokens(ctx, ann.Number, true, 0, 10)
		if err != nil || total != 1 || len(page) != 1 || page[0].LastUsed == nil {
			t.Errorf("list %+v of %d, error %v", page, total, err)
		}
		now = now.Add(2 * time.Hour)
		if _, err := s.AuthenticateSender(ctx, secret, from); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("an expired token: %v", err)
		}
		other, secret, err := s.CreateIngestToken(ctx, ann.Number, "test", identity.IngestDraft{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.AuthenticateSender(ctx, secret, from); err != nil {
			t.Error(err)
		}
		if err := s.RevokeIngestToken(ctx, ann.Number, "test", other.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.AuthenticateSender(ctx, secret, from); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a revoked token: %v", err)
		}
		for _, d := range []identity.IngestDraft{{}, {Name: "x", Source: "a b"}, {Name: "x", Source: strings.Repeat("a", 65)}, {Name: "x", ExpiresAt: new(now)}} {
			if _, _, err := s.CreateIngestToken(ctx, ann.Number, "test", d); !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", d, err)
			}
		}
	})
}
