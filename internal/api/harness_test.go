package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/exception"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/privacy"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/rule"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// noon is when tests begin: a Wednesday.
var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

// server is the API over real services: SQLite and the event store in memory.
type server struct {
	t   testing.TB
	db  *sqldb.DB
	cfg Config
	h   http.Handler

	a, b      *tenant.Tenant // a is CUSTOM, b another one
	rw, ro    string         // keys of a
	foreign   string         // read-write key of b
	ingested  []string       // callers that reached the door for ingest
	mu        sync.Mutex
	clock     time.Time
	eventSeq  uint64
	remote    string
	tenantSvc *tenant.Service
	intelDir  string // feeds from files
}

func (s *server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *server) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

func newServer(tb testing.TB, change ...func(*Config)) *server {
	tb.Helper()
	return newServerOn(tb, sqldbtest.SQLite(tb), change...)
}

func newServerOn(tb testing.TB, db *sqldb.DB, change ...func(*Config)) *server {
	tb.Helper()
	s := &server{t: tb, db: db, clock: noon, remote: "192.0.2.1:1234"}
	log := slog.New(slog.NewTextHandler(tb.Output(), nil))
	if _, bench := tb.(*testing.B); bench {
		log = slog.New(slog.DiscardHandler)
	}
	s.tenantSvc = tenant.New(s.db)
	s.a, s.b = s.tenant("A", tenant.CUSTOM), s.tenant("B", tenant.CUSTOM)
	keys := identity.New(s.db, s.tenantSvc, log, s.now)
	alerts := alert.New(s.db)
	s.cfg = Config{
		DB: s.db, Keys: keys, Alerts: alerts, Incidents: incident.New(s.db, alerts, incident.SLA{}), Rules: newRules(tb, s.db),
		Sources: source.New(s.db, s.now), Privacy: newPrivacy(tb, s), Events: &memory.Store{},
		Ingest: func(w http.ResponseWriter, r *http.Request, c identity.Caller) {
			_, _ = io.Copy(io.Discard, r.Body)
			s.mu.Lock()
			s.ingested = append(s.ingested, c.Name)
			s.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"accepted":1,"rejected":0,"errors":[]}`)
		},
		Log: log, Now: s.now, Version: "0.1.0", Signer: audit.NewSigner([32]byte{1}),
	}
	s.cfg.Webhooks, s.cfg.Notifier = newTelling(tb, s)
	s.cfg.Fleet = newFleet(tb, s)
	s.cfg.Playbooks = newPlaybooks(tb, s)
	s.cfg.Indicators, s.cfg.Feeds = newIntel(tb, s)
	s.cfg.Requests = newRequests(tb, s)
	s.cfg.Accounts, s.cfg.Tenants = newAccounts(tb, s), s.tenantSvc
	s.cfg.SSO = newSSO(tb, s)
	for _, f := range change {
		f(&s.cfg)
	}
	s.cfg.Rules.SetSilences(exception.New(alerts, s.cfg.Events, s.cfg.Rules).Silences)
	s.cfg.Rules.SetOutcomes(func(ctx context.Context, tenant uint32, ids []string) (map[string]rule.Outcomes, error) {
		counts, err := alerts.ByRule(ctx, tenant, ids)
		out := map[string]rule.Outcomes{}
		for id, c := range counts {
			out[id] = rule.Outcomes{Alerts: c.Alerts, TruePositives: c.TruePositives, FalsePositives: c.FalsePositives, Open: c.Open, Alerts7d: c.Week}
		}
		return out, err
	})
	h, err := New(s.cfg)
	if err != nil {
		tb.Fatal(err)
	}
	s.h = h
	s.rw, s.ro = s.key(s.a, identity.ReadWrite), s.key(s.a, identity.ReadOnly)
	s.foreign = s.key(s.b, identity.ReadWrite)
	return s
}

func (s *server) tenant(name string, plan tenant.Plan) *tenant.Tenant {
	s.t.Helper()
	t, err := s.tenantSvc.Create(s.t.Context(), audit.System, tenant.Draft{Name: name, Plan: plan})
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

func (s *server) key(t *tenant.Tenant, scope identity.Scope) string {
	s.t.Helper()
	_, token, err := s.cfg.Keys.Create(s.t.Context(), t.Number, audit.System, identity.Draft{Name: t.Name + " " + string(scope), Scope: scope})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// newPrivacy masks what patterns find; it knows no parser.
func newPrivacy(tb testing.TB, s *server) *privacy.Service {
	tb.Helper()
	sealer, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	return privacy.New(s.db, sealer, func() privacy.ParseFunc {
		return func(context.Context, *queue.Chunk, int, func(name, value string)) error { return nil }
	}, s.now)
}

// answerTo is what came back.
type answerTo struct {
	t       testing.TB
	request string
	status  int
	header  http.Header
	body    string
}

// do sends one request. Headers are given as "Name: value"; the body goes as JSON
// unless they say otherwise.
func (s *server) do(token, method, path, body string, headers ...string) *answerTo {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = s.remote
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	a := &answerTo{s.t, strings.TrimSpace(method + " " + path + " " + body), w.Code, w.Header(), w.Body.String()}
	a.common()
	return a
}

func (s *server) get(path string) *answerTo {
	s.t.Helper()
	return s.do(s.ro, http.MethodGet, path, "")
}

func (s *server) post(path, body string, headers ...string) *answerTo {
	s.t.Helper()
	return s.do(s.rw, http.MethodPost, path, body, headers...)
}

// common checks what holds for every answer.
func (a *answerTo) common() {
	a.t.Helper()
	for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy", "X-Request-Id"} {
		// The map itself, not Get: the spelling counts.
		if len(a.header[name]) != 1 || a.header[name][0] == "" {
			a.t.Errorf("%s: header %s is %q", a.request, name, a.header[name])
		}
	}
	if a.status >= 400 {
		var p struct {
			Error, Message *string
			Status         *int
		}
		dec := json.NewDecoder(strings.NewReader(a.body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil || p.Error == nil || p.Message == nil || p.Status == nil || *p.Error == "" || *p.Message == "" || *p.Status != a.status {
			a.t.Errorf("%s: %d with body %q is not of the error form (%v)", a.request, a.status, a.body, err)
		}
		if ct := a.header.Get("Content-Type"); ct != "application/json" {
			a.t.Errorf("%s: error of type %q", a.request, ct)
		}
	}
	if strings.Contains(a.body, "sql") && strings.Contains(a.body, "driver") || strings.Contains(a.body, ".go:") {
		a.t.Errorf("%s: internals in the answer: %s", a.request, a.body)
	}
}

// exact returns a header by its spelling, which Get would not look at.
func (a *answerTo) exact(name string) string { return strings.Join(a.header[name], "|") }

// want checks the status and goes on.
func (a *answerTo) want(status int) *answerTo {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d; body %s", a.request, a.status, status, a.body)
	}
	return a
}

// problem checks an error's three keys.
func (a *answerTo) problem(status int, err, message string) {
	a.t.Helper()
	var p problem
	_ = json.Unmarshal([]byte(a.body), &p) // common has checked it
	if a.status != status || err != "" && p.Err != err || message != "" && p.Message != message {
		a.t.Errorf("%s:\n got %d %q %q\nwant %d %q %q", a.request, a.status, p.Err, p.Message, status, err, message)
	}
}

func (a *answerTo) json() any {
	a.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		a.t.Fatalf("%s: body %q: %v", a.request, a.body, err)
	}
	return v
}

// at returns the value at a path such as "content.0.id".
func (a *answerTo) at(path string) any {
	a.t.Helper()
	v := a.json()
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			inner, ok := x[step]
			if !ok {
				a.t.Fatalf("%s: no %s in %s", a.request, path, a.body)
			}
			v = inner
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				a.t.Fatalf("%s: no %s in %s", a.request, path, a.body)
			}
			v = x[i]
		default:
			a.t.Fatalf("%s: no %s in %s", a.request, path, a.body)
		}
	}
	return v
}

func (a *answerTo) text(path string) string { a.t.Helper(); return fmt.Sprint(a.at(path)) }

// is compares the value at path with want, both as JSON.
func (a *answerTo) is(path string, want any) *answerTo {
	a.t.Helper()
	got, _ := json.Marshal(a.at(path))
	text, _ := json.Marshal(want)
	if string(got) != string(text) {
		a.t.Errorf("%s: %s is %s, want %s", a.request, path, got, text)
	}
	return a
}

// like checks that got has every key of the documented example with a value of its
// type, all the way down; only the keys of exact levels may be all there are.
func like(t testing.TB, where string, example, got any) {
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
				t.Errorf("%s.%s is missing", where, key)
				continue
			}
			like(t, where+"."+key, v, inner)
		}
	case []any:
		list, ok := got.([]any)
		if !ok {
			t.Errorf("%s is %T, documented as array", where, got)
			return
		}
		if len(want) > 0 && len(list) == 0 {
			t.Errorf("%s is empty: nothing to compare", where)
		}
		if len(want) > 0 {
			for i, v := range list {
				like(t, fmt.Sprintf("%s[%d]", where, i), want[0], v)
			}
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

// keys returns the keys of an object.
func keys(v any) map[string]bool {
	out := map[string]bool{}
	if m, ok := v.(map[string]any); ok {
		for k := range m {
			out[k] = true
		}
	}
	return out
}

// event stores one event of a tenant and returns its id.
func (s *server) event(t *tenant.Tenant, at time.Time, fields ...string) event.ID {
	s.t.Helper()
	s.eventSeq++
	e := event.Event{ID: event.ID{Seq: s.eventSeq}, Tenant: t.Number, Time: at.UnixNano(), Arrived: at.Add(time.Second).UnixNano()}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	e.Raw = "raw " + e.Get(event.Message)
	if err := s.cfg.Events.Append(s.t.Context(), []event.Event{e}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cfg.Events.Sync(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return e.ID
}

// bruteForce is the finding behind the reference's first example.
func bruteForce(t *tenant.Tenant, src string, events ...event.ID) alert.Finding {
	at := time.Date(2026, 4, 22, 8, 15, 0, 0, time.UTC).UnixNano()
	return alert.Finding{
		Tenant: t.Number, Rule: alert.RuleRef{ID: "0192f0c0-0000-7000-8000-000000000001", Name: "brute_force", Author: "KYRA", Version: 1},
		Title: "Brute Force Authentication Attempt", Severity: "high", Source: "sshd", Tactic: "credential-access", Technique: "T1110",
		Description: "{count} failed logon attempts from {src_ip} targeting {user} account",
		Values:      map[string][]string{"src_ip": {src}, "user": {"root"}}, Key: "src_ip=" + src,
		Entities: []alert.Entity{{Type: "ip", Field: "src_ip", Value: src}, {Type: "user", Field: "user", Value: "root"}},
		First:    at, Last: at + int64(time.Minute), Count: 47, Events: events,
	}
}

// record makes alerts, and incidents where they are grave enough, as the pipeline does.
func (s *server) record(now time.Time, findings ...alert.Finding) []string {
	s.t.Helper()
	var ids []string
	err := s.db.Tx(s.t.Context(), func(tx *sqldb.DB) error {
		ids = nil
		out, err := s.cfg.Alerts.Record(s.t.Context(), tx, now, findings)
		if err != nil {
			return err
		}
		for i := range out {
			ids = append(ids, out[i].Alert.ID)
		}
		return s.cfg.Incidents.FromAlerts(s.t.Context(), tx, now, out)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return ids
}

// newRules is the catalogue with the check that the program gives it.
func newRules(tb testing.TB, db *sqldb.DB) *rule.Service {
	tb.Helper()
	return rule.New(db, func(text []byte) (rule.Meta, error) {
		docs, err := sigma.Parse(text)
		if err != nil {
			return rule.Meta{}, fault.New(fault.Invalid, "%v", err)
		}
		d := docs[0]
		m := rule.Meta{
			ID: d.ID, Name: d.Title, Description: d.Description, Author: d.Author, Severity: d.Severity(), Type: "detection",
			Source: d.LogSource.Service, Tactics: d.Tactics(), Techniques: d.Techniques(),
		}
		if d.Correlation != nil {
			m.Type = "correlation"
		}
		return m, nil
	})
}

// yamlOf writes v with its keys in order.
func yamlOf(v any) ([]byte, error) {
	return yaml.MarshalWithOptions(v, yaml.Indent(2), yaml.UseLiteralStyleIfMultiline(true))
}
