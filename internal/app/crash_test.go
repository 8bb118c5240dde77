package app

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
)

// TestCrash kills a loaded server at random moments, every other time with its event
// store. Every line bears a mark of
// its own and is sent once: one that was acknowledged must be found once, one
// that was not may be found once, and each attacker's alert exists once and
// counts what is stored of him. From the hundredth attacker on it is a storm, whose one
// alert must refer to each of their lines once. Another rule is switched on and off all
// the while, so that the rules are compiled and swapped under the load.
func TestCrash(t *testing.T) {
	kills, between := 2, 1500*time.Millisecond
	if os.Getenv("KYRA_TEST_CRASH") == "long" {
		kills, between = 10, 6*time.Second
	} else if testing.Short() {
		t.Skip("short")
	}
	senderCount := 4
	if raceEnabled { // the database is some thirty times slower then
		kills, between, senderCount = 1, 300*time.Millisecond, 1
	}
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	load := &crashLoad{acked: map[int]bool{}, start: time.Date(2011, 12, 10, 6, 0, 0, 0, time.UTC)}
	for round := range kills {
		stop := make(chan struct{})
		var senders sync.WaitGroup
		for range senderCount {
			senders.Go(func() { load.send(p, stop) })
		}
		senders.Go(func() { p.switchRules(stop) })
		time.Sleep(between/2 + rand.N(between))
		if round%2 == 0 {
			p.killAll()
		} else {
			p.kill()
		}
		close(stop)
		senders.Wait()
		p = startProcess(t, data)
	}
	load.sendBatch(p) // one more that goes through
	total := load.next
	eventually(t, "replay", func() bool {
		return p.search("program:sshd", "2011-12-10T00:00:00Z", "2011-12-20T00:00:00Z", 0+1).Total >= int64(len(load.acked))
	})
	p.stop() // in order: everything is processed and synced
	p = startProcess(t, data)

	stored, byIP := map[int]int{}, map[string]int64{}
	const slice = 200 * time.Second // less than the 10,000 events that one search returns
	for from := load.start; from.Before(load.start.Add(time.Duration(total/crashBatch+1) * time.Second)); from = from.Add(slice) {
		answer := p.search("program:sshd", from.Format(time.RFC3339), from.Add(slice).Format(time.RFC3339), 10_000)
		if int(answer.Total) != len(answer.Events) {
			t.Errorf("%s: total %d but %d events", from, answer.Total, len(answer.Events))
		}
		for _, e := range answer.Events {
			var mark int
			if _, err := fmt.Sscanf(e.Message, "Failed password for invalid user m%d from ", &mark); err != nil {
				t.Fatalf("%q has no mark", e.Message)
			}
			stored[mark]++
			byIP[crashIP(mark/crashBatch)]++
		}
	}
	alerts := p.bruteForce()
	lost, twice := 0, 0
	for mark := range load.acked {
		if stored[mark] == 0 {
			lost++
		}
	}
	for mark, n := range stored {
		if n > 1 {
			twice++
			t.Logf("mark %d is stored %d times", mark, n)
		}
	}
	wrong := 0
	for ip, n := range byIP {
		if found := alerts[ip]; len(found) != 1 || found[0] != n {
			wrong++
			t.Logf("%s: %d events stored, alerts count %v", ip, n, found)
		}
	}
	p.stop()
	report, err := archive.Verify(t.Context(), filepath.Join(data, "archive"), nil)
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("archive: %v, faults %v", err, report.Faults)
	}
	t.Logf("%d kills: sent %d, acknowledged %d, stored %d, archived %d, alerts %d; lost %d, twice %d, wrong alerts %d",
		kills, total, len(load.acked), len(stored), report.Records, len(alerts), lost, twice, wrong)
	if lost > 0 || twice > 0 || wrong > 0 || report.Records != int64(len(stored)) || len(alerts) == 0 {
		t.Error("the promise is broken")
	}
}

// crashBatch lines come from one address.
const crashBatch = 40

func crashIP(batch int) string {
	return fmt.Sprintf("10.%d.%d.%d", batch>>16&255, batch>>8&255, batch&255)
}

type crashLoad struct {
	mu    sync.Mutex
	next  int
	acked map[int]bool
	start time.Time
}

func (l *crashLoad) send(p *process, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			if !l.sendBatch(p) {
				return
			}
			time.Sleep(20 * time.Millisecond) // each batch is an attacker with alerts of his own: no more than can be counted afterwards
		}
	}
}

// switchRules makes a rule and switches it on and off until stop is closed.
func (p *process) switchRules(stop <-chan struct{}) {
	_, _ = p.call(http.MethodPost, "/api/v1/siem/rules", `{"title": "Switched", "id": "switched", "logsource": {"product": "linux", "service": "sshd"},
		"detection": {"s": {"action": "login", "outcome": "never"}, "condition": "s"}, "level": "low"}`, nil) // it is there after the first round
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
		status, err := p.call(http.MethodPatch, "/api/v1/siem/rules/switched", fmt.Sprintf(`{"status": %q}`, []string{"INACTIVE", "ACTIVE"}[n%2]), nil)
		if err != nil {
			return // killed while it was under way
		}
		if status != http.StatusOK && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
			p.t.Errorf("switching a rule answered %d", status)
		}
	}
}

// sendBatch sends one batch and notes whether it was acknowledged.
func (l *crashLoad) sendBatch(p *process) bool {
	l.mu.Lock()
	first := l.next
	l.next += crashBatch
	l.mu.Unlock()
	batch := first / crashBatch
	var lines strings.Builder
	for i := range crashBatch {
		at := l.start.Add(time.Duration(batch)*time.Second + time.Duration(i)*time.Millisecond)
		fmt.Fprintf(&lines, "<38>1 %s bastion sshd %d - - Failed password for invalid user m%d from %s port %d ssh2\n",
			at.Format(time.RFC3339Nano), 1000+i, first+i, crashIP(batch), 20000+i)
	}
	var answer struct {
		Accepted int `json:"accepted"`
	}
	status, err := p.call(http.MethodPost, "/api/v1/ingest", lines.String(), &answer)
	if err != nil {
		return false // killed while it was under way
	}
	if status != http.StatusOK || answer.Accepted != crashBatch {
		if status != http.StatusServiceUnavailable {
			p.t.Errorf("ingest answered %d, accepted %d", status, answer.Accepted)
		}
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range crashBatch {
		l.acked[first+i] = true
	}
	return true
}

// bruteForce returns, for each address, how many attempts each of its alerts counts;
// what a storm took counts by the events that it refers to.
func (p *process) bruteForce() map[string][]int64 {
	p.t.Helper()
	found := map[string][]int64{}
	for page := 0; ; page++ {
		var list struct {
			Content []struct{ ID, Title, Description string }
		}
		status, err := p.call(http.MethodGet, fmt.Sprintf("/api/v1/alerts?search=Brute%%20Force&size=100&page=%d", page), "", &list)
		if err != nil || status != http.StatusOK {
			p.t.Fatalf("alerts: %d %v", status, err)
		}
		if len(list.Content) == 0 {
			return found
		}
		for _, a := range list.Content {
			var n int64
			var ip string
			if strings.HasPrefix(a.Description, "storm: ") {
				for ip, n := range p.storm(a.ID) {
					found[ip] = append(found[ip], n)
				}
			} else if _, err := fmt.Sscanf(a.Description, "%d failed logon attempts from %s", &n, &ip); err == nil {
				found[ip] = append(found[ip], n) // others are another rule's
			}
		}
	}
}

// storm counts the events of a storm by address; one that it refers to twice counts twice.
func (p *process) storm(id string) map[string]int64 {
	p.t.Helper()
	found := map[string]int64{}
	cursor := ""
	for {
		var page struct {
			Events     []struct{ Message string }
			Missing    []string
			NextCursor *string
		}
		status, err := p.call(http.MethodGet, "/api/v1/alerts/"+id+"/events?size=500"+cursor, "", &page)
		if err != nil || status != http.StatusOK || len(page.Missing) > 0 {
			p.t.Fatalf("events of a storm: %d %v, missing %v", status, err, page.Missing)
		}
		for _, e := range page.Events {
			var mark int
			if _, err := fmt.Sscanf(e.Message, "Failed password for invalid user m%d from ", &mark); err != nil {
				p.t.Fatalf("%q has no mark", e.Message)
			}
			found[crashIP(mark/crashBatch)]++
		}
		if page.NextCursor == nil {
			return found
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}
