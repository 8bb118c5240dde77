package app

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A record of evidence that somebody altered raises an alert by the next night, of which a
// server that starts then makes up.
func TestDamagedEvidenceRaisesAnAlert(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	p.work("/api/v1/compliance/evidence/collect", `{"checks":["rules-active","mfa-all"]}`, &struct{}{})
	p.stop()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(data, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`DROP TRIGGER evidence_record_no_update`, `UPDATE evidence_record SET record = replace(record, '"result":"fail"', '"result":"pass"') || ' ' WHERE seq = 1`,
		`UPDATE evidence_check SET at = 0, claimed_at = 0`, // a day ago
	} {
		if _, err := sqldb.Exec(t.Context(), db, query); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	p = startProcess(t, data)
	defer p.stop()
	var list struct {
		Content []struct{ Severity, Description string }
	}
	eventually(t, "an alert about the record", func() bool {
		p.ask(http.MethodGet, "/api/v1/alerts?search=Evidence+was+changed", "", http.StatusOK, &list)
		return len(list.Content) == 1 && list.Content[0].Severity == "critical"
	})
}
