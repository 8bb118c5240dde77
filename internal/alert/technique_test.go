package alert

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestByTechnique(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		now := time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)
		finding := func(tenant uint32, technique, key string) Finding {
			return Finding{Tenant: tenant, Rule: RuleRef{ID: "r" + technique}, Title: "T", Severity: "high", Technique: technique, Key: key, First: now.UnixNano(), Last: now.UnixNano(), Count: 1}
		}
		record(t, s, now.Add(-31*24*time.Hour), finding(1, "T1046", "old"))
		record(t, s, now, finding(1, "T1110", "a"), finding(1, "T1110", "b"), finding(1, "T1110.001", "a"), finding(1, "", "a"), finding(2, "T1003", "a"))
		got, err := s.ByTechnique(t.Context(), 1, now.Add(-30*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]int64{"T1110": 2, "T1110.001": 1}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
