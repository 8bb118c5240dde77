package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReference sends every call that the public reference documents to a fresh demo, and
// compares keys, types, headers and statuses with what is printed there. TestReferenceCommands
// (internal/app) runs its commands and its Python as they are printed.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../../shared/api/rest-api-reference.txt")
	if err != nil {
		t.Skip("the public reference is not beside the repository: ", err)
	}
	d := startDemo(t)
	examples := jsonBlocks(string(text))
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(receiver.Close)
	alert, incident := d.first("/alerts"), d.first("/incidents")

	// What the reference documents, in its order; example is the number of the JSON that is
	// printed with it, from 0.
	type call struct {
		method, documented, path, body string
		status                         int
		example                        int
		like                           string // only for those whose list is the example's
	}
	const none = -1
	calls := []call{
		{"GET", "/alerts", "/alerts?severity=critical,high&status=OPEN&size=5", "", 200, 0, ""},
		{"GET", "/alerts/{id}", "/alerts/" + alert, "", 200, none, ""},
		{"GET", "/alerts/stats", "/alerts/stats", "", 200, 1, ""},
		{"GET", "/incidents", "/incidents?status=OPEN", "", 200, 2, ""},
		{"GET", "/incidents/{id}", "/incidents/" + incident, "", 200, none, ""},
		{"POST", "/incidents/{id}/comments", "/incidents/" + incident + "/comments", `{"content": "Isolated host from network. Investigating root cause."}`, 201, none, ""},
		{"POST", "/siem/search", "/siem/search", `{"query": "program:sshd AND user:root", "limit": 50}`, 200, 3, ""},
		{"GET", "/siem/rules", "/siem/rules?mitre=T1110&size=5", "", 200, none, ""},
		{"GET", "/collectors", "/collectors", "", 200, 4, ""},
		{"GET", "/compliance/frameworks", "/compliance/frameworks", "", 200, none, ""},
		{"GET", "/compliance/{framework}/controls", "/compliance/ISMSP/controls", "", 200, none, ""},
		{"GET", "/compliance/{framework}/coverage", "/compliance/ISMSP/coverage", "", 200, 5, ""},
		{"POST", "/compliance/evidence/collect", "/compliance/evidence/collect", "", 202, none, ""},
		{"GET", "/compliance/{framework}/report", "/compliance/ISMSP/report", "", 200, none, ""},
		{"GET", "/assets", "/assets?search=10.0.0.0/8&type=server&sort=lastSeen&direction=desc", "", 200, none, ""},
		{"GET", "/export/{resource}", "/export/alerts?format=csv", "", 200, none, ""},
		{"POST", "/webhooks", "/webhooks", `{"name": "Slack Critical Alerts", "url": "` + receiver.URL + `", "events": ["alert.created"], "filters": {"severity": ["critical", "high"]}}`, 201, none, ""},
	}
	documented := documentedCalls(string(text))
	for _, c := range calls {
		name := c.method + " " + c.documented
		documented = slices.DeleteFunc(documented, func(d string) bool { return d == name })
		t.Run(name, func(t *testing.T) {
			status, body, _ := d.call(t, d.key, c.method, c.path, c.body)
			if status != c.status {
				t.Fatalf("status %d, want %d: %.400s", status, c.status, body)
			}
			if c.example == none {
				return
			}
			var got any
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v in %.400s", err, body)
			}
			like(t, c.documented, examples[c.example], got)
		})
	}
	if len(documented) > 0 {
		t.Errorf("documented, and not called here: %v", documented)
	}
	t.Run("errors", func(t *testing.T) {
		status, body, _ := d.call(t, d.key, "GET", "/alerts?severity=urgent", "")
		want, _ := json.Marshal(examples[len(examples)-1])
		var got any
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 400 {
			t.Fatalf("%d %s", status, body)
		}
		if text, _ := json.Marshal(got); !bytes.Equal(text, want) {
			t.Errorf("the error is %s, documented %s", text, want)
		}
		for _, x := range []struct {
			key, method, path, body string
			status                  int
		}{
			{"", "GET", "/alerts", "", 401},
			{"kyra_wrong", "GET", "/alerts", "", 401},
			{d.key, "GET", "/alerts/550e8400-e29b-41d4-a716-446655440000", "", 404},
			{d.key, "POST", "/incidents/7c9e6679-a1f4/comments", `{"content":"x"}`, 404},
			{d.key, "GET", "/nothing", "", 404},
		} {
			status, body, _ := d.call(t, x.key, x.method, x.path, x.body)
			if status != x.status {
				t.Errorf("%s %s: %d, want %d: %s", x.method, x.path, status, x.status, body)
			}
		}
	})
	t.Run("exports", d.exports)
}

// exports checks that the demo fills every documented resource, as CSV and as JSON.
func (d *demoServer) exports(t *testing.T) {
	for _, resource := range []string{
		"alerts", "incidents", "detection-rules", "assets", "audit-logs", "identities", "compliance-controls", "connectors", "playbooks", "notifications", "subdomains",
		"threat-intel-iocs", "risk-intelligence", "dsr",
	} {
		var err error
		// What is derived from events comes some seconds after them.
		var rows [][]string
		status, body, header := 0, "", http.Header{}
		for begun := time.Now(); len(rows) < 2 && time.Since(begun) < 20*time.Second; time.Sleep(200 * time.Millisecond) {
			status, body, header = d.call(t, d.key, "GET", "/export/"+resource+"?format=csv", "")
			rows, err = csv.NewReader(strings.NewReader(body)).ReadAll()
			if status != 200 {
				break
			}
		}
		if status != 200 || err != nil || len(rows) < 2 || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
			t.Errorf("%s as CSV: %d, %d rows, %v: %.300s", resource, status, len(rows), err, body)
			continue
		}
		status, body, _ = d.call(t, d.key, "GET", "/export/"+resource+"?format=json", "")
		var list []map[string]any
		if err := json.Unmarshal([]byte(body), &list); status != 200 || err != nil || len(list) == 0 {
			t.Errorf("%s as JSON: %d, %v: %.300s", resource, status, err, body)
			continue
		}
		for _, column := range rows[0] {
			if _, ok := list[0][column]; !ok && !slices.ContainsFunc(list, func(m map[string]any) bool { _, ok := m[column]; return ok }) {
				t.Errorf("%s: no item has the column %s", resource, column)
			}
		}
	}
}

type demoServer struct {
	t        *testing.T
	url, key string
}

// startDemo starts the demo as a user does and waits until it has told what it found.
func startDemo(t *testing.T) *demoServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "kyra", "demo", "--listen", address) // it is stopped below
	out := &told{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended with %v: %s", err, out.text())
		}
	})
	for begun := time.Now(); !strings.Contains(out.text(), "stays until"); time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("the demo did not come to its end:\n%s", out.text())
		}
	}
	key := regexp.MustCompile(`kyra_[A-Za-z0-9]+`).FindString(out.text())
	if key == "" {
		t.Fatalf("the demo tells no key:\n%s", out.text())
	}
	return &demoServer{t, "http://" + address, key}
}

// told gathers what a program prints.
type told struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *told) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *told) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// call sends one request and checks what holds for every answer.
func (d *demoServer) call(t *testing.T, key, method, path, body string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		if !regexp.MustCompile(`^[0-9]+$`).MatchString(res.Header.Get(h)) {
			t.Errorf("%s %s: header %s is %q", method, path, h, res.Header.Get(h))
		}
	}
	if res.StatusCode >= 400 {
		var p map[string]any
		if err := json.Unmarshal(text, &p); err != nil || len(p) != 3 || p["status"] != float64(res.StatusCode) || fmt.Sprint(p["error"]) == "" || fmt.Sprint(p["message"]) == "" {
			t.Errorf("%s %s: the error is not of the documented form: %s", method, path, text)
		}
	}
	return res.StatusCode, string(text), res.Header
}

// first returns the id of the first item of a list.
func (d *demoServer) first(path string) string {
	d.t.Helper()
	_, body, _ := d.call(d.t, d.key, "GET", path, "")
	var page struct{ Content []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Content) == 0 {
		d.t.Fatalf("%s holds nothing: %.300s", path, body)
	}
	return page.Content[0].ID
}

// documentedCalls returns the lines of the reference that are a method and a path.
func documentedCalls(text string) []string {
	var calls []string
	for line := range strings.Lines(text) {
		m := regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /api/v1(/[^?\s]*)`).FindStringSubmatch(line)
		if m != nil && !slices.Contains(calls, m[1]+" "+m[2]) {
			calls = append(calls, m[1]+" "+m[2])
		}
	}
	return calls
}

// jsonBlocks returns the JSON that is printed in the reference on lines of its own.
func jsonBlocks(text string) []any {
	var blocks []any
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] != "{" && lines[i] != "[" {
			continue
		}
		for end := i; end < len(lines); end++ {
			var v any
			if json.Unmarshal([]byte(strings.Join(lines[i:end+1], "\n")), &v) == nil {
				blocks = append(blocks, v)
				i = end
				break
			}
		}
	}
	return blocks
}

// like checks that got has every key of the documented example with a value of its type.
func like(t *testing.T, where string, example, got any) {
	t.Helper()
	switch want := example.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is %T, documented as object", where, got)
			return
		}
		for key, v := range want {
			inner, ok := object[key]
			if !ok {
				if where != "/siem/search.histogram[].breakdown" { // severities that there are
					t.Errorf("%s.%s is missing", where, key)
				}
				continue
			}
			like(t, where+"."+key, v, inner)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) == 0 {
			t.Errorf("%s is %T with nothing to compare, documented as array", where, got)
			return
		}
		for _, v := range list {
			like(t, where+"[]", want[0], v)
		}
	case nil:
		if _, text := got.(string); got != nil && !text {
			t.Errorf("%s is %T, documented as null or text", where, got)
		}
	default:
		if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", example) {
			t.Errorf("%s is %T, documented as %T", where, got, example)
		}
	}
}
