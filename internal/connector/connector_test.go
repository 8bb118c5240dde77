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

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/arrival/arrivaltest"
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
	raw, err := archive.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	events := &arrival.Reader{DB: db, Archive: raw, Events: &memory.Store{}, Partition: func(uint32) int { return 0 }}
	return New(Config{DB: db, Hooks: hooks, Sealer: sealer, Guard: guard, Render: render, Alerts: alert.New(db), Events: events, Agent: "KYRA", Log: slog.New(slog.DiscardHandler), Now: now})
}

func raw(config string) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(config), &m); err != nil {
		panic(err)
	}
	return m
}

// A bucketServer keeps the objects that are put into it, by path.
type bucketServer struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string]string
	refuse  bool
}

func newBucket(t *testing.T) *bucketServer {
	t.Helper()
	b := &bucketServer{objects: map[string]string{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.refuse || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/") {
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
			b.objects[r.URL.Path] = string(body)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// lines returns the raw texts of the events in each object, by the end of its name.
func (b *bucketServer) lines(t *testing.T) map[string]string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]string{}
	for path, body := range b.objects {
		name, ok := strings.CutPrefix(path, "/logs/kyra/events/2026/04/22/events-20260422T")
		from := strings.Index(body, "\x1f\x8b")
		if !ok || from < 0 {
			t.Fatalf("object %s: %q", path, body)
		}
		z, err := gzip.NewReader(strings.NewReader(body[from:])) // behind the length of its chunk
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false)
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		var raws []string
		for line := range strings.Lines(string(text)) {
			var e struct{ Raw string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			raws = append(raws, e.Raw)
		}
		out[strings.TrimSuffix(name, ".ndjson.gz")] = strings.Join(raws, ", ")
	}
	return out
}

// Every event lies in one object of the bucket, also one that came long after its time,
// and a failure changes nothing of that.
func TestExportToBucket(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		srv := newBucket(t)
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		store := arrivaltest.New(t, s.Events)
		store.Batch(1, clock.Add(-time.Hour), arrivaltest.Line("before it was connected", clock.Add(-time.Hour)))
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "Bucket", Kind: S3, Config: raw(`{"endpoint":"` + srv.URL + `","bucket":"logs","pathStyle":true,"accessKey":"key","secretKey":"secret","contents":["events"],"everyMinutes":60}`)})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := s.Test(t.Context(), 1, c.ID); err != nil || h.Status != OK {
			t.Fatalf("test %+v, %v", h, err)
		}
		export := func(failed bool) {
			t.Helper()
			for range 3 {
				if _, err := s.export(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := s.Get(t.Context(), 1, c.ID); err != nil || (got.LastError != "") != failed {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		store.Batch(1, clock.Add(10*time.Minute), arrivaltest.Line("first", clock.Add(10*time.Minute)))
		store.Batch(2, clock.Add(10*time.Minute), arrivaltest.Line("of another tenant", clock))
		clock = clock.Add(63 * time.Minute)
		export(false)
		// Of the hour that is exported already, of another year, and one that is still under way.
		store.Batch(1, clock, arrivaltest.Line("late", clock.Add(-50*time.Minute)), arrivaltest.Line("very late", clock.AddDate(-9, 0, 0)))
		store.Queue(1, clock, arrivaltest.Line("under way", clock))
		clock = clock.Add(time.Hour)
		srv.refuse = true
		export(true)
		srv.refuse = false
		store.Batch(1, clock, arrivaltest.Line("meanwhile", clock))
		clock = clock.Add(6 * time.Minute)
		export(false)
		clock = clock.Add(time.Hour)
		export(false)
		want := map[string]string{
			"080000Z-20260422T090000Z-000000000002": "first",
			"090000Z-20260422T100000Z-000000000004": "very late, late",
			"100000Z-20260422T110000Z-000000000005": "under way, meanwhile",
		}
		if d := cmp.Diff(want, srv.lines(t)); d != "" {
			t.Error(d)
		}
		got, err := s.Get(t.Context(), 1, c.ID)
		if err != nil || !got.DoneUntil.Equal(time.Date(2026, 4, 22, 11, 0, 0, 0, time.UTC)) || got.Events.Sent != 5 {
			t.Errorf("until %v, %+v, %v", got.DoneUntil, got.Events, err)
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
