package parse

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// TestCloudCases: audit records of hosted services from a public test set are
// known for what they are, and tell who did what.
func TestCloudCases(t *testing.T) {
	want := map[string]struct {
		source string // of nearly all
		known  int    // records of it, at least
		acted  int    // of those, with an account
	}{
		"AWS.CloudTrail":              {"aws_cloudtrail", 123, 120},
		"AWS.GuardDuty":               {"aws_guardduty", 4, 0},
		"AWS.SecurityFindingFormat":   {"aws_securityhub", 2, 0},
		"Azure.MonitorActivity":       {"azure_activitylogs", 30, 0},
		"GCP.AuditLog":                {"gcp_audit", 30, 26},
		"GSuite.ActivityEvent":        {"google_workspace", 50, 50},
		"GitHub.Audit":                {"github_audit", 25, 24},
		"Microsoft365.Audit.Exchange": {"m365", 9, 9},
		"Okta.SystemLog":              {"okta", 7, 7},
		"OneLogin.Events":             {"onelogin", 2, 2},
		"Duo.Administrator":           {"cisco_duo", 12, 12},
	}
	type tally struct{ all, known, acted int }
	got := map[string]*tally{}
	p := New(Options{})
	for _, line := range readLines(t, sharedData(t, "cases/panther_events.jsonl")) {
		var c struct {
			Product string
			Event   json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		var e event.Event
		p.Parse(&Record{Raw: string(c.Event), Arrived: arrival}, &e)
		checkInvariants(t, string(c.Event), &e)
		n := got[c.Product]
		if n == nil {
			n = &tally{}
			got[c.Product] = n
		}
		n.all++
		if e.Get(event.Source) != "json" {
			n.known++
			if e.Get(event.User) != "" {
				n.acted++
			}
		}
		if w, ok := want[c.Product]; ok && e.Get(event.Source) != w.source {
			t.Logf("%s: source %s: %.200s", c.Product, e.Get(event.Source), c.Event)
		}
	}
	for _, product := range slices.Sorted(maps.Keys(got)) {
		n := got[product]
		t.Logf("%-28s %3d records, %3d known, %3d with an account", product, n.all, n.known, n.acted)
		if w := want[product]; n.known < w.known || n.acted < w.acted {
			t.Errorf("%s: %d known, %d with an account; want %d and %d", product, n.known, n.acted, w.known, w.acted)
		}
	}
}
