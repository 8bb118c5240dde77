package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/incident"
)

// TestAlertEvents pages through the events of a storm: every one is listed once, and
// one that is no longer stored is named.
func TestAlertEvents(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) {
		c.Alerts = alert.NewWithStorms(c.DB, 2)
		c.Incidents = incident.New(c.DB, c.Alerts, incident.SLA{})
	})
	at := time.Date(2026, 4, 22, 8, 15, 30, 0, time.UTC)
	var findings []alert.Finding
	var want []string
	for i := range 6 {
		id := s.event(s.a, at.Add(time.Duration(i)*time.Second), "source", "sshd", "message", "Failed password for root")
		f := bruteForce(s.a, fmt.Sprintf("10.0.1.%d", i), id)
		f.First, f.Last, f.Count = at.Add(time.Duration(i)*time.Second).UnixNano(), at.Add(time.Duration(i)*time.Second).UnixNano(), 1
		if findings = append(findings, f); i >= 2 {
			want = append(want, id.String())
		}
	}
	gone := event.ID{Partition: 3, Seq: 9, Index: 1}
	findings[4].Events = append(findings[4].Events, gone)
	ids := s.record(noon, findings...)
	storm := ids[5]
	for _, id := range ids[2:] {
		if id != storm {
			t.Fatalf("alerts are %v", ids)
		}
	}
	d := s.get("/api/v1/alerts/" + storm).want(200)
	d.is("storm", true).is("eventsTotal", 5).is("occurrences", 4).is("folded.entities", 4).is("folded.limit", 2).
		is("folded.topEntities.0", map[string]any{"entity": "src_ip=10.0.1.2", "occurrences": 1, "firstSeen": "2026-04-22T08:15:32Z", "lastSeen": "2026-04-22T08:15:32Z"}).
		is("folded.from", "2026-04-22T12:00:00Z").is("folded.until", "2026-04-22T14:00:00Z")
	// One rule, one incident, and the storm in it is one alert.
	s.get("/api/v1/incidents").want(200).is("totalElements", 1).is("content.0.alertCount", 3)

	var got []string
	cursor := ""
	for page := 0; ; page++ {
		a := s.get("/api/v1/alerts/"+storm+"/events?size=2"+cursor).want(200).is("total", 5)
		events, _ := a.at("events").([]any)
		for i := range events {
			got = append(got, a.text(fmt.Sprintf("events.%d.id", i)))
		}
		if missing, _ := a.at("missing").([]any); len(missing) > 0 && (page != 1 || missing[0] != gone.String()) {
			t.Errorf("page %d misses %v", page, missing)
		} else if page == 1 && len(missing) == 0 {
			t.Error("an event that is not stored is not named")
		}
		if a.at("nextCursor") == nil {
			break
		}
		cursor = "&cursor=" + a.text("nextCursor")
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages list %v, want %v", got, want)
	}
	s.get("/api/v1/alerts/"+storm+"/events?cursor=x").problem(400, "", "")
	s.get("/api/v1/alerts/"+storm+"/events?size=501").problem(400, "", "")
	s.do(s.foreign, "GET", "/api/v1/alerts/"+storm+"/events", "").problem(404, "", "")
}
