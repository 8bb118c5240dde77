package alerttest_test

import (
	"database/sql"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert/alerttest"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// TestFill fills the database of a stopped server, so that something else can be
// measured on top of it: KYRA_FILL_DATABASE is its URL, KYRA_FILL_ALERTS how many.
// `make console-bench` runs it; without the setting there is nothing to fill.
func TestFill(t *testing.T) {
	to := os.Getenv("KYRA_FILL_DATABASE")
	if to == "" {
		t.Skip("KYRA_FILL_DATABASE names no database")
	}
	n, err := strconv.Atoi(os.Getenv("KYRA_FILL_ALERTS"))
	if err != nil || n < 1 {
		t.Fatalf("KYRA_FILL_ALERTS = %q, want a number of alerts", os.Getenv("KYRA_FILL_ALERTS"))
	}
	db, err := sqldb.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tenant, err := sqldb.One(t.Context(), db, func(rows *sql.Rows, n *uint32) error { return rows.Scan(n) }, `SELECT min(number) FROM tenant`)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	alerttest.Seed(t, db, tenant, n, begun)
	t.Logf("%d alerts of tenant %d in %v", n, tenant, time.Since(begun).Round(time.Second))
}
