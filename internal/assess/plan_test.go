package assess

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// few rows, whatever a tenant does: one each, or one for each tenant, day or hold.
var small = []string{"retention_run", "tenant", "event_day", "fleet_authority", "dsr_hold", "sqlite_master"}

// Among millions of rows a statement that reads a whole table takes as long as all others
// together. What a result says of its method is what was run.
func TestStatementsReadNoWholeTable(t *testing.T) {
	onSQLite(t, func(t *testing.T, h *house) {
		addAsset(t, h, "a", `["third-party"]`, h.now, true)
		sees(t, h, "sshd", h.now, 1, "category=authentication")
		exec(t, h.DB, `INSERT INTO intel_feed (id, tenant, name, format, url, settings, enabled, state, next_run, created_at, created_by, updated_at) VALUES ('f', $1, 'f', '', '', '{}', TRUE, '{}', 0, 0, '', 0)`, int64(h.number))
		exec(t, h.DB, `INSERT INTO webhook (id, tenant, name, url, format, events, filters, enabled, secret, created_at, created_by, updated_at) VALUES ('w', $1, 'w', '', '', '["alert.created"]', '{}', TRUE, $2, 0, 'x', 0)`, int64(h.number), []byte{})
		exec(t, h.DB, `INSERT INTO alert_hour (tenant, hour, severity, status, n) VALUES ($1, $2, 'high', 'OPEN', 5)`, int64(h.number), h.now.Unix()/3600-100)
		exec(t, h.DB, `INSERT INTO alert_day (tenant, day, severity, status, n) VALUES ($1, $2, 'high', 'OPEN', 5)`, int64(h.number), h.now.Unix()/86400-4)
		exec(t, h.DB, `INSERT INTO api_key (id, tenant, name, scope, digest, prefix, cidrs, created_at, created_by) VALUES ('k', $1, 'k', 'read-only', 'd', '', '', 0, '')`, int64(h.number))
		record(t, h, audit.Entry{Tenant: h.number, At: h.now, Actor: "user:kim", Action: "identity.update", Object: "x", Detail: map[string]any{"status": "departed"}})
		if _, err := h.Collect(t.Context(), h.number, compliance.Selection{}, nil); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, r := range h.saved {
			for line := range strings.SplitSeq(r.Method, "\n") {
				text, ok := strings.CutPrefix(line, "SQL: ")
				if !ok {
					continue
				}
				text, _, _ = strings.Cut(text, "; ")
				if seen[text] {
					continue
				}
				seen[text] = true
				plan, err := sqldb.All(t.Context(), h.DB, func(rows *sql.Rows, s *string) error {
					var a, b, c int64
					return rows.Scan(&a, &b, &c, s)
				}, "EXPLAIN QUERY PLAN "+text, make([]any, parameters(text))...)
				if err != nil {
					t.Errorf("%s: %v", text, err)
				}
				for _, step := range plan {
					table, ok := strings.CutPrefix(step, "SCAN ")
					if !ok || strings.Contains(step, "USING") || strings.HasPrefix(table, "(") || strings.HasPrefix(table, "CONSTANT") {
						continue
					}
					if !slices.Contains(small, table) {
						t.Errorf("%s: %s: %s", r.Check, step, text)
					}
				}
			}
		}
		if len(seen) < 40 {
			t.Errorf("%d statements were looked at", len(seen))
		}
	})
}

// parameters counts those of a statement.
func parameters(text string) int {
	n := 0
	for strings.Contains(text, fmt.Sprintf("$%d", n+1)) {
		n++
	}
	return n
}

// onSQLite runs f on SQLite alone: its plans do not depend on how much there is.
func onSQLite(t *testing.T, f func(t *testing.T, h *house)) {
	each(t, func(t *testing.T, h *house) {
		if h.DB.Dialect() != sqldb.SQLite {
			t.Skip("PostgreSQL reads small tables whole")
		}
		f(t, h)
	})
}
