package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/ingest"
	"github.com/kyra-mdr/kyra/internal/queue"
)

const testKey = "kyra_test"

// A door is the server's real door for logs, in front of a queue that we watch.
type door struct {
	mu      sync.Mutex
	records []string
	cut     int
	sources []string
	full    int // appends that fail from now on
	calls   atomic.Int64
}

func (d *door) append(_ context.Context, c *queue.Chunk) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full > 0 {
		d.full--
		return fault.New(fault.Unavailable, "queue is full")
	}
	d.records = append(d.records, c.Records...)
	d.cut += len(c.Cut)
	d.sources = append(d.sources, c.Source)
	return nil
}

func (d *door) taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.records)
}

// open starts a server with the door behind wrap.
func (d *door) open(t *testing.T, rate int, wrap func(http.HandlerFunc) http.HandlerFunc) *Client {
	gate := ingest.New(ingest.Config{Append: d.append, Log: slog.New(slog.DiscardHandler)})
	handler := func(w http.ResponseWriter, r *http.Request) {
		d.calls.Add(1)
		if r.URL.Path != "/api/v1/ingest" || r.Header.Get("Authorization") != "Bearer "+testKey {
			http.Error(w, `{"error":"Unauthorized","message":"Unknown key","status":401}`, http.StatusUnauthorized)
			return
		}
		gate.HTTP(w, r, ingest.Caller{Tenant: ingest.Tenant{Number: 1, EventsPerSecond: rate}})
	}
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(server.Close)
	c, err := New(server.URL+"/api/v1/", testKey, Options{Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// split is what the records of a file are.
func split(t *testing.T, in string) (records []string) {
	r := framing.NewReader(strings.NewReader(in))
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, string(rec.Text))
	}
}

func TestSendForms(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"text":            "one\r\ntwo\n\n  three",
		"Latin-1":         "caf\xe9\n\x00\x01\n",
		"ndjson":          "{\"a\":1}\n{\"b\":2}\n",
		"pretty":          "{\n  \"a\": 1\n}\n{\"b\":\n2}",
		"array":           "[\n {\"a\":1},\n {\"b\":[2,\n3]}\n]",
		"strings":         `["one","two\nlines","{\"a\":1}"]`,
		"concatenated":    `{"a":1}{"b":2}`,
		"broken":          "{\"a\":1}\n{\"b\":\n{\"c\":3}\nplain\n",
		"broken first":    "{\"b\":\n{\"c\":3}\n",
		"brace in text":   "text\n{\"a\":1}{\"b\":2}\n{\n}\n",
		"blank":           "\n\n",
		"nothing":         "",
		"mixed encodings": "[\"a\\nb\",\n{\"x\":\"caf\xe9\",\n\"y\":1},\n \"z\"]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := split(t, in)
			var zipped bytes.Buffer
			zw := gzip.NewWriter(&zipped)
			_, _ = io.WriteString(zw, in)
			_ = zw.Close()
			for _, src := range []io.Reader{strings.NewReader(in), &zipped} {
				d := new(door)
				var last int64
				n, err := d.open(t, 0, nil).Send(t.Context(), "nginx", src, func(k int64) { last = k })
				if err != nil || n != int64(len(want)) || last != n {
					t.Errorf("sent %d, last progress %d, %v", n, last, err)
				}
				if diff := cmp.Diff(want, d.taken()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				for _, source := range d.sources {
					if source != "nginx" {
						t.Errorf("source %q", source)
					}
				}
			}
		})
	}
}

// An impatient answer has no Retry-After.
type impatient struct{ http.ResponseWriter }

func (w impatient) WriteHeader(status int) {
	w.Header().Del("Retry-After")
	w.ResponseWriter.WriteHeader(status)
}

// Whatever the records are, the server cuts them apart as the client did, even
// when it takes them in pieces.
func TestSendKeepsRecords(t *testing.T) {
	d := new(door)
	c := d.open(t, 0, func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { next(impatient{w}, r) }
	})
	c.first = time.Millisecond
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "{", "}", "[", "]", `"`, ",", ":", " ", "\n", "1", "\\", `{"k":"v"}`, "\xe9", "\x1e",
	}), 1, 30)
	rapid.Check(t, func(rt *rapid.T) {
		in := strings.Join(pieces.Draw(rt, "in"), "")
		r := framing.NewReader(strings.NewReader(in))
		var want []string
		for {
			rec, err := r.Next()
			if err != nil {
				break
			}
			want = append(want, string(rec.Text))
		}
		full := rapid.IntRange(0, 1).Draw(rt, "full")
		d.mu.Lock()
		d.records, d.full = nil, full
		d.mu.Unlock()
		c.options.BatchSize = rapid.IntRange(1, 50).Draw(rt, "size")
		n, err := c.Send(t.Context(), "", strings.NewReader(in), nil)
		if err != nil || n != int64(len(want)) {
			rt.Fatalf("%q: sent %d of %d, %v", in, n, len(want), err)
		}
		if diff := cmp.Diff(want, d.taken()); diff != "" {
			rt.Fatalf("%q: (-want +got)\n%s", in, diff)
		}
	})
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d of the log\n", i)
	}
	return b.String()
}

func TestSendManyBatches(t *testing.T) {
	t.Parallel()
	d := new(door)
	in := lines(100_000)
	n, err := d.open(t, 0, nil).Send(t.Context(), "", strings.NewReader(in), nil)
	if err != nil || n != 100_000 {
		t.Fatalf("sent %d, %v", n, err)
	}
	if strings.Join(d.taken(), "\n")+"\n" != in {
		t.Error("what the server has differs")
	}
	if calls := d.calls.Load(); calls != 20 {
		t.Errorf("%d requests", calls)
	}
}

// Over the quota and with a full queue, only the rest is sent again.
func TestSendOverQuota(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"lines": lines(2500),
		"array": "[\"a\\nb\"" + strings.Repeat(",\n{\"a\":\n1}", 2499) + "]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &door{full: 1}
			n, err := d.open(t, 500, nil).Send(t.Context(), "", strings.NewReader(in), nil)
			if err != nil || n != 2500 {
				t.Fatalf("sent %d, %v", n, err)
			}
			if diff := cmp.Diff(split(t, in), d.taken()); diff != "" {
				t.Errorf("(-want +got)\n%.2000s", diff)
			}
		})
	}
}

func TestSendLongRecords(t *testing.T) {
	t.Parallel()
	d := new(door)
	in := "a\n" + strings.Repeat("x", 3<<20) + "\nb\n" + strings.Repeat("y", framing.MaxRecord) + "\n"
	n, err := d.open(t, 0, nil).Send(t.Context(), "", strings.NewReader(in), nil)
	if err != nil || n != 4 || d.cut != 1 {
		t.Fatalf("sent %d, %d cut, %v", n, d.cut, err)
	}
	if got := d.taken(); len(got[1]) != framing.MaxRecord || len(got[3]) != framing.MaxRecord || got[2] != "b" {
		t.Error("records differ")
	}
}

func TestSendTriesAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w http.ResponseWriter){
		"503 of a proxy": func(w http.ResponseWriter) { http.Error(w, "<html>busy</html>", http.StatusServiceUnavailable) },
		"502":            func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"429 with a date": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", time.Now().UTC().Format(http.TimeFormat))
			w.WriteHeader(429)
		},
		"connection is gone": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := new(door)
			var failed atomic.Int64
			c := d.open(t, 0, func(next http.HandlerFunc) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if failed.Add(1) <= 2 {
						fail(w)
						return
					}
					next(w, r)
				}
			})
			n, err := c.Send(t.Context(), "", strings.NewReader(lines(10)), nil)
			if err != nil || n != 10 || len(d.taken()) != 10 {
				t.Errorf("sent %d, server has %d, %v", n, len(d.taken()), err)
			}
		})
	}
}

func TestSendStops(t *testing.T) {
	t.Parallel()
	d := new(door)
	c := d.open(t, 0, nil)
	t.Run("wrong key", func(t *testing.T) {
		c, err := New(c.base, "kyra_wrong", Options{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.Send(t.Context(), "", strings.NewReader(lines(10)), nil)
		problem, ok := errors.AsType[*Error](err)
		if n != 0 || !ok || problem.Status != 401 || problem.Message != "Unknown key" || !strings.Contains(err.Error(), "kyra key create") {
			t.Errorf("sent %d, %v", n, err)
		}
	})
	t.Run("bad source", func(t *testing.T) {
		if n, err := c.Send(t.Context(), "no such/source", strings.NewReader(lines(10)), nil); n != 0 || err == nil || !strings.Contains(err.Error(), "Invalid source") {
			t.Errorf("sent %d, %v", n, err)
		}
	})
	t.Run("half a gzip file", func(t *testing.T) {
		var zipped bytes.Buffer
		zw := gzip.NewWriter(&zipped)
		_, _ = io.WriteString(zw, lines(50_000))
		_ = zw.Close()
		n, err := c.Send(t.Context(), "", bytes.NewReader(zipped.Bytes()[:zipped.Len()/2]), nil)
		if !errors.Is(err, io.ErrUnexpectedEOF) || n < 1000 || n > 49_000 {
			t.Errorf("sent %d, %v", n, err)
		}
	})
	t.Run("out of patience", func(t *testing.T) {
		d := &door{full: 1 << 30}
		c := d.open(t, 0, nil)
		c.options.Patience = 600 * time.Millisecond
		n, err := c.Send(t.Context(), "", strings.NewReader(lines(10)), nil)
		if problem, ok := errors.AsType[*Error](err); n != 0 || !ok || problem.Status != 503 || problem.RetryAfter != 5*time.Second {
			t.Errorf("sent %d, %v", n, err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		c, err := New(server.URL, testKey, Options{Patience: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.Send(t.Context(), "", strings.NewReader(lines(10)), nil); n != 0 || err == nil {
			t.Errorf("sent %d, %v", n, err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		d := &door{full: 1 << 30}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		n, err := d.open(t, 0, nil).Send(ctx, "", strings.NewReader(lines(10)), nil)
		if n != 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
			t.Errorf("sent %d, %v", n, err)
		}
	})
	t.Run("unknown certificate", func(t *testing.T) {
		server := httptest.NewTLSServer(http.NotFoundHandler())
		defer server.Close()
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
		c, err := New(server.URL, testKey, Options{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Send(t.Context(), "", strings.NewReader("x\n"), nil); err == nil || time.Since(start) > 5*time.Second {
			t.Errorf("%v", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, bad := range [][2]string{
		{"", "k"}, {"127.0.0.1:8080", "k"}, {"ftp://host", "k"}, {"http://", "k"}, {"http://h\x00st", "k"}, {"http://host", "a b"}, {"http://host", "a\n"},
	} {
		if _, err := New(bad[0], bad[1], Options{}); err == nil {
			t.Errorf("New(%q, %q): no error", bad[0], bad[1])
		}
	}
	for _, good := range []string{"http://host:1", "http://host:1/", "http://host:1/api/v1", "http://host:1/api/v1/"} {
		if c, err := New(good, "", Options{}); err != nil || c.base != "http://host:1/api/v1" {
			t.Errorf("New(%q): %v", good, err)
		}
	}
}

// The answers are those of the API reference.
func TestReads(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"GET /api/v1/alerts?severity=critical&size=5": `{"content":[{"id":"550e8400-e29b-41d4-a716-446655440000","title":"Brute Force Authentication Attempt","severity":"high","status":"OPEN",
			"source":"sshd","mitreTactic":"credential-access","mitreTechnique":"T1110","createdAt":"2026-04-22T08:15:30Z","description":"47 failed logon attempts"}],
			"totalElements":232695,"totalPages":11635,"number":0,"size":20}`,
		"GET /api/v1/incidents": `{"content":[{"id":"7c9e6679-a1f4-4b3c-80ba-e44f95541174","title":"[Auto] TCP SYN Scan Detection","severity":"high","status":"OPEN","alertCount":5,
			"createdAt":"2026-04-22T07:00:00Z","assignedTo":null,"mitreTactic":"discovery","mitreTechnique":"T1046"}],"totalElements":127,"totalPages":7}`,
		"POST /api/v1/siem/search": `{"events":[{"timestamp":"2026-04-24T14:22:10Z","source":"sshd","host":"10.0.1.55","severity":"high","message":"Failed password"}],
			"total":342,"histogram":[{"time":"2026-04-24T00:00:00Z","count":28,"breakdown":{"high":5,"medium":23}}],"queryTime":684}`,
	}
	var asked map[string]any
	var busy atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if busy.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if r.Method == http.MethodPost {
			_ = json.NewDecoder(r.Body).Decode(&asked)
		}
		answer, ok := answers[r.Method+" "+r.URL.String()]
		if !ok {
			http.Error(w, `{"error":"Not found","message":"x","status":404}`, http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	c, err := New(server.URL, testKey, Options{})
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := c.Alerts(t.Context(), map[string][]string{"severity": {"critical"}, "size": {"5"}})
	if err != nil {
		t.Fatal(err)
	}
	if a := alerts.Content[0]; alerts.TotalElements != 232695 || a.Source != "sshd" || a.MitreTechnique != "T1110" || a.CreatedAt.Unix() != 1776845730 {
		t.Errorf("%+v", alerts)
	}
	incidents, err := c.Incidents(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if i := incidents.Content[0]; incidents.TotalElements != 127 || i.AlertCount != 5 || i.AssignedTo != nil {
		t.Errorf("%+v", incidents)
	}
	events, err := c.Search(t.Context(), Query{Query: "program:sshd AND user:root", From: time.Unix(1776988800, 0), To: time.Unix(1777075200, 0), Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	if events.Total != 342 || events.Histogram[0].Breakdown["medium"] != 23 || events.Events[0].Host != "10.0.1.55" || events.QueryTime != 684 {
		t.Errorf("%+v", events)
	}
	want := map[string]any{"query": "program:sshd AND user:root", "fromTime": "2026-04-24T00:00:00Z", "toTime": "2026-04-25T00:00:00Z", "limit": 50.0}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := c.Alerts(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}
