package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

// The list as a client sees it, key and rate limit included, over 20,000 alerts.
func BenchmarkListAlerts(b *testing.B) {
	s := newServer(b)
	const alerts, batch = 20_000, 2_000
	for i := 0; i < alerts; i += batch {
		findings := make([]alert.Finding, batch)
		for j := range findings {
			findings[j] = bruteForce(s.a, fmt.Sprintf("10.%d.%d.%d", (i+j)>>16, (i+j)>>8&255, (i+j)&255))
			findings[j].Severity = event.Severities[2+(i+j)%3] // no incidents: they are not what is measured
		}
		s.record(noon, findings...)
	}
	for _, path := range []string{
		"/api/v1/alerts", "/api/v1/alerts?severity=medium&status=OPEN&size=5", "/api/v1/alerts?page=500", "/api/v1/alerts?search=10.0.77.1", "/api/v1/alerts?size=100", "/api/v1/alerts/stats",
	} {
		b.Run(strings.TrimPrefix(path, "/api/v1"), func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer "+s.ro)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				s.h.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}

// What the door adds to a search: reading the call and writing 10,000 events.
func BenchmarkSearchAnswer(b *testing.B) {
	e := event.Event{ID: event.ID{Seq: 1}, Time: noon.UnixNano(), Arrived: noon.UnixNano(), Raw: "Failed password for root from 192.168.1.100 port 22 ssh2"}
	for i := range 20 {
		e.Add(fmt.Sprintf("field_%02d", i), "some value of a field")
	}
	e.Add(event.Message, e.Raw)
	answer := searchAnswer{events: make([]event.Event, 10_000), total: 10_000}
	for i := range answer.events {
		answer.events[i] = e
	}
	b.ReportAllocs()
	for b.Loop() {
		text := answer.appendJSON(nil)
		b.SetBytes(int64(len(text)))
	}
}
