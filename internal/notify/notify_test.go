package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// rig is a notifier at work on a database, with a clock that is set by hand.
type rig struct {
	t     testing.TB
	db    *sqldb.DB
	hooks *webhook.Service
	n     *Notifier

	mu    sync.Mutex
	clock time.Time
}

const tenantNo = 1

func newRig(t testing.TB, db *sqldb.DB, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, db: db, clock: time.Date(2026, 4, 22, 8, 15, 30, 0, time.UTC)}
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	r.hooks = webhook.New(webhook.Config{DB: db, Sealer: sealer, CheckURL: guard.CheckURL, Render: Renderer(func() string { return "https://kyra.example/" }), Now: r.now})
	cfg := Config{DB: db, Hooks: r.hooks, Guard: guard, Holder: "one", Version: "1", Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler), Now: r.now, Timeout: time.Minute}
	for _, f := range change {
		f(&cfg)
	}
	r.n = New(cfg)
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = r.clock.Add(d)
}

// settle delivers what is due now, and waits until nothing more is.
func (r *rig) settle() {
	r.t.Helper()
	for range 1000 {
		again := r.n.round(r.t.Context())
		r.n.work.Wait()
		due, err := r.hooks.Due(r.t.Context(), 1)
		if err != nil {
			r.t.Fatal(err)
		}
		if !again && len(due) == 0 {
			return
		}
	}
	r.t.Fatal("there is always something due")
}

func (r *rig) hook(name, url string, events ...string) *webhook.Webhook {
	r.t.Helper()
	w, _, err := r.hooks.Create(r.t.Context(), tenantNo, "test", webhook.Draft{Name: name, URL: url, Events: events})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *rig) get(id string) *webhook.Webhook {
	r.t.Helper()
	w, err := r.hooks.Get(r.t.Context(), tenantNo, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// tell adds one message for each object.
func (r *rig) tell(event string, objects ...string) {
	r.t.Helper()
	for _, o := range objects {
		if err := outbox.Add(r.t.Context(), r.db, outbox.Message{Tenant: tenantNo, Event: event, Kind: "alerts", Object: o, Title: "Alert " + o, Severity: "high", At: r.now()}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) log(id string, states ...webhook.State) []webhook.Delivery {
	r.t.Helper()
	list, _, err := r.hooks.Deliveries(r.t.Context(), tenantNo, id, webhook.LogQuery{States: states, Ascending: true, Size: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// receiver notes what it is sent and answers what answer says.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

type received struct{ event, object, id string }

func newReceiver(t testing.TB, answer func(n int, r received, w http.ResponseWriter)) *receiver {
	rc := &receiver{}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var p payload
		_ = json.Unmarshal(body, &p)
		rc.mu.Lock()
		defer rc.mu.Unlock()
		in := received{p.Event, p.Data.ID, r.Header.Get("webhook-id")}
		rc.got = append(rc.got, in)
		if answer != nil {
			answer(len(rc.got), in, w)
		}
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) objects() string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	var all []string
	for _, g := range rc.got {
		all = append(all, g.object+"/"+strings.TrimPrefix(g.event, "alert."))
	}
	return strings.Join(all, " ")
}

func TestOneObjectIsToldInOrder(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r := newRig(t, db)
		rc := newReceiver(t, func(n int, in received, w http.ResponseWriter) {
			if in.object == "a" && n <= 2 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		hook := r.hook("r", rc.URL, outbox.AlertCreated, outbox.AlertUpdated)
		r.tell(outbox.AlertCreated, "a")
		r.tell(outbox.AlertUpdated, "a")
		r.tell(outbox.AlertCreated, "b")
		r.settle()
		if got := rc.objects(); got != "a/created b/created" {
			t.Fatalf("at first: %s", got)
		}
		if w := r.get(hook.ID); w.Failures != 0 || w.LastFailure == nil || w.LastSuccess == nil {
			t.Errorf("the webhook is %+v", w)
		}
		waiting := r.log(hook.ID, webhook.Pending)
		if len(waiting) != 2 || waiting[0].Attempts != 1 || waiting[0].Status != 500 || waiting[0].Error != "the receiver answered 500 Internal Server Error" {
			t.Fatalf("pending: %+v", waiting)
		}
		r.settle() // not yet due
		r.pass(10 * time.Second)
		r.settle()
		if got := rc.objects(); got != "a/created b/created a/created a/updated" {
			t.Errorf("then: %s", got)
		}
		if rc.got[0].id != rc.got[2].id || rc.got[0].id == rc.got[3].id {
			t.Errorf("ids are %v", rc.got)
		}
		if left := r.log(hook.ID, webhook.Pending, webhook.Failed); len(left) > 0 {
			t.Errorf("left: %+v", left)
		}
	})
}

func TestAReceiverThatIsGoneIsDisabledAndThatIsTold(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r := newRig(t, db)
		gone := newReceiver(t, func(_ int, _ received, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
		other := newReceiver(t, nil)
		hook := r.hook("gone", gone.URL, outbox.AlertCreated)
		r.hook("other", other.URL, outbox.WebhookDisabled)
		r.tell(outbox.AlertCreated, "a", "b")
		r.settle()
		r.settle()
		w := r.get(hook.ID)
		if w.Enabled || w.DisabledReason != "the receiver answered 410 Gone" {
			t.Errorf("the webhook is %+v", w)
		}
		if n := len(gone.got); n != 1 {
			t.Errorf("called %d times", n)
		}
		for _, d := range r.log(hook.ID) {
			if d.State != webhook.Failed {
				t.Errorf("delivery %+v", d)
			}
		}
		if len(other.got) != 1 || other.got[0].object != hook.ID {
			t.Errorf("told: %v", other.got)
		}
	})
}

func TestRetryAfterIsHonouredWithinBounds(t *testing.T) {
	for header, want := range map[string]time.Duration{"120": 2 * time.Minute, "99999999": 6 * time.Hour, "-5": 0, "soon": 0, "Wed, 22 Apr 2026 09:15:30 GMT": time.Hour} {
		r := newRig(t, sqldbtest.SQLite(t))
		rc := newReceiver(t, func(n int, _ received, w http.ResponseWriter) {
			if n == 1 {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		hook := r.hook("r", rc.URL, outbox.AlertCreated)
		r.tell(outbox.AlertCreated, "a", "b", "c")
		r.settle()
		asked := r.get(hook.ID).NotBefore.Sub(r.now())
		if want > 0 && asked != want || want == 0 && asked > 0 {
			t.Errorf("%q: it rests for %v", header, asked)
		}
		if want > 0 && len(rc.got) != 1 {
			t.Errorf("%q: called %d times", header, len(rc.got))
		}
		r.pass(max(want, 10*time.Second))
		r.settle()
		if left := r.log(hook.ID, webhook.Pending); len(left) > 0 {
			t.Errorf("%q: left %+v", header, left)
		}
	}
}

func TestAReceiverThatFailsForDaysIsDisabled(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r := newRig(t, db)
		rc := newReceiver(t, func(_ int, _ received, w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
		hook := r.hook("r", rc.URL, outbox.AlertCreated)
		begin := r.now()
		for i := 0; r.get(hook.ID).Enabled; i++ {
			if r.now().Sub(begin) > 4*24*time.Hour {
				t.Fatalf("still enabled: %+v", r.get(hook.ID))
			}
			if i%10 == 0 {
				r.tell(outbox.AlertCreated, fmt.Sprint("x", i))
			}
			r.settle()
			if _, err := r.hooks.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.pass(20 * time.Minute)
		}
		if age := r.now().Sub(begin); age < webhook.DisableAfter {
			t.Errorf("disabled after %v", age)
		}
		if why := r.get(hook.ID).DisabledReason; !strings.Contains(why, "502 Bad Gateway") {
			t.Errorf("reason %q", why)
		}
		first := r.log(hook.ID)[0]
		if first.State != webhook.Failed || first.Attempts < 8 || first.Attempts > 40 {
			t.Errorf("the first delivery was tried %d times and is %s", first.Attempts, first.State)
		}
		// A person lets it start anew, and what was missed comes.
		rc.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		on := true
		if _, err := r.hooks.Change(t.Context(), tenantNo, "kim", hook.ID, webhook.Patch{Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		n, err := r.hooks.ReplayRange(t.Context(), tenantNo, "kim", hook.ID, webhook.Range{From: begin, To: r.now()})
		if err != nil || n.Again == 0 {
			t.Fatalf("%+v, %v", n, err)
		}
		r.settle()
		if got := len(r.log(hook.ID, webhook.Delivered)); got != n.Again {
			t.Errorf("%d of %d are delivered", got, n.Again)
		}
	})
}

// TestDeadReceiversDelayNobody has more receivers that never answer than a receiver's
// share of the pool, beside one that is well.
func TestDeadReceiversDelayNobody(t *testing.T) {
	r := newRig(t, sqldbtest.SQLite(t), func(c *Config) { c.Timeout = time.Hour })
	hang := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		select {
		case <-hang:
		case <-q.Context().Done():
		}
	}))
	defer dead.Close()
	defer close(hang)
	for i := range 40 {
		r.hook(fmt.Sprint("dead ", i), dead.URL, outbox.AlertCreated)
	}
	done := make(chan struct{})
	const messages = 300
	seen := map[string]bool{}
	rc := newReceiver(t, func(_ int, in received, _ http.ResponseWriter) {
		if seen[in.object] = true; len(seen) == messages {
			close(done)
		}
	})
	r.hook("well", rc.URL, outbox.AlertCreated)
	var objects []string
	for i := range messages {
		objects = append(objects, fmt.Sprint("o", i))
	}
	r.tell(outbox.AlertCreated, objects...)
	r.n.round(t.Context())
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Errorf("only %d of %d arrived", len(rc.got), messages)
	}
}

func TestSeveralServersShareTheWork(t *testing.T) {
	db := sqldbtest.Postgres(t)
	a := newRig(t, db)
	b := newRig(t, db, func(c *Config) { c.Holder = "two" })
	rc := newReceiver(t, nil)
	hook := a.hook("r", rc.URL, outbox.AlertCreated)
	a.tell(outbox.AlertCreated, "a")
	a.settle()
	a.tell(outbox.AlertCreated, "b")
	b.n.round(t.Context())
	b.n.work.Wait()
	if got := rc.objects(); got != "a/created" {
		t.Errorf("the other server delivered although the first holds it: %s", got)
	}
	b.pass(2 * webhook.Lease) // the first is dead
	b.settle()
	if got := rc.objects(); got != "a/created b/created" {
		t.Errorf("afterwards: %s", got)
	}
	if list := a.log(hook.ID, webhook.Delivered); len(list) != 2 {
		t.Errorf("log: %+v", list)
	}
	w, list, err := a.hooks.Take(t.Context(), hook.ID, "three", 10)
	if err != nil || w != nil || list != nil {
		t.Errorf("a third took it: %v %v %v", w, list, err)
	}
}

func TestFiltersActOnWhatCarriesTheirFact(t *testing.T) {
	r := newRig(t, sqldbtest.SQLite(t))
	rc := newReceiver(t, nil)
	_, _, err := r.hooks.Create(t.Context(), tenantNo, "test", webhook.Draft{
		Name: "r", URL: rc.URL, Events: []string{outbox.AlertCreated, outbox.CollectorDisconnected},
		Filters: webhook.Filters{Severity: []string{"CRITICAL", "high"}, Source: []string{"SSHD"}, Rule: []string{"r1"}, TitleContains: "BRUTE"},
	})
	if err != nil {
		t.Fatal(err)
	}
	base := outbox.Message{Tenant: tenantNo, Event: outbox.AlertCreated, Kind: "alerts", Title: "Brute force", Severity: "high", Source: "sshd", Rule: "r1"}
	with := func(object string, f func(*outbox.Message)) outbox.Message {
		m := base
		m.Object = object
		f(&m)
		return m
	}
	if err := outbox.Add(t.Context(), r.db,
		with("yes", func(*outbox.Message) {}),
		with("severity", func(m *outbox.Message) { m.Severity = "low" }),
		with("source", func(m *outbox.Message) { m.Source = "nginx" }),
		with("rule", func(m *outbox.Message) { m.Rule = "r2" }),
		with("title", func(m *outbox.Message) { m.Title = "Other" }),
		with("event", func(m *outbox.Message) { m.Event = outbox.AlertUpdated }),
		with("tenant", func(m *outbox.Message) { m.Tenant = 2 }),
		with("collector", func(m *outbox.Message) {
			m.Event, m.Severity, m.Source, m.Rule = outbox.CollectorDisconnected, "", "", ""
		}),
	); err != nil {
		t.Fatal(err)
	}
	r.settle()
	var got []string
	for _, g := range rc.got {
		got = append(got, g.object)
	}
	slices.Sort(got)
	if s := strings.Join(got, " "); s != "collector yes" {
		t.Errorf("told of %s", s)
	}
}
