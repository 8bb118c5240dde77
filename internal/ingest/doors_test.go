package ingest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// openDoors starts a real HTTP server with the doors of one gate; the token "good"
// belongs to tenant 7, "nginx" to the same with a source.
func openDoors(t *testing.T, s *sink, rate int) string {
	t.Helper()
	g := New(Config{Append: s.Append, Log: testLog(t)})
	doors := NewDoors(g, func(_ context.Context, secret string, _ netip.Addr) (Caller, error) {
		c := Caller{Tenant: Tenant{Number: 7, EventsPerSecond: rate}, Key: "token-1"}
		switch secret {
		case "good":
			return c, nil
		case "nginx":
			c.Source = "nginx"
			return c, nil
		}
		return Caller{}, fault.New(fault.Unauthenticated, "no")
	})
	server := httptest.NewServer(doors.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot) // the console and the API
	})))
	t.Cleanup(server.Close)
	return server.URL
}

type asked struct {
	method, path, body string
	header             map[string]string
}

func ask(t *testing.T, url string, a asked) (status int, header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), a.method, url+a.path, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range a.header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func auth(scheme, secret string) map[string]string {
	return map[string]string{"Authorization": scheme + " " + secret}
}

func TestDoorsKnowTheirSenders(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 0)
	pair := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, x := range []struct {
		header map[string]string
		want   int
	}{
		{auth("Bearer", "good"), 200},
		{auth("ApiKey", pair("id:good")), 200},
		{auth("ApiKey", "good"), 200},
		{auth("Basic", pair("anybody:good")), 200},
		{auth("Splunk", "good"), 200},
		{auth("Bearer", "bad"), 401},
		{auth("Basic", pair("good:bad")), 401},
		{auth("Digest", "good"), 401},
		{nil, 401},
	} {
		status, header, body := ask(t, url, asked{"POST", "/_bulk", `{"index":{}}` + "\n{}\n", x.header})
		if status != x.want {
			t.Errorf("%v: %d %s", x.header, status, body)
		}
		if status == 401 && header.Get("WWW-Authenticate") == "" {
			t.Errorf("%v: no WWW-Authenticate", x.header)
		}
	}
}

func TestElasticHandshake(t *testing.T) {
	url := openDoors(t, newSink(), 0)
	for _, a := range []asked{
		{method: "GET", path: "/"},
		{method: "HEAD", path: "/"},
		{method: "GET", path: "/_license"},
		{method: "GET", path: "/_xpack"},
		{method: "GET", path: "/_cluster/health"},
		{method: "HEAD", path: "/_index_template/filebeat-9.0.0"},
		{method: "PUT", path: "/_index_template/filebeat-9.0.0", body: "{}"},
		{method: "GET", path: "/_ilm/policy/filebeat"},
		{method: "PUT", path: "/_ingest/pipeline/x"},
		{method: "GET", path: "/_data_stream/logs"},
		{method: "GET", path: "/_nodes"},
		{method: "PUT", path: "/_template/logstash"},
		{method: "GET", path: "/_logstash/pipeline"},
	} {
		for _, prefix := range []string{"", "/ingest/elastic"} {
			a := a
			a.path = prefix + a.path
			a.header = auth("ApiKey", "good")
			status, header, body := ask(t, url, a)
			if status != 200 || header.Get("X-Elastic-Product") != "Elasticsearch" || a.method != "HEAD" && !json.Valid([]byte(body)) {
				t.Errorf("%s %s: %d %v %s", a.method, a.path, status, header, body)
			}
		}
	}
	// Clients of the 8th line ask for and check a content type of their own.
	_, header, _ := ask(t, url, asked{"GET", "/", "", map[string]string{"Authorization": "ApiKey good", "Accept": "application/vnd.elasticsearch+json; compatible-with=8"}})
	if got := header.Get("Content-Type"); got != "application/vnd.elasticsearch+json;compatible-with=8" {
		t.Errorf("content type %q", got)
	}
	// People with a browser get the console, and so do paths that are nobody's.
	for _, a := range []asked{{"GET", "/", "", nil}, {"GET", "/", "", map[string]string{"Authorization": "Basic x", "Accept": "text/html"}}, {"GET", "/alerts/1", "", nil}, {"POST", "/api/v1/alerts", "{}", nil}} {
		if status, _, _ := ask(t, url, a); status != http.StatusTeapot {
			t.Errorf("%s %s: %d, want what lies behind", a.method, a.path, status)
		}
	}
}

func TestElasticBulk(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 0)
	// As rsyslog writes it, with blank lines, and what bulk knows besides.
	body := `{"index":{"_index":"logs","_id":"7"}}
{"message":"one"}

{"create":{}}
{"message":"two"}
{"delete":{"_id":"1"}}
{"update":{"_id":"1"}}
{"doc":{}}
{"create":{"_id":12345678901234567890}}
no json
`
	status, _, answer := ask(t, url, asked{"POST", "/mine/_bulk?pretty=false", body, auth("Bearer", "nginx")})
	if status != 200 || !strings.Contains(answer, `"errors":true,"items":[`) {
		t.Fatalf("%d %s", status, answer)
	}
	var got struct {
		Items []map[string]struct {
			Index  string `json:"_index"`
			ID     string `json:"_id"`
			Status int    `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	want := "index:logs:201 create:mine:201 delete:mine:400 update:mine:400 create:mine:201 "
	text := ""
	for _, item := range got.Items {
		for op, x := range item {
			text += fmt.Sprintf("%s:%s:%d ", op, x.Index, x.Status)
		}
	}
	if text != want {
		t.Errorf("items %s, want %s", text, want)
	}
	if got := strings.Join(s.records(), "|"); got != `{"message":"one"}|{"message":"two"}|no json` {
		t.Errorf("kept %s", got)
	}
	if c := s.chunks[0]; c.Input != InputElastic || c.Source != "nginx" || c.Key != "token-1" || c.Tenant != 7 {
		t.Errorf("chunk %+v", c)
	}
	if _, _, answer := ask(t, url, asked{"POST", "/_bulk?filter_path=errors,items.*.status", `{"create":{}}` + "\n{}", auth("Bearer", "good")}); !strings.HasSuffix(answer, `"errors":false,"items":[{"create":{"status":201}}]}`) {
		t.Errorf("filtered: %s", answer)
	}
	for name, body := range map[string]string{"nothing": "", "blank lines": "\n\n", "no action": "hello\n{}\n", "two actions in one": `{"index":{},"create":{}}`, "unknown": `{"merge":{}}`} {
		if status, _, answer := ask(t, url, asked{"POST", "/_bulk", body, auth("Bearer", "good")}); status != 400 || !strings.Contains(answer, `"root_cause"`) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if status, _, answer := ask(t, url, asked{"POST", "/logs/_doc", `{"a":1}`, auth("Bearer", "good")}); status != 201 || !strings.Contains(answer, `"_index":"logs"`) {
		t.Errorf("one document: %d %s", status, answer)
	}
}

func TestElasticWhenFull(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 2) // a bucket of four
	body := strings.Repeat(`{"create":{}}`+"\n{}\n", 6)
	status, _, answer := ask(t, url, asked{"POST", "/_bulk", body, auth("Bearer", "good")})
	if status != 200 || strings.Count(answer, `"status":201`) != 6 || len(s.records()) != 6 {
		t.Errorf("over quota within a body: %d %s, kept %d", status, answer, len(s.records()))
	}
	status, header, answer := ask(t, url, asked{"POST", "/_bulk", body, auth("Bearer", "good")})
	if status != 429 || header.Get("Retry-After") == "" {
		t.Errorf("over quota from the first on: %d %v %s", status, header, answer)
	}
	s.fail(fault.New(fault.Unavailable, "the queue is full"))
	status, header, answer = ask(t, openDoors(t, s, 0), asked{"POST", "/_bulk", body, auth("Bearer", "good")})
	if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(answer, "the queue is full") {
		t.Errorf("a full queue: %d %v %s", status, header, answer)
	}
}

func TestHEC(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 0)
	for _, x := range []struct {
		name   string
		a      asked
		status int
		answer string
	}{
		{"two objects, a content type that lies", asked{"POST", "/services/collector/event/1.0", `{"time":"1700000000","event":"a"}{"event":{"b":1}}`, map[string]string{"Authorization": "Splunk good", "Content-Type": "application/x-www-form-urlencoded"}}, 200, `{"text":"Success","code":0}`},
		{"under its own path", asked{"POST", "/ingest/hec/services/collector", `{"event":"c"}`, auth("Splunk", "good")}, 200, `{"text":"Success","code":0}`},
		{"a channel", asked{"POST", "/services/collector", `{"event":"d"}`, map[string]string{"Authorization": "Splunk good", "X-Splunk-Request-Channel": "x"}}, 200, `{"text":"Success","code":0,"ackId":0}`},
		{"a channel again", asked{"POST", "/services/collector?channel=x", `{"event":"d"}`, auth("Splunk", "good")}, 200, `{"text":"Success","code":0,"ackId":1}`},
		{"a channel without end", asked{"POST", "/services/collector?channel=" + strings.Repeat("x", 200), `{"event":"d"}`, auth("Splunk", "good")}, 400, `{"text":"Invalid data channel","code":11}`},
		{"acknowledged", asked{"POST", "/services/collector/ack?channel=x", `{"acks":[0,1]}`, auth("Splunk", "good")}, 200, `{"acks":{"0":true,"1":true}}`},
		{"lines", asked{"POST", "/services/collector/raw", "e\nf\n", auth("Splunk", "good")}, 200, `{"text":"Success","code":0}`},
		{"lines with their host", asked{"POST", "/services/collector/raw?host=web1&sourcetype=syslog", "g\n", auth("Splunk", "good")}, 200, `{"text":"Success","code":0}`},
		{"health", asked{"GET", "/services/collector/health/1.0", "", nil}, 200, `{"text":"HEC is healthy","code":17}`},
		{"no data", asked{"POST", "/services/collector", "", auth("Splunk", "good")}, 400, `{"text":"No data","code":5}`},
		{"no token", asked{"POST", "/services/collector", "{}", nil}, 401, `{"text":"Token is required","code":2}`},
		{"a wrong token", asked{"POST", "/services/collector", "{}", auth("Splunk", "bad")}, 401, `{"text":"Invalid token","code":4}`},
		{"the token in the address", asked{"POST", "/services/collector?token=good", `{"event":"h"}`, nil}, 200, `{"text":"Success","code":0}`},
		{"no object", asked{"POST", "/services/collector", `[1]`, auth("Splunk", "good")}, 400, `{"text":"body event 1: it is no object","code":6,"invalid-event-number":0}`},
	} {
		if status, _, answer := ask(t, url, x.a); status != x.status || answer != x.answer {
			t.Errorf("%s: %d %s", x.name, status, answer)
		}
	}
	want := `{"time":"1700000000","event":"a"}|{"event":{"b":1}}|{"event":"c"}|{"event":"d"}|{"event":"d"}|e|f|{"event":"g","host":"web1","sourcetype":"syslog"}|{"event":"h"}`
	if got := strings.Join(s.records(), "|"); got != want {
		t.Errorf("kept %s", got)
	}
}

func TestWebhook(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 0)
	for _, x := range []struct {
		name   string
		a      asked
		status int
		answer string
	}{
		{"an object", asked{"POST", "/ingest/webhook/good", `{"a":1}`, nil}, 200, `{"accepted":1}`},
		{"an array", asked{"POST", "/ingest/webhook/good", `[{"a":2},{"a":3}]`, nil}, 200, `{"accepted":2}`},
		{"a form", asked{"POST", "/ingest/webhook/good", `payload=%7B%22a%22%3A4%7D`, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 200, `{"accepted":1}`},
		{"nothing", asked{"POST", "/ingest/webhook/good", ``, nil}, 400, `{"accepted":0,"error":"body it holds no event"}`},
		{"a wrong token", asked{"POST", "/ingest/webhook/bad", `{}`, nil}, 401, `{"accepted":0,"error":"missing or invalid ingest token"}`},
		{"Okta asks", asked{"GET", "/ingest/webhook/good", ``, map[string]string{"X-Okta-Verification-Challenge": "xyz"}}, 200, `{"verification":"xyz"}`},
		{"Microsoft asks", asked{"POST", "/ingest/webhook/good?validationToken=a%20b", ``, nil}, 200, `a b`},
	} {
		if status, _, answer := ask(t, url, x.a); status != x.status || answer != x.answer {
			t.Errorf("%s: %d %s", x.name, status, answer)
		}
	}
	if got := strings.Join(s.records(), "|"); got != `{"a":1}|{"a":2}|{"a":3}|{"a":4}` {
		t.Errorf("kept %s", got)
	}
}

// TestCapturedClients sends again what real clients sent.
func TestCapturedClients(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "captures")
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) == 0 {
		t.Skip("no shared test data beside the repository")
	}
	s := newSink()
	url := openDoors(t, s, 0)
	replayed := 0
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 32<<20)
		for lines.Scan() {
			var c struct {
				Kind, Method, Path, Body string
				Headers                  map[string]string
			}
			if json.Unmarshal(lines.Bytes(), &c) != nil || c.Path == "" || strings.HasSuffix(c.Headers["Content-Type"], "protobuf") { // whose bytes were not captured as they are
				continue
			}
			header := auth("Bearer", "good")
			for k, v := range c.Headers {
				switch strings.ToLower(k) {
				case "content-type", "accept", "user-agent", "x-elastic-client-meta":
					header[k] = v
				}
			}
			if status, _, answer := ask(t, url, asked{c.Method, c.Path, c.Body, header}); status/100 != 2 || strings.Contains(answer, `"errors":true`) || strings.Contains(answer, "partialSuccess") {
				t.Errorf("%s: %s %s: %d %s", filepath.Base(name), c.Method, c.Path, status, answer)
			}
			replayed++
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if replayed < 8 || len(s.records()) < replayed {
		t.Errorf("%d requests replayed, %d records kept", replayed, len(s.records()))
	}
}
