package privacy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/mask"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// words is a parser of records like "source host user=NAME".
func words() ParseFunc {
	return func(_ context.Context, c *queue.Chunk, i int, yield func(name, value string)) error {
		parts := strings.SplitN(c.Records[i], " ", 3)
		if len(parts) == 3 {
			yield("source", parts[0])
			yield("host", parts[1])
			if u, ok := strings.CutPrefix(parts[2], "login "); ok {
				yield("user", u)
			}
		}
		return nil
	}
}

func open(t *testing.T, db *sqldb.DB, key []byte) *Service {
	t.Helper()
	sealer, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return New(db, sealer, words, time.Now)
}

func twoTenants(t *testing.T, db *sqldb.DB) (a, b uint32) {
	t.Helper()
	tenants := tenant.New(db)
	for i, name := range []string{"a", "b"} {
		x, err := tenants.Create(t.Context(), audit.System, tenant.Draft{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		*[]*uint32{&a, &b}[i] = x.Number
	}
	return a, b
}

var sealKey = []byte("0123456789abcdef0123456789abcdef")

func through(t *testing.T, s *Service, c *queue.Chunk) *queue.Chunk {
	t.Helper()
	var got *queue.Chunk
	err := s.Guard(func(_ context.Context, c *queue.Chunk) error { got = c; return nil })(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRulesMaskOnTheWayIn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a, b := twoTenants(t, db)
		s, other := open(t, db, sealKey), open(t, db, sealKey)
		chunk := func(tenant uint32) *queue.Chunk {
			return &queue.Chunk{Tenant: tenant, Peer: "10.1.2.3", Records: []string{"plain", "app web1 mail kim@example.com", "sshd web1 login kim"}}
		}
		c := chunk(a)
		if through(t, s, c) != c {
			t.Error("a chunk was copied for nothing")
		}
		r, err := s.Create(t.Context(), a, "key:x", Draft{Name: "mail", Enabled: true, Rule: mask.Rule{Patterns: []string{"email"}, Action: mask.Mask}})
		if err != nil {
			t.Fatal(err)
		}
		if got := through(t, s, c).Records; strings.Join(got, "|") != "plain|app web1 mail ***@example.com|sshd web1 login kim" {
			t.Errorf("masked: %q", got)
		}
		if c.Records[1] != "app web1 mail kim@example.com" {
			t.Error("the caller's chunk was changed")
		}
		if c := chunk(b); through(t, s, c) != c {
			t.Error("a rule of one tenant masks another's records")
		}
		// Another process learns of it; a parser's fields, for a source and a network.
		if err := other.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = other.Create(t.Context(), a, "key:x", Draft{Name: "user", Enabled: true, Source: "ssh*", Host: "10.0.0.0/8", Rule: mask.Rule{Fields: []string{"user.name"}, Action: mask.Hash}})
		if err != nil {
			t.Fatal(err)
		}
		got := through(t, other, chunk(a)).Records
		if !strings.HasPrefix(got[2], "sshd web1 login h:") || got[1] != "app web1 mail ***@example.com" {
			t.Errorf("masked: %q", got)
		}
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again := through(t, s, chunk(a)).Records; again[2] != got[2] {
			t.Errorf("two processes hash otherwise: %q and %q", again[2], got[2])
		}
		elsewhere := chunk(a)
		elsewhere.Peer = "192.0.2.1"
		if got := through(t, s, elsewhere).Records; got[2] != "sshd web1 login kim" {
			t.Errorf("a rule for a network masks elsewhere: %q", got[2])
		}
		// Switched off, and versions.
		if _, err := s.Update(t.Context(), a, "key:x", r.ID, 7, func(*Draft) {}); !errors.Is(err, fault.Conflict) {
			t.Errorf("a version that is not: %v", err)
		}
		if r, err = s.Update(t.Context(), a, "key:x", r.ID, 1, func(d *Draft) { d.Enabled = false }); err != nil || r.Version != 2 {
			t.Fatal(r, err)
		}
		if got := through(t, s, chunk(a)).Records; got[1] != "app web1 mail kim@example.com" {
			t.Errorf("a rule that is off masks: %q", got)
		}
		if err := s.Delete(t.Context(), b, "key:x", r.ID); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant's rule: %v", err)
		}
		if err := s.Delete(t.Context(), a, "key:x", r.ID); err != nil {
			t.Fatal(err)
		}
		counts, err := s.Counts(t.Context(), a)
		if err != nil || counts["email"] != 3 || counts["field"] != 2 {
			t.Errorf("counts %v, %v", counts, err)
		}
		if n, err := audit.Verify(t.Context(), db, a); err != nil || n != 5 { // the tenant, two made, one changed, one deleted
			t.Errorf("%d audit entries, %v", n, err)
		}
		// Nothing is kept where the key of hashes cannot be read.
		if err := open(t, db, []byte("another key another key another ")).Load(t.Context()); !errors.Is(err, fault.Unavailable) {
			t.Errorf("another sealing key: %v", err)
		}
	})
}

func TestWhatAppendRefusesIsNotCounted(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a, _ := twoTenants(t, db)
		s := open(t, db, sealKey)
		if _, err := s.Create(t.Context(), a, "x", Draft{Name: "mail", Enabled: true, Rule: mask.Rule{Patterns: []string{"email"}, Action: mask.Remove}}); err != nil {
			t.Fatal(err)
		}
		full := fault.New(fault.Unavailable, "full")
		err := s.Guard(func(context.Context, *queue.Chunk) error { return full })(t.Context(), &queue.Chunk{Tenant: a, Records: []string{"kim@example.com"}})
		if !errors.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		if counts, err := s.Counts(t.Context(), a); err != nil || counts["email"] != 0 {
			t.Errorf("%v %v", counts, err)
		}
	})
}

func TestPreview(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a, _ := twoTenants(t, db)
		s := open(t, db, sealKey)
		got, err := s.Preview(t.Context(), a, []Draft{{Enabled: true, Rule: mask.Rule{Fields: []string{"user"}, Action: mask.Mask}}}, "", []string{"sshd h login kim", "x"})
		if err != nil || got[0].Text != "sshd h login ***" || got[0].Found.By[mask.Field] != 1 || got[1].Text != "x" {
			t.Errorf("%v %v", got, err)
		}
		if got, err := s.Preview(t.Context(), a, nil, "", []string{"kim@example.com"}); err != nil || got[0].Text != "kim@example.com" {
			t.Errorf("without rules: %v %v", got, err)
		}
		for field, d := range map[string]Draft{
			"action": {Rule: mask.Rule{Patterns: []string{"email"}, Action: "x"}},
			"host":   {Host: "10.0.0.0/99", Rule: mask.Rule{Patterns: []string{"email"}, Action: mask.Mask}},
			"source": {Source: "[", Rule: mask.Rule{Patterns: []string{"email"}, Action: mask.Mask}},
			"name":   {Name: strings.Repeat("x", 101), Rule: mask.Rule{Patterns: []string{"email"}, Action: mask.Mask}},
		} {
			_, err := s.Preview(t.Context(), a, []Draft{d}, "", []string{"x"})
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// Where a record's fields cannot be told, it is not kept as it came.
func TestNothingIsKeptUnmasked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a, _ := twoTenants(t, db)
		sealer, err := seal.New(sealKey)
		if err != nil {
			t.Fatal(err)
		}
		s := New(db, sealer, func() ParseFunc {
			return func(context.Context, *queue.Chunk, int, func(name, value string)) error {
				return errors.New("no settings")
			}
		}, time.Now)
		if _, err := s.Create(t.Context(), a, "key:x", Draft{Name: "user", Enabled: true, Rule: mask.Rule{Fields: []string{"user.name"}, Action: mask.Hash}}); err != nil {
			t.Fatal(err)
		}
		err = s.Guard(func(context.Context, *queue.Chunk) error { t.Error("it was kept"); return nil })(t.Context(), &queue.Chunk{Tenant: a, Records: []string{"login kim"}})
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("err = %v, want unavailable", err)
		}
	})
}
