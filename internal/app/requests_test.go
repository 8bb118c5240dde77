package app

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/config"
)

// TestErasureEndToEnd takes events of two people in, erases one of them, and looks in
// every way in which the events could come back: a kill, and an index that is built again
// from the archive.
func TestErasureEndToEnd(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	var lines strings.Builder
	for i := range 6 {
		fmt.Fprintf(&lines, "Mar  4 05:06:%02d bastion sshd[7]: Failed password for akim from 203.0.113.41 port 5 ssh2\n", i)
		fmt.Fprintf(&lines, "Mar  4 05:06:%02d bastion sshd[7]: Failed password for bob from 203.0.113.42 port 5 ssh2\n", i)
	}
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", lines.String(), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	events := func(p *process, user string) int64 {
		return p.search("user:"+user, "2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z", 1).Total
	}
	type alertItem struct{ ID, Title, Description string }
	alerts := func(p *process, text string) []alertItem {
		var page struct{ Content []alertItem }
		p.ask(http.MethodGet, "/api/v1/alerts?search="+text, "", http.StatusOK, &page)
		return page.Content
	}
	eventually(t, "events and alerts of both", func() bool {
		return events(p, "akim") == 6 && events(p, "bob") == 6 && len(alerts(p, "203.0.113.41")) > 0 && len(alerts(p, "203.0.113.42")) > 0
	})
	about := alerts(p, "203.0.113.41")[0]

	var request struct{ ID, Status string }
	p.ask(http.MethodPost, "/api/v1/dsr", `{"kind":"erasure","law":"GDPR","name":"Anna Kim","identifiers":[{"type":"user","value":"akim","words":true}]}`, http.StatusCreated, &request)
	path := "/api/v1/dsr/" + request.ID
	p.ask(http.MethodPatch, path, `{"verification":"verified","verifiedHow":"passport"}`, http.StatusOK, nil)

	type place struct {
		Place, Treatment                          string
		Objects, Erased, Pseudonymised, Remaining int64
	}
	var findings struct {
		Events  int64
		Control map[string]int64
		Places  []place
	}
	p.work(path+"/search", "", &findings)
	if findings.Events != 6 || findings.Control["alerts"] == 0 || len(findings.Places) == 0 {
		t.Errorf("found %+v", findings)
	}
	eventually(t, "the identity", func() bool {
		p.work(path+"/search", "", &findings)
		return findings.Control["identities"] == 1
	})
	p.work(path+"/package", "", nil)
	if events, control := p.unpack(path + "/package/download"); strings.Count(events, "\n") != 6 || strings.Contains(events, "bob") || !strings.Contains(control, about.ID) {
		t.Errorf("the package holds %s and %s", events, control)
	}

	var proof struct {
		Found, Erased, Remaining int64
		QueryHash                string
		Places                   []place
	}
	p.work(path+"/erase", `{"confirm":"erase"}`, &proof)
	if proof.Found != 6 || proof.Erased != 6 || proof.Remaining != 0 || proof.QueryHash == "" {
		t.Errorf("proof %+v", proof)
	}
	for _, x := range proof.Places {
		if x.Treatment == "kept" && x.Erased+x.Pseudonymised > 0 || x.Treatment != "kept" && x.Remaining > 0 || x.Place == "alerts" && x.Pseudonymised == 0 || x.Place == "identities" && x.Erased == 0 {
			t.Errorf("proof of %+v", x)
		}
	}
	none := func(p *process, when string) {
		t.Helper()
		if a, b := events(p, "akim"), events(p, "bob"); a != 0 || b != 6 {
			t.Errorf("%s: %d and %d events, want 0 and 6", when, a, b)
		}
		var a alertItem
		p.ask(http.MethodGet, "/api/v1/alerts/"+about.ID, "", http.StatusOK, &a)
		if strings.Contains(a.Title+a.Description, "akim") || len(alerts(p, "akim")) > 0 || len(alerts(p, "person_")) == 0 || len(alerts(p, "bob")) == 0 {
			t.Errorf("%s: the alert says %+v", when, a)
		}
	}
	none(p, "after the erasure")

	p.killAll() // what the last checkpoint did not have is replayed
	p = startProcess(t, data)
	none(p, "after a kill")
	p.stop()

	file := filepath.Join(t.TempDir(), "kyra.yaml")
	if err := os.WriteFile(file, []byte("data: "+data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := Reindex(t.Context(), cfg, nodeCommand(), true, slog.New(slog.NewTextHandler(t.Output(), nil)), nil); err != nil || got.Events != 12 || got.Added != 6 {
		t.Fatalf("reindex: %+v %v", got, err)
	}
	p = startProcess(t, data)
	none(p, "after building the index again")
	p.stop()
}

// TestTermsAreTold takes in a request whose term has ended and one whose term ends soon:
// webhooks are told of each once, and the export lists both without saying who asks.
func TestTermsAreTold(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	rc := newHookReceiver(t)
	p := startProcess(t, data, allowThisMachine)
	p.ask(http.MethodPost, "/api/v1/webhooks", `{"name":"r","url":"`+rc.URL+`","events":["dsr.dueSoon","dsr.overdue"]}`, http.StatusCreated, nil)
	ids := map[string]string{}
	for event, daysAgo := range map[string]int{"dsr.overdue": 60, "dsr.dueSoon": 43, "": 1} { // CCPA gives 45
		var d struct{ ID string }
		p.ask(http.MethodPost, "/api/v1/dsr", fmt.Sprintf(`{"kind":"access","law":"CCPA","name":"Anna Kim","identifiers":[{"type":"email","value":"anna@example.com"}],"receivedOn":%q}`,
			time.Now().UTC().AddDate(0, 0, -daysAgo).Format(time.DateOnly)), http.StatusCreated, &d)
		ids[event] = d.ID
	}
	p.stop()
	for range 2 { // each start looks at the terms
		p = startProcess(t, data, allowThisMachine)
		eventually(t, "both events", func() bool { return rc.count() == 2 })
		for _, event := range []string{"dsr.dueSoon", "dsr.overdue"} {
			var page struct{ Content []struct{ Event string } }
			p.ask(http.MethodGet, "/api/v1/notifications?event="+event, "", http.StatusOK, &page)
			if len(page.Content) != 1 || page.Content[0].Event != event {
				t.Errorf("notifications of %s: %+v", event, page)
			}
		}
		var out []map[string]any
		p.ask(http.MethodGet, "/api/v1/export/dsr?format=json", "", http.StatusOK, &out)
		if text := fmt.Sprint(out); len(out) != 3 || strings.Contains(text, "Anna Kim") || strings.Contains(text, "anna@") {
			t.Errorf("the export holds %s", text)
		}
		for _, r := range out {
			if r["overdue"] != (r["id"] == ids["dsr.overdue"]) {
				t.Errorf("the export says %v", r)
			}
		}
		p.stop()
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for event, severity := range map[string]string{"dsr.overdue": "high", "dsr.dueSoon": "medium"} {
		id := ids[event]
		if len(rc.ids[id]) != 1 {
			t.Errorf("%s was told %d times", event, len(rc.ids[id]))
		}
		if !slices.ContainsFunc(rc.bodies, func(b string) bool {
			return strings.HasPrefix(b, `{"event":"`+event+`","timestamp":"`) && strings.Contains(b, `"id":"`+id+`"`) && strings.Contains(b, `"severity":"`+severity+`"`) && strings.HasSuffix(b, "/dsr/"+id+`"}}`)
		}) {
			t.Errorf("no %s among %q", event, rc.bodies)
		}
	}
}

// ask is call that must be answered with a status.
func (p *process) ask(method, path, body string, want int, out any) {
	p.t.Helper()
	var problem json.RawMessage
	if out == nil {
		out = &problem
	}
	if status, err := p.call(method, path, body, out); err != nil || status != want {
		p.t.Fatalf("%s %s: %d %v %s", method, path, status, err, problem)
	}
}

// work starts a job, waits for its end and reads its result.
func (p *process) work(path, body string, out any) {
	p.t.Helper()
	var j struct {
		ID, State, Reason string
		Result            json.RawMessage
	}
	p.ask(http.MethodPost, path, body, http.StatusAccepted, &j)
	eventually(p.t, "the end of "+path, func() bool {
		p.ask(http.MethodGet, "/api/v1/jobs/"+j.ID, "", http.StatusOK, &j)
		return j.State == "DONE" || j.State == "FAILED"
	})
	if j.State != "DONE" {
		p.t.Fatalf("%s: %s", path, j.Reason)
	}
	if out != nil {
		if err := json.Unmarshal(j.Result, out); err != nil {
			p.t.Fatalf("%s: %v in %s", path, err, j.Result)
		}
	}
}

// unpack returns the lines of a package.
func (p *process) unpack(path string) (events, control string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("download: %d %v", resp.StatusCode, err)
	}
	z, err := zip.NewReader(bytes.NewReader(all), int64(len(all)))
	if err != nil {
		p.t.Fatal(err)
	}
	read := func(name string) string {
		f, err := z.Open(name)
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			p.t.Fatal(err)
		}
		return string(text)
	}
	return read("events.ndjson"), read("control.ndjson")
}
