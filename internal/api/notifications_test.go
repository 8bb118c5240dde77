package api

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kyra-mdr/kyra/internal/outbox"
)

// happen puts messages through the outbox.
func (s *server) happen(messages ...outbox.Message) {
	s.t.Helper()
	if err := outbox.Add(s.t.Context(), s.db, messages...); err != nil {
		s.t.Fatal(err)
	}
	for {
		n, err := outbox.Dispatch(s.t.Context(), s.db, s.now(), 100, s.cfg.Webhooks.Sink, s.cfg.Notices.Sink, s.cfg.Connectors.Sink)
		if err != nil {
			s.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

func (s *server) alertMessage(title, severity string) outbox.Message {
	return outbox.Message{Tenant: s.a.Number, Event: outbox.AlertCreated, Kind: "alerts", Object: "018f0c2e-6f0e-7c1a-9a3e-1b6d3c1f8a55", Title: title, Severity: severity, Text: "Many failed sign-ins.", Source: "sshd", At: noon}
}

var notificationKeys = []string{"id", "event", "title", "severity", "message", "read", "kind", "objectId", "ruleId", "source", "createdAt"}

func TestNotifications(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.happen(s.alertMessage("first", "low"), s.alertMessage("second", "critical"), outbox.Message{Tenant: s.b.Number, Event: outbox.AlertCreated, Kind: "alerts", Object: "x", Title: "another tenant's", At: noon})
	list := s.get("/api/v1/notifications").want(200)
	list.is("totalElements", 2).is("content.0.title", "second").is("content.1.title", "first").is("content.0.read", false)
	if got := list.header.Get("X-Unread-Count"); got != "2" {
		t.Errorf("unread %q", got)
	}
	golden(t, "notifications.json", steady(t, list.body))
	id := list.text("content.0.id")
	exactly(t, "a notification", s.get("/api/v1/notifications/"+id).want(200).json(), notificationKeys...)
	// A reader is a key: what one has read, another has not; a read-only key may mark.
	s.do(s.ro, "PATCH", "/api/v1/notifications/"+id, `{"read":true}`).want(200).is("read", true)
	s.get("/api/v1/notifications/unread-count").want(200).is("unread", 1)
	s.get("/api/v1/notifications?read=false").want(200).is("totalElements", 1).is("content.0.title", "first")
	s.do(s.rw, "GET", "/api/v1/notifications/unread-count", "").want(200).is("unread", 2)
	s.do(s.ro, "POST", "/api/v1/notifications/read-all", "").want(200).is("unread", 0)
	s.do(s.ro, "PATCH", "/api/v1/notifications/"+id, `{"read":false}`).want(200)
	s.get("/api/v1/notifications/unread-count").want(200).is("unread", 1)
	s.do(s.foreign, "GET", "/api/v1/notifications/"+id, "").want(404)
	s.do(s.foreign, "PATCH", "/api/v1/notifications/"+id, `{"read":true}`).want(404)
	s.get("/api/v1/notifications?severity=critical&search=SEC&event=alert.created").want(200).is("totalElements", 1)
	s.get("/api/v1/notifications?search=%25").want(200).is("totalElements", 0)
	s.get("/api/v1/notifications?size=0").want(400)
}

func TestNotificationPreferences(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.happen(s.alertMessage("first", "low"), s.alertMessage("second", "critical"))
	s.do(s.rw, "GET", "/api/v1/notifications/preferences", "").want(200).is("inApp.severity", []any{})
	s.do(s.ro, "PUT", "/api/v1/notifications/preferences", `{}`).want(200) // its own: nobody else's change
	s.do(s.rw, "PUT", "/api/v1/notifications/preferences", `{"inApp":{"severity":["urgent"]}}`).want(400).is("error", "Invalid inApp.severity value")
	set := s.do(s.rw, "PUT", "/api/v1/notifications/preferences", `{"inApp":{"severity":["CRITICAL"]}}`).want(200).is("inApp.severity.0", "critical")
	s.do(s.rw, "GET", "/api/v1/notifications", "").want(200).is("totalElements", 1)
	s.do(s.rw, "GET", "/api/v1/notifications?all=true", "").want(200).is("totalElements", 2)
	s.do(s.rw, "GET", "/api/v1/notifications/unread-count", "").want(200).is("unread", 1)
	s.do(s.rw, "PUT", "/api/v1/notifications/preferences", `{}`, `If-Match: "stale"`).want(412)
	s.do(s.rw, "PUT", "/api/v1/notifications/preferences", `{}`, "If-Match: "+set.header.Get("ETag")).want(200)
	s.do(s.rw, "PUT", "/api/v1/notifications/preferences", `{"email":{"connectorId":"018f0c2e-6f0e-7c1a-9a3e-1b6d3c1f8a55","address":"a@example.com"}}`).want(400).is("error", "Invalid email.connectorId value")
	s.do(s.rw, "PUT", "/api/v1/notifications/preferences", `{"email":{"connectorId":"018f0c2e-6f0e-7c1a-9a3e-1b6d3c1f8a55","address":"a@example.com\r\nBcc: b@example.com"}}`).want(400).is("error", "Invalid email.address value")
}

func TestNotificationStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = s.cfg.Notices.Run(ctx) })
	defer work.Wait()
	defer cancel()
	s.happen(s.alertMessage("before", "low"))
	srv := httptest.NewServer(s.h)
	defer srv.Close()
	open := func(last string) (*http.Response, *bufio.Scanner) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/api/v1/notifications/stream", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.ro)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res, bufio.NewScanner(res.Body)
	}
	next := func(lines *bufio.Scanner) (id, data string) {
		for lines.Scan() {
			if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return id, v
			}
		}
		return "", ""
	}
	res, lines := open("")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	for lines.Scan() && lines.Text() != "" { // it has begun
	}
	s.happen(s.alertMessage("live", "high"), outbox.Message{Tenant: s.b.Number, Event: outbox.AlertCreated, Kind: "alerts", Object: "x", Title: "another tenant's", At: noon}, s.alertMessage("live too", "high"))
	id, data := next(lines)
	if !strings.Contains(data, `"title":"live"`) {
		t.Errorf("first %s", data)
	}
	if _, data := next(lines); !strings.Contains(data, `"live too"`) {
		t.Errorf("second %s", data)
	}
	_ = res.Body.Close()
	res, lines = open(id)
	if _, data := next(lines); !strings.Contains(data, `"live too"`) {
		t.Errorf("after %s came %s", id, data)
	}
	// A server that stops ends its streams.
	s.cfg.Notices.CloseStreams()
	if _, data := next(lines); data != "" {
		t.Errorf("after the end came %s", data)
	}
	_ = res.Body.Close()
	s.do(s.ro, "GET", "/api/v1/notifications/stream", "", "Last-Event-ID: x").want(400)
	s.do(s.ro, "GET", "/api/v1/notifications/stream", "").want(503)
}

func TestNotificationChannelsAndRoutes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var mu sync.Mutex
	var got []string
	rc := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("webhook-id"))
	}))
	defer rc.Close()
	made := s.post("/api/v1/notification-channels", `{"name":"Chat","kind":"slack","url":"`+rc.URL+`/secret/path"}`).want(201)
	if strings.Contains(made.body, "secret") {
		t.Errorf("the address is shown: %s", made.body)
	}
	golden(t, "notificationchannel.json", steady(t, strings.ReplaceAll(made.body, strings.TrimPrefix(rc.URL, "http://"), "chat.example")))
	id := made.text("id")
	s.post("/api/v1/notification-channels", `{"name":"chat","kind":"teams","url":"`+rc.URL+`"}`).want(409)
	s.post("/api/v1/notification-channels", `{"name":"Mail","kind":"email","to":["a@example.com"]}`).want(400).is("error", "Invalid connectorId value")
	s.post("/api/v1/notification-channels", `{"name":"Inside","kind":"webhook","url":"http://10.0.0.1/"}`).want(400).is("error", "Invalid url value")
	s.post("/api/v1/notification-channels", `{"name":"Night","kind":"discord","url":"`+rc.URL+`","quietHours":{"from":"22:00","to":"7","timeZone":"Asia/Seoul"}}`).want(400).is("error", "Invalid quietHours.to value")
	s.post("/api/v1/notification-channels/"+id+"/test", "").want(200).is("success", true).is("event", "channel.test")
	s.do(s.ro, "POST", "/api/v1/notification-channels/"+id+"/test", "").want(403)
	s.do(s.foreign, "POST", "/api/v1/notification-channels/"+id+"/test", "").want(404)

	s.post("/api/v1/notification-routes", `{"name":"R","channels":["`+id+`"],"filters":{"severity":["loud"]}}`).want(400).is("error", "Invalid severity value")
	s.post("/api/v1/notification-routes", `{"name":"R","channels":[]}`).want(400).is("error", "Invalid channels value")
	s.do(s.foreign, "POST", "/api/v1/notification-routes", `{"name":"R","channels":["`+id+`"]}`).want(400).is("error", "Invalid channels value")
	route := s.post("/api/v1/notification-routes", `{"name":"Urgent","channels":["`+id+`"],"filters":{"severity":["critical"],"events":["alert.created"]}}`).want(201)
	golden(t, "notificationroute.json", steady(t, route.body))
	s.happen(s.alertMessage("quiet", "low"), s.alertMessage("loud", "critical"))
	log := s.get("/api/v1/notification-channels/"+id+"/deliveries").want(200).is("totalElements", 2).is("content.0.state", "PENDING").is("content.1.event", "channel.test")
	if !strings.Contains(log.body, "loud") || strings.Contains(log.body, "quiet") {
		t.Errorf("log %s", log.body)
	}
	// What serves a channel is no webhook.
	s.get("/api/v1/webhooks").want(200).is("totalElements", 0)
	s.get("/api/v1/webhooks/" + id).want(404)
	s.get("/api/v1/webhooks/" + id + "/deliveries").want(404)
	s.do(s.foreign, "GET", "/api/v1/notification-channels/"+id+"/deliveries", "").want(404)

	path := "/api/v1/notification-channels/" + id
	tag := s.get(path).header.Get("ETag")
	s.do(s.rw, "PATCH", path, `{"enabled":false}`, "If-Match: "+tag).want(200).is("status", "disabled")
	s.do(s.rw, "PATCH", path, `{"name":"X"}`, "If-Match: "+tag).want(412)
	s.happen(s.alertMessage("unheard", "critical"))
	s.get(path+"/deliveries").want(200).is("totalElements", 2)
	s.do(s.rw, "PATCH", path, `{"enabled":true,"digest":{"above":0,"minutes":5}}`).want(200).is("status", "active").is("digest.above", 0)
	s.do(s.rw, "DELETE", path, "").want(204)
	s.get("/api/v1/notification-routes/"+route.text("id")).want(200).is("channels", []any{})
	s.do(s.rw, "DELETE", "/api/v1/notification-routes/"+route.text("id"), "").want(204)
	s.get(path).want(404)
}
