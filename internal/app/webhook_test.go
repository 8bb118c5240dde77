package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const allowThisMachine = "webhooks:\n  allow: [127.0.0.0/8]\n"

// hookReceiver notes what it is sent; each answer takes pause.
type hookReceiver struct {
	*httptest.Server
	pause time.Duration

	mu     sync.Mutex
	bodies []string
	ids    map[string]map[string]bool // webhook-ids by object
}

func newHookReceiver(t *testing.T) *hookReceiver {
	rc := &hookReceiver{ids: map[string]map[string]bool{}}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var p struct{ Data struct{ ID string } }
		if err != nil || json.Unmarshal(body, &p) != nil {
			return
		}
		time.Sleep(rc.pause)
		rc.mu.Lock()
		defer rc.mu.Unlock()
		rc.bodies = append(rc.bodies, string(body))
		if rc.ids[p.Data.ID] == nil {
			rc.ids[p.Data.ID] = map[string]bool{}
		}
		rc.ids[p.Data.ID][r.Header.Get("webhook-id")] = true
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *hookReceiver) count() int {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return len(rc.ids)
}

// failures are failed logins from each of some addresses.
func failures(addresses int, prefix string) string {
	var lines strings.Builder
	for a := range addresses {
		for i := range 6 {
			fmt.Fprintf(&lines, "<38>1 %s bastion sshd 1 - - Failed password for root from %s%d port %d ssh2\n", time.Now().Add(time.Duration(i-60)*time.Second).UTC().Format(time.RFC3339), prefix, a+1, 4000+i)
		}
	}
	return lines.String()
}

// wantPayload raises an alert and compares what the receiver of the reference's webhook
// is sent, key by key.
func wantPayload(t *testing.T, p *process, rc *hookReceiver) {
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", failures(1, "10.0.2."), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	eventually(t, "payload", func() bool { return rc.count() > 0 })
	var list struct {
		Content []struct{ ID, Title, Severity, CreatedAt string }
	}
	if status, err := p.call(http.MethodGet, "/api/v1/alerts?size=1", "", &list); err != nil || status != http.StatusOK {
		t.Fatalf("alerts: %d %v", status, err)
	}
	a := list.Content[0]
	at, err := time.Parse(time.RFC3339Nano, a.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"event":"alert.created","timestamp":%q,"data":{"id":%q,"title":%q,"severity":%q,"url":%q}}`,
		at.Truncate(time.Second).Format(time.RFC3339), a.ID, a.Title, a.Severity, p.url+"/alerts/"+a.ID)
	if got := rc.bodies[0]; got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
}

// TestAKillLosesNoDelivery ends the server in the middle of delivering. After a new start
// every alert has been told, and what came twice came under one id.
func TestAKillLosesNoDelivery(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	rc := newHookReceiver(t)
	rc.pause = 20 * time.Millisecond
	const alerts = 90 // fewer than make a storm
	p := startProcess(t, data, allowThisMachine)
	if status, err := p.call(http.MethodPost, "/api/v1/webhooks", `{"name":"r","url":"`+rc.URL+`","events":["alert.created"]}`, nil); err != nil || status != http.StatusCreated {
		t.Fatalf("webhook: %d %v", status, err)
	}
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", failures(alerts, "10.0.3."), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	eventually(t, "first deliveries", func() bool { return rc.count() > 3 })
	p.killAll()
	t.Logf("killed after %d deliveries", rc.count())
	p = startProcess(t, data, allowThisMachine)
	eventually(t, "all deliveries", func() bool { return rc.count() >= alerts })
	// Alerts bring others of their own, such as those of risk rules: they are told, too.
	var list struct{ TotalElements int }
	eventually(t, "every alert told", func() bool {
		status, err := p.call(http.MethodGet, "/api/v1/alerts?size=1", "", &list)
		return err == nil && status == http.StatusOK && list.TotalElements >= alerts && list.TotalElements == rc.count()
	})
	p.stop()
	repeats := len(rc.bodies) - rc.count()
	t.Logf("%d alerts told, %d repeats", rc.count(), repeats)
	for object, ids := range rc.ids {
		if len(ids) != 1 {
			t.Errorf("alert %s came under the ids %v", object, ids)
		}
	}
}
