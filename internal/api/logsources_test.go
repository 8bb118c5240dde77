package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// sees lets the server know records of tenant a as the pipeline would, and stores
// their events.
func (s *server) sees(records ...string) {
	s.t.Helper()
	p := parse.New(parse.Options{})
	var events []event.Event
	for _, raw := range records {
		s.pass(10 * time.Second)
		set, err := s.cfg.LogSources.For(s.t.Context(), s.a.Number)
		if err != nil {
			s.t.Fatal(err)
		}
		r := parse.Record{Tenant: s.a.Number, Raw: raw, Arrived: s.now().UnixNano(), Peer: "192.0.2.1", Input: "syslog-udp", Settings: set}
		var e event.Event
		x := p.ParseExplain(&r, &e)
		s.eventSeq++
		e.ID, e.Tenant, e.Arrived = event.ID{Seq: s.eventSeq}, s.a.Number, r.Arrived
		s.cfg.LogSources.Observe(&r, &e, &x)
		events = append(events, e)
	}
	if err := s.cfg.Events.Append(s.t.Context(), events); err != nil {
		s.t.Fatal(err)
	}
}

func withLogSources(c *Config) {
	if err := c.openLogSources(); err != nil {
		panic(err)
	}
}

// seoul is a line of a host whose clock shows the time of Seoul and says no zone.
func (s *server) seoul(n int) {
	s.t.Helper()
	for range n {
		at := s.now().Add(9*time.Hour + 10*time.Second)
		s.sees(fmt.Sprintf("<38>%s web1 sshd[7]: Failed password for root from 203.0.113.9 port 22 ssh2", at.Format(time.Stamp)))
	}
}

func TestLogSources(t *testing.T) {
	t.Parallel()
	s := newServer(t, withLogSources)
	s.seoul(40)
	s.sees(`{"host":"app1","service":"shop","caller_addr":"192.0.2.77","message":"x"}`)
	if err := s.cfg.LogSources.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := s.get("/api/v1/log-sources?sort=source&direction=desc").want(200).is("totalElements", 2)
	list.is("content.0.source", "sshd").is("content.0.host", "web1").is("content.0.status", "new").is("content.0.events", 40).is("content.0.proposals", 1).is("content.0.unparsedShare", 0)
	exactly(t, "an item", list.json().(map[string]any)["content"].([]any)[0], "id", "source", "host", "status", "firstSeen", "lastSeen", "eventsPerHour", "events", "unparsedShare", "format", "parser",
		"programs", "input", "peer", "key", "muted", "silentSince", "proposals")
	s.get("/api/v1/log-sources?host=web1&status=new,active&search=SSH").is("totalElements", 1)
	s.get("/api/v1/log-sources?status=silent").is("content", []any{})
	s.get("/api/v1/log-sources?statos=silent").want(400)
	s.do(s.foreign, "GET", "/api/v1/log-sources", "").is("totalElements", 0)
	id := list.text("content.0.id")
	one := s.get("/api/v1/log-sources/"+id).want(200).is("history.0.events", 40).is("silentAfter", nil).is("proposalList.0.kind", "time_zone").is("proposalList.0.timeZone", "+09:00").is("proposalList.0.state", "open")
	if why := one.text("proposalList.0.evidence"); !strings.HasPrefix(why, "Its times carry no zone and are read as +00:00, by which they lie 9h0m0s after arrival (median of 40 events") {
		t.Errorf("the evidence is %q", why)
	}
	s.do(s.foreign, "GET", "/api/v1/log-sources/"+id, "").want(404)

	tag := one.header.Get("ETag")
	s.do(s.ro, "PATCH", "/api/v1/log-sources/"+id, `{"muted":true}`).want(403)
	s.do(s.foreign, "PATCH", "/api/v1/log-sources/"+id, `{"muted":true}`).want(404)
	s.do(s.rw, "PATCH", "/api/v1/log-sources/"+id, `{"silentAfter":5}`).want(400)
	s.do(s.rw, "PATCH", "/api/v1/log-sources/"+id, `{}`).want(400)
	s.do(s.rw, "PATCH", "/api/v1/log-sources/"+id, `{"silentAfter":3600}`, "If-Match: "+tag).want(200).is("silentAfter", 3600).is("silenceLimit", 3600)
	s.do(s.rw, "PATCH", "/api/v1/log-sources/"+id, `{"muted":true}`, "If-Match: "+tag).want(412)

	// The proposal becomes a setting, by which the next records are read.
	s.do(s.ro, "POST", "/api/v1/log-sources/"+id+"/proposals/1/accept", "").want(403)
	s.post("/api/v1/log-sources/"+id+"/proposals/7/accept", "").want(404)
	setting := s.post("/api/v1/log-sources/"+id+"/proposals/1/accept", "").want(200).is("proposalList.0.state", "accepted").text("proposalList.0.settingId")
	s.post("/api/v1/log-sources/"+id+"/proposals/1/dismiss", "").want(409)
	s.get("/api/v1/log-source-settings/"+setting).want(200).is("match.host", "web1").is("match.source", "sshd").is("apply.timeZone", "+09:00")
	s.seoul(1)
	came := s.now()
	s.pass(time.Second)
	found := s.do(s.ro, "POST", "/api/v1/siem/search", `{"query":"host:web1","limit":1}`).want(200)
	found.is("events.0.timestamp", came.Format(time.RFC3339))
}

func TestLogSourceSettings(t *testing.T) {
	t.Parallel()
	s := newServer(t, withLogSources)
	s.sees(`{"host":"app1","caller_addr":"192.0.2.77","message":"x"}`, `{"host":"app1","caller_addr":"192.0.2.78","message":"y"}`)
	id := s.get("/api/v1/log-sources").text("content.0.id")
	s.post("/api/v1/log-source-settings/preview", `{"sourceId":"`+id+`","apply":{"aliases":{"caller_addr":"src_ip"}}}`).want(200).
		is("events", 2).is("changed", 2).is("fields.0.field", "src_ip").is("fields.0.added", 2).is("fields.0.after", "192.0.2.77")
	s.do(s.foreign, "POST", "/api/v1/log-source-settings/preview", `{"sourceId":"`+id+`","apply":{"source":"x"}}`).want(404)

	const path = "/api/v1/log-source-settings"
	made := s.post(path, `{"name":"App","match":{"host":"app*"},"apply":{"aliases":{"caller_addr":"source.ip"}}}`).want(201).is("priority", 100).is("enabled", true).is("version", 1)
	exactly(t, "a setting", made.json(), "id", "name", "priority", "enabled", "match", "apply", "createdAt", "createdBy", "updatedAt", "updatedBy", "version")
	one := path + "/" + made.text("id")
	if made.header.Get("Location") != one {
		t.Errorf("Location is %q", made.header.Get("Location"))
	}
	s.sees(`{"host":"app1","caller_addr":"192.0.2.79","message":"z"}`)
	s.pass(time.Second)
	s.do(s.ro, "POST", "/api/v1/siem/search", `{"query":"src_ip:192.0.2.79"}`).is("total", 1)
	for body, field := range map[string]string{
		`{"name":"","apply":{"source":"x"}}`:                      "Invalid name value",
		`{"name":"x","apply":{"timeZone":"Mars"}}`:                "Invalid timeZone value",
		`{"name":"x","apply":{"timeZone":"+99:00"}}`:              "Invalid timeZone value",
		`{"name":"x","apply":{"parser":"nope"}}`:                  "Invalid parser value",
		`{"name":"x","apply":{"hostPattern":"("}}`:                "Invalid hostPattern value",
		`{"name":"x","apply":{"aliases":{"a":"peer_ip"}}}`:        "Invalid aliases.a value",
		`{"name":"x","apply":{"aliases":{"a":"no_such"}}}`:        "Invalid aliases.a value",
		`{"name":"x","priority":2000,"apply":{"source":"x"}}`:     "Invalid priority value",
		`{"name":"x","apply":{"parser":"sshd","format":"plain"}}`: "Invalid format value",
	} {
		s.post(path, body).problem(400, field, "")
	}
	s.post(path, `{"name":"x","apply":{}}`).want(400)
	s.do(s.ro, "POST", path, `{"name":"x","apply":{"source":"x"}}`).want(403)

	tag := s.get(one).want(200).header.Get("ETag")
	s.do(s.foreign, "GET", one, "").want(404)
	s.do(s.foreign, "PATCH", one, `{"enabled":false}`).want(404)
	s.do(s.foreign, "DELETE", one, "").want(404)
	s.do(s.rw, "PATCH", one, `{"enabled":false}`, "If-Match: "+tag).want(200).is("enabled", false).is("version", 2).is("match.host", "app*")
	s.do(s.rw, "PATCH", one, `{"enabled":true}`, "If-Match: "+tag).want(412)
	s.sees(`{"host":"app1","caller_addr":"192.0.2.80","message":"z"}`)
	s.do(s.ro, "POST", "/api/v1/siem/search", `{"query":"src_ip:192.0.2.80"}`).is("total", 0)
	s.get(path).want(200).is("totalElements", 1)
	s.do(s.rw, "DELETE", one, "").want(204)
	s.get(one).want(404)
}

func TestParseRecords(t *testing.T) {
	t.Parallel()
	s := newServer(t, withLogSources)
	const line = "<38>Apr 22 12:00:00 web1 sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2"
	got := s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":["`+line+`"]}`).want(200)
	exactly(t, "a record", got.json().(map[string]any)["records"].([]any)[0], "raw", "header", "parser", "why", "source", "timestamp", "tags", "fields", "settings")
	got.is("records.0.parser", "sshd").is("records.0.header", "rfc3164").is("records.0.fields.user", "root").is("records.0.timestamp", "2026-04-22T12:00:00Z").is("records.0.tags", []any{}).is("records.0.why", "the program name leads to it")
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"text":"a\r\n\nb\n","source":"shop","host":"192.0.2.9","zone":"Asia/Seoul"}`).want(200).is("records.1.raw", "b").is("records.1.source", "shop").is("records.0.fields.host", "192.0.2.9")
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":["`+line+`"],"zone":"Asia/Seoul"}`).is("records.0.timestamp", "2026-04-22T03:00:00Z")
	s.post("/api/v1/log-source-settings", `{"name":"zone","match":{"host":"web1"},"apply":{"timeZone":"-05:00","source":"bastion"}}`).want(201)
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":["`+line+`"]}`).is("records.0.timestamp", "2026-04-22T17:00:00Z").is("records.0.source", "bastion")
	s.do(s.foreign, "POST", "/api/v1/siem/parse", `{"lines":["`+line+`"]}`).is("records.0.timestamp", "2026-04-22T12:00:00Z")
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":["`+line+`"],"settings":[{"apply":{"timeZone":"+01:00"}}]}`).is("records.0.timestamp", "2026-04-22T11:00:00Z").is("records.0.settings.0", "trial")
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":[]}`).want(400)
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":["a"],"text":"b"}`).want(400)
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"lines":["a"],"zone":"Mars"}`).problem(400, "Invalid zone value", "")
	s.do(s.ro, "POST", "/api/v1/siem/parse", `{"text":"`+strings.Repeat(`x\n`, logsource.MaxTried+1)+`"}`).want(400)
}
