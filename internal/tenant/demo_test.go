package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func TestDemo(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), tenant.New(db)
		real, err := s.Create(ctx, "test", tenant.Draft{Name: "Acme " + strings.Repeat("주", 95)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.DemoOf(ctx, real.Number); !errors.Is(err, fault.NotFound) {
			t.Fatalf("before: %v", err)
		}
		demo, err := s.CreateDemo(ctx, "user:ann", real)
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range []*tenant.Tenant{real, demo} { // nor has a demo one of its own
			if _, err := s.CreateDemo(ctx, "user:ann", of); !errors.Is(err, fault.Conflict) {
				t.Errorf("a second one of %s: %v", of.Name, err)
			}
		}
		// Rows that hang on others, and such that triggers count.
		for _, number := range []uint32{real.Number, demo.Number} {
			id := fmt.Sprint("of-", number)
			for query, args := range map[string][]any{
				`INSERT INTO api_key (id, tenant, name, scope, digest, prefix, cidrs, created_at, created_by) VALUES ($1, $2, 'n', 'read-only', $1, 'p', '', 1, 't')`: {id, int64(number)},
				`INSERT INTO alert (seq, id, tenant, title, description, severity, status, source, tactic, technique, rule_id, rule_name, rule_author, rule_version, merge_key, occurrences, first_seen, last_seen, created_at, updated_at)
					VALUES ($1, $2, $3, 't', 'd', 'high', 'OPEN', '', '', '', 'r', '', '', 1, '', 1, 1, 1, 1, 1)`: {int64(number) << 36, id, int64(number)},
			} {
				if _, err := sqldb.Exec(ctx, db, query, args...); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := sqldb.Exec(ctx, db, `INSERT INTO alert_history (id, seq, at, actor, action, old_value, new_value, note) VALUES ($1, $2, 1, '', 'created', '', '', '')`, id, int64(number)<<36); err != nil {
				t.Fatal(err)
			}
			if err := audit.Record(ctx, db, audit.Entry{Tenant: number, Actor: "t", Action: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		d, err := s.DemoOf(ctx, real.Number)
		if err != nil || d.Number != demo.Number || d.CreatedBy != "user:ann" {
			t.Fatalf("%+v %v", d, err)
		}
		if same, err := s.DemoOf(ctx, demo.Number); err != nil || *same != *d {
			t.Errorf("asked from within: %+v %v", same, err)
		}
		for _, wrong := range []tenant.Demo{{Number: real.Number, Of: real.Number}, {Number: real.Number, Of: demo.Number}, {Number: demo.Number, Of: demo.Number}} {
			if err := errors.Join(s.RemoveDemo(ctx, "user:ann", &wrong), s.EmptyDemo(ctx, &wrong)); !errors.Is(err, fault.Conflict) {
				t.Fatalf("removing %+v: %v", wrong, err)
			}
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.RemoveDemo(cancelled, "user:ann", d); err == nil || errors.Is(err, fault.Conflict) {
			t.Errorf("what fails is no clash: %v", err)
		}
		if err := s.EmptyDemo(ctx, d); err != nil {
			t.Fatal(err)
		}
		if known, err := s.DemoOf(ctx, real.Number); err != nil || known.Number != demo.Number {
			t.Errorf("it is empty and there: %+v %v", known, err)
		}
		if err := s.RemoveDemo(ctx, "user:ann", d); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ByNumber(ctx, demo.Number); !errors.Is(err, fault.NotFound) {
			t.Errorf("it is still there: %v", err)
		}
		if _, err := s.ByNumber(ctx, real.Number); err != nil {
			t.Errorf("the real one is gone: %v", err)
		}
		for table, want := range map[string]int64{"alert": 1, "alert_history": 1, "alert_total": 1, "api_key": 1, "tenant_demo": 0} {
			if n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM `+table); err != nil || n != want {
				t.Errorf("%s has %d rows, want %d: %v", table, n, want, err)
			}
		}
		if n, err := audit.Verify(ctx, db, real.Number); err != nil || n != 4 {
			t.Errorf("audit log: %d %v", n, err)
		}
		if again, err := s.CreateDemo(ctx, "user:ann", real); err != nil || again.Number <= demo.Number {
			t.Errorf("again: %+v %v", again, err)
		}
	})
}

// Two who load the demo data at once make one, and whoever loses leaves nothing behind.
func TestDemoIsMadeWhole(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), tenant.New(db)
		real, err := s.Create(ctx, "test", tenant.Draft{Name: "Acme"})
		if err != nil {
			t.Fatal(err)
		}
		made := make(chan error, 8)
		for range cap(made) {
			go func() {
				_, err := s.CreateDemo(ctx, "user:ann", real)
				made <- err
			}()
		}
		won := 0
		for range cap(made) {
			if err := <-made; err == nil {
				won++
			} else if !errors.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		// The second half fails: the database refuses the entry.
		if _, err := sqldb.Exec(ctx, db, `DELETE FROM tenant_demo`); err != nil {
			t.Fatal(err)
		}
		before, err := s.List(ctx)
		if err != nil || won != 1 {
			t.Fatalf("%d won, %v", won, err)
		}
		if _, err := sqldb.Exec(ctx, db, `ALTER TABLE tenant_demo RENAME COLUMN created_by TO made_by`); err != nil {
			t.Fatal(err)
		}
		other, err := s.Create(ctx, "test", tenant.Draft{Name: "Other"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateDemo(ctx, "user:ann", other); err == nil || errors.Is(err, fault.Conflict) {
			t.Errorf("a database that is broken: %v", err)
		}
		if after, err := s.List(ctx); err != nil || len(after) != len(before)+1 {
			t.Errorf("%d tenants after %d, %v", len(after), len(before), err)
		}
	})
}
