package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// BenchmarkWireToWebhook measures, at 5,000 events a second of ordinary logins, how long
// it takes from the request that brings the fifth failed login of an address to the
// webhook that tells of its alert.
func BenchmarkWireToWebhook(b *testing.B) {
	const rate, perSecond, attacks = 5000, 10, 300
	var mu sync.Mutex
	arrived := map[string]time.Time{}
	address := regexp.MustCompile(`198\.51\.\d+\.\d+`)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		text, _ := io.ReadAll(r.Body) // what is not read is not counted
		mu.Lock()
		defer mu.Unlock()
		if a := address.Find(text); a != nil && arrived[string(a)].IsZero() {
			arrived[string(a)] = now
		}
	}))
	defer receiver.Close()
	for range b.N {
		clear(arrived)
		s, stop := openBench(b, func(c *config.Config) {
			c.WebhookAllow, c.Alerts.StormAfter = []string{"127.0.0.1"}, 1_000_000
		})
		// Slack's form names the address in its text.
		if _, _, err := s.telling.hooks.Create(b.Context(), s.owner, audit.System, webhook.Draft{Name: "bench", URL: receiver.URL, Format: webhook.Slack, Events: []string{"alert.created"}}); err != nil {
			b.Fatal(err)
		}
		sent := map[string]time.Time{}
		const step = 20 * time.Millisecond
		perStep := int(rate * step / time.Second)
		next := time.Now()
		for i := range attacks {
			from := fmt.Sprintf("198.51.%d.%d", i/200, i%200+1)
			for j := range int(time.Second / perSecond / step) {
				var body strings.Builder
				at := time.Now().UTC().Format(time.RFC3339Nano)
				for k := range perStep {
					fmt.Fprintf(&body, "<38>1 %s web-%d sshd %d - - Accepted publickey for deploy from 10.0.%d.%d port %d ssh2\n", at, k%9, k, j, k, 20000+k)
				}
				if j == 0 {
					for k := range 5 {
						fmt.Fprintf(&body, "<38>1 %s bastion sshd 1 - - Failed password for root from %s port %d ssh2\n", at, from, 4000+k)
					}
					sent[from] = time.Now()
				}
				if err := post(b.Context(), s, []byte(body.String())); err != nil {
					b.Fatal(err)
				}
				next = next.Add(step)
				time.Sleep(time.Until(next))
			}
		}
		for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
			mu.Lock()
			n := len(arrived)
			mu.Unlock()
			if n == attacks {
				break
			}
		}
		late := time.Since(next)
		stop()
		var took []time.Duration
		for from, at := range sent {
			if arrived[from].IsZero() {
				b.Fatalf("nobody was told of %s", from)
			}
			took = append(took, arrived[from].Sub(at))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
		b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "max-ms")
		b.ReportMetric(late.Seconds(), "s-behind")
	}
}
