package connector

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

func rig(t *testing.T, db *sqldb.DB, clock *time.Time) *Service {
	t.Helper()
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return *clock }
	render := func(f webhook.Format, m *outbox.Message) string {
		if f == webhook.Syslog {
			return SyslogLine(m, "https://kyra.example")
		}
		return "{}"
	}
	hooks := webhook.New(webhook.Config{DB: db, Sealer: sealer, CheckURL: guard.CheckURL, Render: render, Now: now})
	return New(Config{DB: db, Hooks: hooks, Sealer: sealer, Guard: guard, Render: render, Alerts: alert.New(db), Events: &memory.Store{}, Agent: "KYRA", Log: slog.New(slog.DiscardHandler), Now: now})
}

func raw(config string) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(config), &m); err != nil {
		panic(err)
	}
	return m
}

// Events of a span lie in one object of the bucket, and a span is exported once.
func TestExportToBucket(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var mu sync.Mutex
		objects := map[string]int{}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("ETag", `"x"`)
			switch {
			case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
				_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>`)
			case r.Method == http.MethodPost:
				_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>logs</Bucket><ETag>"x"</ETag></CompleteMultipartUploadResult>`)
			case r.Method == http.MethodPut:
				objects[r.URL.Path] += len(body)
			}
		}))
		defer srv.Close()
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "Bucket", Kind: S3, Config: raw(`{"endpoint":"` + srv.URL + `","bucket":"logs","pathStyle":true,"accessKey":"key","secretKey":"secret","contents":["events"],"everyMinutes":60}`)})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := s.Test(t.Context(), 1, c.ID); err != nil || h.Status != OK {
			t.Fatalf("test %+v, %v", h, err)
		}
		e := event.Event{ID: event.ID{Seq: 1}, Tenant: 1, Time: clock.Add(10 * time.Minute).UnixNano(), Raw: "a line"}
		if err := s.Events.Append(t.Context(), []event.Event{e}); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(63 * time.Minute)
		for range 3 {
			if _, err := s.export(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Get(t.Context(), 1, c.ID)
		if err != nil || got.LastError != "" || !got.DoneUntil.Equal(time.Date(2026, 4, 22, 9, 0, 0, 0, time.UTC)) {
			t.Fatalf("until %v, %q, %v", got.DoneUntil, got.LastError, err)
		}
		if len(objects) != 1 || objects["/logs/kyra/events/2026/04/22/events-20260422T080000Z-20260422T090000Z.ndjson.gz"] == 0 {
			t.Errorf("objects %v", objects)
		}
	})
}

func TestSyslogOverTCP(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		b, _ := io.ReadAll(bufio.NewReader(conn))
		got <- string(b)
	}()
	clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
	s := rig(t, sqldbtest.SQLite(t), &clock)
	m := &outbox.Message{Event: outbox.AlertCreated, Object: "1", Title: "a\nb \"c\"", Severity: "high", Rule: `x"]`, At: clock}
	conf := settings{"host": "127.0.0.1", "port": int64(l.Addr().(*net.TCPAddr).Port), "transport": "tcp", "facility": "local0"}
	if err := s.sendSyslog(t.Context(), conf, s.body(Syslog, conf, m)); err != nil {
		t.Fatal(err)
	}
	const line = `<131>1 2026-04-22T08:00:00.000000Z - kyra - alert-created [kyra@32473 event="alert.created" id="1" severity="high" rule="x\"\]" url="https://kyra.example"] a b "c"`
	if g := <-got; g != "164 "+line && !strings.HasSuffix(g, " "+line) {
		t.Errorf("got %q", g)
	}
}

func TestMetricsAddUp(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "Chat", Kind: Slack, Config: raw(`{"url":"https://hooks.slack.com/x"}`)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			s.Count(c.ID, i%10 != 0, 7, time.Duration(i+1)*time.Millisecond)
		}
		clock = clock.Add(10 * time.Minute)
		s.Count(c.ID, true, 1, time.Millisecond)
		all, err := s.Metrics(t.Context(), 1, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Sent != 1 || all[2].Sent != 91 || all[3].Failed != 10 || all[3].Bytes != 631 {
			t.Errorf("%+v", all)
		}
		if p := all[3].P95; p < 94*time.Millisecond || p > 95*time.Millisecond*6/5 {
			t.Errorf("p95 %v", p)
		}
	})
}
