package alert

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// Among five million alerts, reading a hundred by their ids took twenty seconds where
// SQLite looked for the tenant first.
func TestAmongIDsIsFoundByID(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if db.Dialect() != sqldb.SQLite {
			t.Skip("PostgreSQL knows how many rows an index would give")
		}
		plan, err := sqldb.All(t.Context(), db, func(rows *sql.Rows, step *string) error {
			var id, parent, unused int64
			return rows.Scan(&id, &parent, &unused, step)
		}, `EXPLAIN QUERY PLAN SELECT a.id, d.entities FROM alert a JOIN alert_detail d ON d.seq = a.seq WHERE `+amongIDs+` ($2, $3)`, int64(1), "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(plan, "; "); !strings.Contains(got, "(id=?)") || strings.Contains(got, "tenant") {
			t.Errorf("plan %q, want alerts found by id alone", got)
		}
	})
}
