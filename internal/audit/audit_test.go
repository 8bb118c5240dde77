package audit_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func record(t *testing.T, db *sqldb.DB, e audit.Entry) {
	t.Helper()
	if err := audit.Record(t.Context(), db, e); err != nil {
		t.Fatal(err)
	}
}

func TestRecordListVerify(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for i := range 25 {
			record(t, db, audit.Entry{Tenant: 1, At: at.Add(time.Duration(i) * time.Hour), Actor: fmt.Sprint("a", i%2), Action: "thing.do", Object: fmt.Sprint(i), Detail: map[string]int{"i": i}})
		}
		record(t, db, audit.Entry{Tenant: 2, Actor: "b", Action: "other.do"})
		for tenant, want := range map[uint32]int64{1: 25, 2: 1, 3: 0} {
			if n, err := audit.Verify(ctx, db, tenant); err != nil || n != want {
				t.Errorf("Verify(%d) = %d, %v; want %d", tenant, n, err, want)
			}
		}
		page, total, err := audit.List(ctx, db, 1, audit.Filter{Page: 1, Size: 10})
		if err != nil || total != 25 || len(page) != 10 || page[0].Object != "14" || string(page[0].Detail) != `{"i":14}` || !page[0].At.Equal(at.Add(14*time.Hour)) {
			t.Errorf("List = %v of %d, %v", page, total, err)
		}
		_, total, err = audit.List(ctx, db, 1, audit.Filter{Actor: "a1", Action: "thing.do", From: at.Add(time.Hour), To: at.Add(5 * time.Hour)})
		if err != nil || total != 2 {
			t.Errorf("filtered: %d, %v; want 2", total, err)
		}
	})
}

func TestAppendOnly(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		record(t, db, audit.Entry{Tenant: 1, Actor: "a", Action: "b"})
		for _, query := range []string{`UPDATE audit_entry SET actor = 'x'`, `DELETE FROM audit_entry`} {
			if _, err := sqldb.Exec(t.Context(), db, query); err == nil {
				t.Errorf("%s went through", query)
			}
		}
	})
}

// What somebody does with the right to drop triggers, Verify still finds.
func TestVerifyFindsTampering(t *testing.T) {
	for name, tt := range map[string]struct {
		query string
		seq   int64
	}{
		"changed":   {`UPDATE audit_entry SET actor = 'x' WHERE seq = 2`, 2},
		"removed":   {`DELETE FROM audit_entry WHERE seq = 2`, 2},
		"last gone": {`DELETE FROM audit_entry WHERE seq = 3`, 3},
		"added":     {`INSERT INTO audit_entry (tenant, seq, id, at, actor, action, object, detail, hash) SELECT tenant, 4, 'id', at, actor, action, object, detail, hash FROM audit_entry WHERE seq = 3`, 4},
		"all gone":  {`DELETE FROM audit_entry`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				ctx := t.Context()
				for range 3 {
					record(t, db, audit.Entry{Tenant: 1, Actor: "a", Action: "b"})
				}
				disarm := []string{`DROP TRIGGER audit_entry_no_update`, `DROP TRIGGER audit_entry_no_delete`}
				if db.Dialect() == sqldb.Postgres {
					disarm = []string{`DROP TRIGGER audit_entry_no_change ON audit_entry`}
				}
				for _, query := range append(disarm, tt.query) {
					if _, err := sqldb.Exec(ctx, db, query); err != nil {
						t.Fatal(err)
					}
				}
				_, err := audit.Verify(ctx, db, 1)
				broken, ok := errors.AsType[*audit.Broken](err)
				if !ok || broken.Seq != tt.seq || broken.Tenant != 1 {
					t.Errorf("Verify = %v, want broken at %d", err, tt.seq)
				}
			})
		})
	}
}

func TestRecordAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					if err := audit.Record(t.Context(), db, audit.Entry{Tenant: 1, Actor: "a", Action: "b"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if n, err := audit.Verify(t.Context(), db, 1); err != nil || n != 20 {
			t.Errorf("Verify = %d, %v; want 20", n, err)
		}
	})
}
