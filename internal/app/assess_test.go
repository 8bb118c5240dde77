package app

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestChecksOfARunningServer evaluates all checks on what a server really took in, and
// looks whether each is kept as evidence and judges controls.
func TestChecksOfARunningServer(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"))
	defer p.stop()
	var lines strings.Builder
	now := time.Now().UTC()
	for i := range 40 {
		fmt.Fprintf(&lines, "<38>1 %s web-01 sshd 7 - - Failed password for root from 203.0.113.9 port %d ssh2\n", now.Add(time.Duration(i-60)*time.Second).Format(time.RFC3339Nano), 2000+i)
	}
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", lines.String(), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	eventually(t, "the events", func() bool {
		return p.search("source:sshd", "2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z", 1).Total == 40
	})
	// What PCI DSS asks of passwords and sessions can be set, and is found.
	p.ask(http.MethodPut, "/api/v1/settings/sign-in", `{"secondFactorRequired":true,"idleMinutes":15,"longestHours":12,"passwordHistory":4,"passwordKinds":true,"lockMinutes":30}`, http.StatusOK, nil)
	var s struct{ Evaluated, Pass, Partial, Fail, NoData int }
	p.work("/api/v1/compliance/evidence/collect", "", &s)
	if s.Evaluated < 64 || s.Pass+s.Partial+s.Fail+s.NoData != s.Evaluated || s.Pass == 0 || s.Fail == 0 || s.NoData == 0 {
		t.Errorf("%+v", s)
	}
	type item struct{ CheckID, Result, Reason, Method, Threshold string }
	seen := map[string]item{}
	for page := range 2 {
		var list struct{ Content []item }
		p.ask(http.MethodGet, fmt.Sprintf("/api/v1/compliance/evidence?size=100&page=%d", page), "", http.StatusOK, &list)
		for _, x := range list.Content {
			if _, ok := seen[x.CheckID]; !ok { // the newest first
				seen[x.CheckID] = x
			}
			if strings.Contains(x.Reason, "could not be evaluated") || x.Reason == "" || x.Method == "" {
				t.Errorf("%+v", x)
			}
		}
	}
	if len(seen) != 64 {
		t.Errorf("%d checks are kept as evidence", len(seen))
	}
	for check, want := range map[string]string{"auth-policy": "pass", "session-policy": "pass", "failed-login-mon": "pass", "log-field-completeness": "pass", "log-retention": "pass", "audit-chain": "pass", "rules-active": "pass", "notify-channel": "fail", "backup-mon": "noData", "incident-mttr": "noData"} {
		if x := seen[check]; x.Result != want {
			t.Errorf("%s: %s, want %s: %s", check, x.Result, want, x.Reason)
		}
	}
	var coverage struct{ TotalControls, Compliant, Partial, NonCompliant, NotAssessed int }
	p.ask(http.MethodGet, "/api/v1/compliance/ISMSP/coverage", "", http.StatusOK, &coverage)
	if coverage.TotalControls != 31 || coverage.Compliant+coverage.Partial+coverage.NonCompliant+coverage.NotAssessed != 31 || coverage.Partial+coverage.NonCompliant == 0 {
		t.Errorf("%+v", coverage)
	}
}
