package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

var (
	start = time.Date(2026, 4, 22, 8, 15, 30, 0, time.UTC)
	here  = netip.MustParseAddr("10.0.1.55")
)

type fixture struct {
	*Service
	db  *sqldb.DB
	ctx context.Context
	t   *testing.T

	a, b *tenant.Tenant

	mu    sync.Mutex
	clock time.Time
}

func (f *fixture) time() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = f.clock.Add(d)
}

func (f *fixture) create(d Draft) (*Key, string) {
	f.t.Helper()
	k, token, err := f.Create(f.ctx, f.a.Number, "system", d)
	if err != nil {
		f.t.Fatalf("Create(%+v): %v", d, err)
	}
	return k, token
}

func (f *fixture) works(token string) bool {
	f.t.Helper()
	_, err := f.Authenticate(f.ctx, token, here)
	if err != nil && !errors.Is(err, fault.Unauthenticated) {
		f.t.Fatalf("Authenticate: %v", err)
	}
	return err == nil
}

func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := &fixture{db: db, ctx: t.Context(), t: t, clock: start}
		tenants := tenant.New(db)
		f.Service = New(db, tenants, slog.New(slog.NewTextHandler(t.Output(), nil)), f.time)
		for name, into := range map[string]**tenant.Tenant{"A": &f.a, "B": &f.b} {
			made, err := tenants.Create(f.ctx, audit.System, tenant.Draft{Name: name, Plan: tenant.FREE})
			if err != nil {
				t.Fatal(err)
			}
			*into = made
		}
		test(t, f)
	})
}

func TestCreateAndAuthenticate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		k, token := f.create(Draft{Name: " SIEM Integration ", Scope: ReadOnly})
		if k.Name != "SIEM Integration" || k.Prefix != token[:9] || k.Status(start) != Active {
			t.Errorf("key is %+v", k)
		}
		got, err := f.Authenticate(f.ctx, token, here)
		want := Caller{Tenant: *f.a, KeyID: k.ID, Name: "SIEM Integration", Scope: ReadOnly, Actor: "key:SIEM Integration"}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("Authenticate: %v (-want +got):\n%s", err, d)
		}
		if got.CanWrite() {
			t.Error("a read-only key can write")
		}
		_, rw := f.create(Draft{Name: "w", Scope: ReadWrite})
		if c, err := f.Authenticate(f.ctx, rw, here); err != nil || !c.CanWrite() {
			t.Errorf("a read-write key: %+v, %v", c, err)
		}
	})
}

func TestSecretIsNotStored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, token := f.create(Draft{Name: "k", Scope: ReadOnly})
		rows, err := sqldb.All(f.ctx, f.db, func(rows *sql.Rows, v *string) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			err = rows.Scan(into...)
			*v = fmt.Sprint(values...)
			return err
		}, `SELECT * FROM api_key`)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%v, %v", rows, err)
		}
		if secret := token[len(tokenPrefix)+4 : len(tokenPrefix)+20]; strings.Contains(rows[0], secret) {
			t.Errorf("the row holds the secret: %s", rows[0])
		}
		if !strings.Contains(rows[0], digest(token)) {
			t.Errorf("the row lacks the digest: %s", rows[0])
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		expires := start.Add(time.Hour)
		_, good := f.create(Draft{Name: "good", Scope: ReadOnly})
		_, office := f.create(Draft{Name: "office", Scope: ReadOnly, CIDRs: []string{"192.168.7.0/24", "2001:db8::1"}})
		_, short := f.create(Draft{Name: "short", Scope: ReadOnly, ExpiresAt: &expires})
		for _, c := range []struct {
			token string
			from  string
			after time.Duration
			works bool
		}{
			{good, "10.0.1.55", 0, true},
			{good, "", 0, true}, // no restriction asks for no address
			{newToken(), "10.0.1.55", 0, false},
			{"", "10.0.1.55", 0, false},
			{strings.ToUpper(good), "10.0.1.55", 0, false},
			{good + " ", "10.0.1.55", 0, false},
			{office, "192.168.7.200", 0, true},
			{office, "::ffff:192.168.7.200", 0, true},
			{office, "2001:db8::1", 0, true},
			{office, "192.168.8.1", 0, false},
			{office, "2001:db8::2", 0, false},
			{office, "", 0, false},
			{short, "10.0.1.55", time.Hour - time.Second, true},
			{short, "10.0.1.55", time.Second, false},
		} {
			f.pass(c.after)
			var from netip.Addr
			if c.from != "" {
				from = netip.MustParseAddr(c.from)
			}
			_, err := f.Authenticate(f.ctx, c.token, from)
			if (err == nil) != c.works {
				t.Errorf("%s from %q at %v: %v, want success %v", c.token, c.from, f.time(), err, c.works)
			}
			if err != nil && err.Error() != "missing or invalid API key" {
				t.Errorf("the refusal tells why: %v", err)
			}
		}
	})
}

func TestRevoke(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		k, token := f.create(Draft{Name: "k", Scope: ReadWrite})
		for range 2 { // the second comes out of the cache
			if !f.works(token) {
				t.Fatal("a new key does not work")
			}
		}
		if err := f.Revoke(f.ctx, f.b.Number, "x", k.ID); !errors.Is(err, fault.NotFound) || !f.works(token) {
			t.Errorf("another tenant revokes it: %v", err)
		}
		if err := f.Revoke(f.ctx, f.a.Number, "key:admin", k.ID); err != nil {
			t.Fatal(err)
		}
		if f.works(token) {
			t.Error("a revoked key works")
		}
		f.pass(time.Minute)
		if err := f.Revoke(f.ctx, f.a.Number, "key:admin", k.ID); err != nil {
			t.Errorf("revoke again: %v", err)
		}
		got, err := f.Get(f.ctx, f.a.Number, k.ID)
		if err != nil || got.Status(f.time()) != Revoked || !got.RevokedAt.Equal(start) {
			t.Errorf("after two revocations: %+v, %v", got, err)
		}
	})
}

func TestRevokeElsewhereActsAfterTheCache(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		k, token := f.create(Draft{Name: "k", Scope: ReadWrite})
		f.works(token)
		other := New(f.db, tenant.New(f.db), slog.New(slog.DiscardHandler), f.time)
		if err := other.Revoke(f.ctx, f.a.Number, "system", k.ID); err != nil {
			t.Fatal(err)
		}
		f.pass(cacheFor)
		if f.works(token) {
			t.Errorf("%v after another process revoked it, the key works", cacheFor)
		}
	})
}

func TestReadBeforeRevocationIsNotCached(t *testing.T) {
	var c cache
	_, generation := c.get("d", start)
	c.forget()
	c.put("d", &entry{loaded: start}, generation)
	if e, _ := c.get("d", start); e != nil {
		t.Error("an entry read before a revocation was kept after it")
	}
}

func TestLastUsed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		k, token := f.create(Draft{Name: "k", Scope: ReadOnly})
		used := func() time.Time {
			t.Helper()
			got, err := f.Get(f.ctx, f.a.Number, k.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.LastUsed == nil {
				return time.Time{}
			}
			return *got.LastUsed
		}
		if !used().IsZero() {
			t.Errorf("an unused key was used at %v", used())
		}
		for _, step := range []struct{ pass, want time.Duration }{
			{0, 0}, {30 * time.Second, 0}, {29 * time.Second, 0}, {time.Second, time.Minute}, {time.Hour, time.Hour + time.Minute},
		} {
			f.pass(step.pass)
			if !f.works(token) {
				t.Fatal("the key does not work")
			}
			if got := used(); !got.Equal(start.Add(step.want)) {
				t.Errorf("used at %v, written %v, want %v", f.time(), got, start.Add(step.want))
			}
		}
	})
}

func TestDraftFaults(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		past := start
		for _, c := range []struct {
			d     Draft
			field string
		}{
			{Draft{Scope: ReadOnly}, "name"},
			{Draft{Name: "  ", Scope: ReadOnly}, "name"},
			{Draft{Name: strings.Repeat("é", 101), Scope: ReadOnly}, "name"},
			{Draft{Name: "a\nb", Scope: ReadOnly}, "name"},
			{Draft{Name: "k"}, "scope"},
			{Draft{Name: "k", Scope: "admin"}, "scope"},
			{Draft{Name: "k", Scope: ReadOnly, ExpiresAt: &past}, "expiresAt"},
			{Draft{Name: "k", Scope: ReadOnly, CIDRs: []string{"10.0.0.0/33"}}, "allowedCidrs"},
			{Draft{Name: "k", Scope: ReadOnly, CIDRs: []string{"localhost"}}, "allowedCidrs"},
			{Draft{Name: "k", Scope: ReadOnly, CIDRs: []string{"fe80::1%eth0"}}, "allowedCidrs"},
			{Draft{Name: "k", Scope: ReadOnly, CIDRs: []string{"::ffff:10.0.0.0/104"}}, "allowedCidrs"},
			{Draft{Name: "k", Scope: ReadOnly, CIDRs: slices.Repeat([]string{"10.0.0.1"}, 51)}, "allowedCidrs"},
		} {
			_, _, err := f.Create(f.ctx, f.a.Number, "system", c.d)
			fe, ok := errors.AsType[*fault.Error](err)
			if !ok || fe.Kind != fault.Invalid || fe.Field != c.field {
				t.Errorf("Create(%+v) = %v, want an invalid %s", c.d, err, c.field)
			}
		}
		if _, _, err := f.Create(f.ctx, 4711, "system", Draft{Name: "k", Scope: ReadOnly}); !errors.Is(err, fault.NotFound) {
			t.Errorf("a key of no tenant: %v", err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		soon := start.Add(75 * time.Second)
		for i, d := range []Draft{
			{Name: "alpha", Scope: ReadOnly},
			{Name: "Beta_1", Scope: ReadWrite},
			{Name: "beta%2", Scope: ReadOnly, ExpiresAt: &soon},
			{Name: "gone", Scope: ReadOnly},
		} {
			k, _ := f.create(d)
			if i == 3 {
				if err := f.Revoke(f.ctx, f.a.Number, "system", k.ID); err != nil {
					t.Fatal(err)
				}
			}
			f.pass(30 * time.Second)
		}
		if _, _, err := f.Create(f.ctx, f.b.Number, "system", Draft{Name: "other", Scope: ReadOnly}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			f     Filter
			total int64
			names []string
		}{
			{Filter{}, 4, []string{"gone", "beta%2", "Beta_1", "alpha"}},
			{Filter{Ascending: true, Size: 2, Page: 1}, 4, []string{"beta%2", "gone"}},
			{Filter{Page: 9}, 4, []string{}},
			{Filter{Search: "BETA", Sort: ByName, Ascending: true}, 2, []string{"beta%2", "Beta_1"}},
			{Filter{Search: "%"}, 1, []string{"beta%2"}},
			{Filter{Search: "_"}, 1, []string{"Beta_1"}},
			{Filter{Search: `\`}, 0, []string{}},
			{Filter{Statuses: []Status{Active}}, 2, []string{"Beta_1", "alpha"}},
			{Filter{Statuses: []Status{Expired, Revoked}}, 2, []string{"gone", "beta%2"}},
			{Filter{Scopes: []Scope{ReadWrite}}, 1, []string{"Beta_1"}},
			{Filter{Sort: ByExpiry, Ascending: true, Size: 1}, 4, []string{"beta%2"}},
		} {
			keys, total, err := f.List(f.ctx, f.a.Number, c.f)
			names := []string{}
			for i := range keys {
				names = append(names, keys[i].Name)
			}
			if d := cmp.Diff(c.names, names); err != nil || total != c.total || d != "" {
				t.Errorf("List(%+v) = %d, %v; want %d (-want +got):\n%s", c.f, total, err, c.total, d)
			}
		}
	})
}

func TestRoundTripOfAllColumns(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		expires := start.Add(time.Hour)
		k, _ := f.create(Draft{Name: "k", Scope: ReadWrite, ExpiresAt: &expires, CIDRs: []string{"10.1.2.3/8", "::1"}})
		got, err := f.Get(f.ctx, f.a.Number, k.ID)
		if d := cmp.Diff(k, got, cmpopts.EquateComparable(netip.Prefix{})); err != nil || d != "" {
			t.Errorf("Get: %v (-want +got):\n%s", err, d)
		}
		if k.CIDRs[0].String() != "10.0.0.0/8" || k.CIDRs[1].String() != "::1/128" {
			t.Errorf("networks are %v", k.CIDRs)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		k, token := f.create(Draft{Name: "k", Scope: ReadOnly})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if _, err := f.Authenticate(f.ctx, token, here); err != nil && !errors.Is(err, fault.Unauthenticated) {
						t.Errorf("Authenticate: %v", err)
					}
				}
			})
		}
		if err := f.Revoke(f.ctx, f.a.Number, "system", k.ID); err != nil {
			t.Error(err)
		}
		if f.works(token) {
			t.Error("it works right after Revoke returned")
		}
		wg.Wait()
		if f.works(token) {
			t.Error("it works after Revoke")
		}
	})
}
