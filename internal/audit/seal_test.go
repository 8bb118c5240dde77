package audit_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestOriginIsPartOfTheChain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		record(t, db, audit.Entry{Tenant: 1, Actor: "a", Action: "thing.do"})
		ctx := audit.From(t.Context(), audit.Origin{Address: "192.0.2.1", KeyID: "k", Request: "r"})
		if err := audit.Record(ctx, db, audit.Entry{Tenant: 1, Actor: "a", Action: "thing.do"}); err != nil {
			t.Fatal(err)
		}
		list, total, err := audit.List(ctx, db, 1, audit.Filter{Address: "192.0.2.1", KeyID: "k", Action: "thing"})
		if err != nil || total != 1 || list[0].Request != "r" || list[0].Seq != 2 {
			t.Fatalf("list is %+v, %v", list, err)
		}
		if got, err := audit.Get(ctx, db, 1, list[0].ID); err != nil || got.Address != "192.0.2.1" {
			t.Errorf("entry is %+v, %v", got, err)
		}
		if n, err := audit.Verify(ctx, db, 1); err != nil || n != 2 {
			t.Fatalf("verify: %d, %v", n, err)
		}
		forge(t, db, `UPDATE audit_entry SET address = '192.0.2.2' WHERE tenant = 1 AND seq = 2`)
		if _, err := audit.Verify(ctx, db, 1); !errors.As(err, new(*audit.Broken)) {
			t.Errorf("another address: %v, want Broken", err)
		}
	})
}

// forge writes past the guard of the table, as who owns the database's file can.
func forge(t *testing.T, db *sqldb.DB, statement string) {
	t.Helper()
	disarm := []string{`DROP TRIGGER IF EXISTS audit_entry_no_update`, `DROP TRIGGER IF EXISTS audit_entry_no_delete`}
	if db.Dialect() == sqldb.Postgres {
		disarm = []string{`DROP TRIGGER IF EXISTS audit_entry_no_change ON audit_entry`}
	}
	for _, drop := range disarm {
		if _, err := sqldb.Exec(t.Context(), db, drop); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqldb.Exec(t.Context(), db, statement); err != nil {
		t.Fatal(err)
	}
}

func TestSignedHeads(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		signer := audit.NewSigner([32]byte{7})
		noon := time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)
		for i := range 3 { // at noon of three days
			record(t, db, audit.Entry{Tenant: 1, At: noon.AddDate(0, 0, i), Actor: "a", Action: "thing.do", Object: fmt.Sprint(i)})
		}
		for _, x := range []struct {
			now  time.Time
			want bool
		}{{noon, false}, {noon.AddDate(0, 0, 1), true}, {noon.AddDate(0, 0, 1), false}, {noon.AddDate(0, 0, 2), true}, {noon.AddDate(0, 0, 3), true}, {noon.AddDate(0, 0, 9), false}} {
			if done, err := signer.SealDay(ctx, db, 1, x.now); err != nil || done != x.want {
				t.Errorf("sealed at %s: %v, %v; want %v", x.now, done, err, x.want)
			}
		}
		last, err := audit.LastSeal(ctx, db, 1)
		if err != nil || last == nil || last.Seq != 3 || !last.Day.Equal(noon.AddDate(0, 0, 2).Truncate(24*time.Hour)) {
			t.Fatalf("last seal is %+v, %v", last, err)
		}
		key, id := signer.Public()
		if last.KeyID != id || !ed25519.Verify(key, last.Message(), last.Signature) {
			t.Error("the signature does not hold")
		}
		c, first, err := signer.Look(ctx, db, 1, noon)
		if err != nil || first || c.Entries != 3 || c.Seals != 3 || c.BrokenAt != 0 {
			t.Errorf("check is %+v, %v, %v", c, first, err)
		}

		// The last entry is taken away and the head put back: only the signed head tells.
		forge(t, db, `DELETE FROM audit_entry WHERE tenant = 1 AND seq = 3`)
		forge(t, db, `UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit_entry WHERE tenant = 1 AND seq = 2) WHERE tenant = 1`)
		c, first, err = signer.Look(ctx, db, 1, noon)
		if err != nil || !first || c.BrokenAt != 3 || !strings.Contains(c.Why, "signed head of 2026-04-24") {
			t.Errorf("check is %+v, %v, %v", c, first, err)
		}
		if _, again, err := signer.Look(ctx, db, 1, noon); err != nil || again {
			t.Errorf("it is told twice: %v, %v", again, err)
		}
		if kept, err := audit.LastCheck(ctx, db, 1); err != nil || kept.BrokenAt != 3 {
			t.Errorf("kept check is %+v, %v", kept, err)
		}
		// A signed head that is bent to fit does not hold.
		forge(t, db, `UPDATE audit_seal SET seq = 2, hash = (SELECT hash FROM audit_head WHERE tenant = 1) WHERE tenant = 1 AND seq = 3`)
		if c, _, err := signer.Look(ctx, db, 1, noon); err != nil || !strings.Contains(c.Why, "signature") {
			t.Errorf("check is %+v, %v", c, err)
		}
	})
}
