package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/notify"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// newTelling is the way out of s: this machine may be called.
func newTelling(tb testing.TB, s *server) (*webhook.Service, *notify.Notifier) {
	tb.Helper()
	sealer, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		tb.Fatal(err)
	}
	hooks := webhook.New(webhook.Config{DB: s.db, Sealer: sealer, CheckURL: guard.CheckURL, Render: notify.Renderer(func() string { return "https://kyra.example" }), Now: s.now})
	render := notify.Renderer(func() string { return "https://kyra.example" })
	log := slog.New(slog.DiscardHandler)
	s.cfg.Connectors = connector.New(connector.Config{DB: s.db, Hooks: hooks, Sealer: sealer, Guard: guard, Render: render, Alerts: s.cfg.Alerts, Events: &arrival.Reader{DB: s.db, Events: s.cfg.Events}, Agent: "KYRA/0.1.0", Log: log, Now: s.now})
	s.cfg.Notices = notice.New(notice.Config{DB: s.db, Hooks: hooks, Sealer: sealer, CheckURL: guard.CheckURL, Render: render, Link: notify.Link(func() string { return "https://kyra.example" }), Log: log, Now: s.now})
	return hooks, notify.New(notify.Config{
		DB: s.db, Hooks: hooks, Guard: guard, Holder: "test", Version: "0.1.0", Metrics: metrics.NewSet(), Log: log, Now: s.now, Timeout: 5 * time.Second,
		Notices: s.cfg.Notices, Connectors: s.cfg.Connectors,
	})
}

const documentedWebhook = `{
"name": "Slack Critical Alerts",
"url": "https://hooks.slack.com/services/T00/B00/xxx",
"events": ["alert.created"],
"filters": {
"severity": ["critical", "high"]
}
}`

var webhookKeys = []string{
	"id", "name", "url", "format", "events", "filters", "enabled", "status", "disabledReason", "failingSince", "nextAttemptAt", "lastSuccessAt", "lastFailureAt", "lastError",
	"oldSecretUntil", "createdAt", "createdBy", "updatedAt",
}

func TestWebhooksAsDocumented(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	made := s.post("/api/v1/webhooks", documentedWebhook).want(201)
	exactly(t, "the new webhook", made.json(), append([]string{"secret"}, webhookKeys...)...)
	made.is("name", "Slack Critical Alerts").is("url", "https://hooks.slack.com/services/T00/B00/xxx").is("format", "slack").is("events.0", "alert.created").
		is("filters", map[string]any{"severity": []any{"critical", "high"}}).is("enabled", true).is("status", "active")
	id := made.text("id")
	if secret := made.text("secret"); !strings.HasPrefix(secret, "whsec_") || len(secret) < 40 {
		t.Errorf("secret %q", secret)
	}
	got := s.get("/api/v1/webhooks/" + id).want(200)
	exactly(t, "the webhook", got.json(), webhookKeys...)
	s.get("/api/v1/webhooks").want(200).is("totalElements", 1).is("content.0.id", id)
	s.do(s.ro, "GET", "/api/v1/webhooks/"+id, "").want(200).is("url", "https://hooks.slack.com/***")

	tokens := s.post("/api/v1/webhooks", `{"name":"with a token","url":"https://soc.example.com/kyra?token=secret","events":["alert.created"]}`).want(201).is("url", "https://soc.example.com/kyra?token=secret")
	s.do(s.ro, "GET", "/api/v1/webhooks/"+tokens.text("id"), "").want(200).is("url", "https://soc.example.com/kyra?***")

	s.post("/api/v1/webhooks", documentedWebhook).want(409)
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, "Slack Critical", "SLACK critical", 1)).want(409)
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, "Slack Critical", "Other", 1)).want(201) // one URL and event set, another name
	s.do(s.foreign, "POST", "/api/v1/webhooks", documentedWebhook).want(201)                               // another tenant's names
	events := "Allowed: " + strings.Join(outbox.Events, ", ")
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, "alert.created", "alert.deleted", 1)).problem(400, "Invalid events value", events)
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, "high", "huge", 1)).problem(400, "Invalid severity value", "Allowed: critical, high, medium, low, info")
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, "severity", "serverity", 1)).want(400)
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, `["alert.created"]`, `[]`, 1)).want(400)
	s.post("/api/v1/webhooks", strings.Replace(documentedWebhook, "https://hooks.slack.com", "http://169.254.169.254", 1)).
		problem(400, "Invalid url value", "169.254.169.254 is not a public address: the operator can allow it with --webhook-allow")
	s.do(s.ro, "POST", "/api/v1/webhooks", documentedWebhook).want(403)

	for _, path := range []string{"", "/deliveries"} {
		s.do(s.foreign, "GET", "/api/v1/webhooks/"+id+path, "").want(404)
	}
	s.do(s.foreign, "PATCH", "/api/v1/webhooks/"+id, `{"enabled":false}`).want(404)
	s.do(s.foreign, "DELETE", "/api/v1/webhooks/"+id, "").want(404)
	s.do(s.foreign, "POST", "/api/v1/webhooks/"+id+"/test", "").want(404)
	s.do(s.foreign, "POST", "/api/v1/webhooks/"+id+"/rotate-secret", "").want(404)

	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, `{"name":"Renamed","events":["incident.created"],"filters":{"titleContains":"brute"},"url":"https://example.com/hook"}`).want(200).
		is("name", "Renamed").is("format", "standard").is("filters", map[string]any{"titleContains": "brute"})
	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, `{"enabled":false}`).want(200).is("status", "disabled").is("disabledReason", nil)
	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, `{"format":"DISCORD"}`).want(200).is("format", "discord")
	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, `{}`).want(400)
	s.post("/api/v1/webhooks/"+id+"/deliveries/replay", `{"from":"2026-04-22T00:00:00Z"}`).want(409)
	s.do(s.rw, "DELETE", "/api/v1/webhooks/"+id, "").want(204)
	s.get("/api/v1/webhooks/" + id).want(404)
}

func TestWebhookIsTestedAndItsSecretRotated(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	type seen struct {
		header http.Header
		body   string
	}
	got := make(chan seen, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Header, string(body)}
		if r.URL.Path == "/broken" {
			http.Error(w, "no", http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	made := s.post("/api/v1/webhooks", fmt.Sprintf(`{"name":"R","url":"%s/hook","events":["alert.created"]}`, receiver.URL)).want(201)
	id, secret := made.text("id"), made.text("secret")

	test := s.post("/api/v1/webhooks/"+id+"/test", "").want(200)
	test.is("success", true).is("state", "DELIVERED").is("response.status", 200).is("event", "webhook.test").is("error", nil)
	at := <-got
	var body struct {
		Event, Timestamp string
		Data             struct{ ID, Title, Severity, URL string }
	}
	if err := json.Unmarshal([]byte(at.body), &body); err != nil || body.Event != "webhook.test" || body.Data.ID != id || body.Data.URL != "https://kyra.example/webhooks/"+id {
		t.Errorf("%v: %s", err, at.body)
	}
	verify := func(secret, header string, at seen) bool {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(at.header.Get("webhook-id") + "." + at.header.Get("webhook-timestamp") + "." + at.body))
		return header == "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	if sig := at.header.Get("webhook-signature"); !verify(secret, sig, at) || at.header.Get("webhook-id") != test.text("id") {
		t.Errorf("signature %q, id %q", sig, at.header.Get("webhook-id"))
	}

	rotated := s.post("/api/v1/webhooks/"+id+"/rotate-secret", "").want(200)
	s.post("/api/v1/webhooks/"+id+"/test", `{"event":"alert.created"}`).want(200).is("event", "alert.created")
	at = <-got
	both := strings.Fields(at.header.Get("webhook-signature"))
	if len(both) != 2 || !verify(rotated.text("secret"), both[0], at) || !verify(secret, both[1], at) {
		t.Errorf("while rotating: %v", both)
	}
	s.pass(25 * time.Hour)
	s.post("/api/v1/webhooks/"+id+"/test", "").want(200)
	if at = <-got; !verify(rotated.text("secret"), at.header.Get("webhook-signature"), at) {
		t.Errorf("after it: %s", at.header.Get("webhook-signature"))
	}
	s.post("/api/v1/webhooks/"+id+"/rotate-secret", `{"graceHours":169}`).want(400)

	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, fmt.Sprintf(`{"url":"%s/broken"}`, receiver.URL)).want(200)
	s.post("/api/v1/webhooks/"+id+"/test", "").want(200).is("success", false).is("state", "FAILED").is("response.status", 500).is("response.body", "no\n").
		is("error", "the receiver answered 500 Internal Server Error")
	list := s.get("/api/v1/webhooks/"+id+"/deliveries?state=FAILED").want(200).is("totalElements", 1)
	exactly(t, "the delivery", list.json().(map[string]any)["content"].([]any)[0], "id", "webhookId", "event", "objectId", "state", "attempts", "createdAt", "lastAttemptAt",
		"nextAttemptAt", "expiresAt", "error", "request", "response", "latencyMs")
	delivery := list.text("content.0.id")
	s.get("/api/v1/webhooks/"+id+"/deliveries/"+delivery).want(200).is("request.headers.webhook-id", delivery)
	s.get("/api/v1/webhooks/" + id + "/deliveries/unknown").want(404)
	s.post("/api/v1/webhooks/"+id+"/deliveries/"+delivery+"/replay", "").want(202).is("state", "PENDING").is("attempts", 0)
	s.get("/api/v1/webhooks/"+id+"/deliveries").want(200).is("totalElements", 4)
}

func TestRangesAreReplayed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.post("/api/v1/webhooks", `{"name":"R","url":"https://example.com/","events":["alert.created"],"filters":{"severity":["high"]}}`).want(201).text("id")
	tell := func(severity string) {
		t.Helper()
		m := outbox.Message{Tenant: s.a.Number, Event: outbox.AlertCreated, Kind: "alerts", Object: "x", Title: "T", Severity: severity, At: s.now()}
		if err := outbox.Add(t.Context(), s.db, m); err != nil {
			t.Fatal(err)
		}
		if _, err := outbox.Dispatch(t.Context(), s.db, s.now(), 10, s.cfg.Webhooks.Sink); err != nil {
			t.Fatal(err)
		}
	}
	tell("high")
	tell("low")
	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, `{"enabled":false}`).want(200)
	s.get("/api/v1/webhooks/"+id+"/deliveries").is("totalElements", 1).is("content.0.state", "FAILED").is("content.0.error", "the webhook was disabled").is("content.0.nextAttemptAt", nil)
	tell("high")
	s.do(s.rw, "PATCH", "/api/v1/webhooks/"+id, `{"enabled":true}`).want(200)
	s.pass(time.Minute)
	replay := "/api/v1/webhooks/" + id + "/deliveries/replay"
	s.post(replay, `{"from":"2026-04-22T00:00:00Z","to":"2026-04-22T01:00:00Z"}`).want(202).is("replayed", 0).is("created", 0)
	s.post(replay, `{"from":"2026-04-22T00:00:00Z","missed":true}`).want(202).is("replayed", 1).is("created", 1).is("more", false)
	s.post(replay, `{"from":"2026-04-22T00:00:00Z","missed":true}`).want(202).is("replayed", 0).is("created", 0)
	s.post(replay, `{"from":"yesterday"}`).want(400)
	s.post(replay, `{"from":"2026-04-23T00:00:00Z"}`).want(400)
	s.get("/api/v1/webhooks/"+id+"/deliveries?state=PENDING").is("totalElements", 2)
}
