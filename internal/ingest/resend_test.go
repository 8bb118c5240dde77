package ingest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/fault"
)

func (s *sink) ids() []string {
	var all []string
	for _, c := range s.taken() {
		if c.IDs == nil {
			all = append(all, make([]string, len(c.Records))...)
		}
		all = append(all, c.IDs...)
	}
	return all
}

// An id that was acknowledged is answered as Elasticsearch answers it, and not kept again.
func TestElasticResend(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 0)
	bulk := func(lines ...string) string {
		t.Helper()
		status, _, answer := ask(t, url, asked{"POST", "/logs/_bulk", strings.Join(lines, "\n") + "\n", auth("Bearer", "good")})
		if status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		return answer
	}
	const doc = `{"message":"x"}`
	answer := bulk(`{"create":{"_id":"a"}}`, doc, `{"create":{"_id":"a"}}`, doc, `{"create":{}}`, doc, `{"create":{"_id":""}}`, doc, `{"index":{"_id":9007199254740993}}`, doc)
	if strings.Count(answer, `"status":201`) != 4 || strings.Count(answer, `"status":409`) != 1 || !strings.Contains(answer, `"errors":true`) || !strings.Contains(answer, `"_id":"9007199254740993"`) {
		t.Errorf("first: %s", answer)
	}
	answer = bulk(`{"create":{"_id":"a"}}`, doc)
	want := `{"create":{"_index":"logs","_id":"a","status":409,"error":{"type":"version_conflict_engine_exception",` +
		`"reason":"[a]: version conflict, document already exists (current version [1])","index_uuid":"kyra","shard":"0","index":"logs"}}}`
	if !strings.Contains(answer, want) {
		t.Errorf("again: %s, want %s", answer, want)
	}
	answer = bulk(`{"index":{"_id":9007199254740993}}`, doc, `{"index":{"_id":9007199254740992}}`, doc, `{"create":{"_index":"other","_id":"a"}}`, doc)
	if !strings.Contains(answer, `"_id":"9007199254740993","_version":2,"result":"updated"`) || strings.Count(answer, `"status":201`) != 2 || !strings.Contains(answer, `"errors":false`) {
		t.Errorf("index: %s", answer)
	}
	wantIDs := []string{"logs\x00a", "", "", "logs\x009007199254740993", "logs\x009007199254740992", "other\x00a"}
	if d := cmp.Diff(wantIDs, s.ids()); d != "" {
		t.Error(d)
	}

	for _, x := range []struct {
		method, path string
		status       int
		answer       string
	}{
		{"PUT", "/logs/_create/b", 201, `"result":"created"`},
		{"PUT", "/logs/_create/b", 409, `"type":"version_conflict_engine_exception","reason":"[b]: version conflict`},
		{"PUT", "/logs/_doc/b?op_type=create", 409, `"status":409`},
		{"PUT", "/logs/_doc/b", 200, `"result":"updated"`},
		{"POST", "/logs/_doc", 201, `"result":"created"`},
	} {
		status, _, answer := ask(t, url, asked{x.method, x.path, doc, auth("Bearer", "good")})
		if status != x.status || !strings.Contains(answer, x.answer) {
			t.Errorf("%s %s: %d %s", x.method, x.path, status, answer)
		}
	}
	if got := len(s.records()); got != 8 {
		t.Errorf("kept %d, want 8", got)
	}
}

// What the queue did not take is not known: the sender must bring it again.
func TestElasticResendOfWhatWasRefused(t *testing.T) {
	s := newSink()
	s.err, s.after = fault.New(fault.Unavailable, "the queue is full"), 1
	url := openDoors(t, s, 0)
	var body strings.Builder
	for i := range maxChunkRecords + 2 {
		fmt.Fprintf(&body, "{\"create\":{\"_id\":\"%d\"}}\n{}\n", i)
	}
	fmt.Fprintf(&body, "{\"create\":{\"_id\":\"%d\"}}\n{}\n", maxChunkRecords) // twice in one body, and neither is kept
	post := func() string {
		_, _, answer := ask(t, url, asked{"POST", "/logs/_bulk?filter_path=items.*.status", body.String(), auth("Bearer", "good")})
		return answer
	}
	if answer := post(); strings.Count(answer, `"status":201`) != maxChunkRecords || strings.Count(answer, `"status":429`) != 3 {
		t.Errorf("%d created, %d refused", strings.Count(answer, `"status":201`), strings.Count(answer, `"status":429`))
	}
	s.fail(nil)
	if answer := post(); strings.Count(answer, `"status":201`) != 2 || strings.Count(answer, `"status":409`) != maxChunkRecords+1 {
		t.Errorf("again: %d created, %d conflicts", strings.Count(answer, `"status":201`), strings.Count(answer, `"status":409`))
	}
	if ids := s.ids(); len(ids) != maxChunkRecords+2 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
		t.Errorf("%d ids are kept", len(ids))
	}
}

func TestRecentIDsAreBounded(t *testing.T) {
	var r recentIDs
	a, b := &Caller{Tenant: Tenant{Number: 1}, Key: "k"}, &Caller{Tenant: Tenant{Number: 2}, Key: "k"}
	r.add(newRecentID(a, "x"))
	if !r.has(newRecentID(a, "x")) || r.has(newRecentID(b, "x")) {
		t.Error("ids are not of their tenants")
	}
	for i := range 3 * maxRecent {
		r.add(newRecentID(b, fmt.Sprint(i)))
	}
	if n := len(r.now) + len(r.before); n > 2*maxRecent || r.has(newRecentID(a, "x")) || !r.has(newRecentID(b, fmt.Sprint(3*maxRecent-1))) {
		t.Errorf("%d ids are known", n)
	}
	r.since = time.Now().Add(-recentTerm - time.Minute)
	r.turn()
	r.since = time.Now().Add(-recentTerm - time.Minute)
	if r.has(newRecentID(b, fmt.Sprint(3*maxRecent-1))) {
		t.Error("an id has no term")
	}
}

// A body under a key names its records by their place; another body under the same key
// is another one.
func TestIdempotencyKeyNamesRecords(t *testing.T) {
	t.Parallel()
	s := newSink()
	url, _ := serve(t, Config{}, s, 0)
	send := func(key []string, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Idempotency-Key"] = key
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, x := range []struct{ key, body string }{{"k1", "a\na\n"}, {"k1", "a\na\nb\n"}, {"k1", "a\nc\n"}, {"k2", "a\n"}} {
		if got := send([]string{x.key}, x.body); got != 200 {
			t.Errorf("%v: %d", x, got)
		}
	}
	ids := s.ids() // k1: a a, a a b, a c; k2: a
	for _, same := range [][2]int{{0, 2}, {1, 3}, {0, 5}} {
		if ids[same[0]] != ids[same[1]] {
			t.Errorf("records %v have different ids", same)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(ids)))); n != 5 || slices.Contains(ids, "") {
		t.Errorf("%d different ids, want 5", n)
	}
	for _, bad := range [][]string{{""}, {"a", "b"}, {strings.Repeat("x", 256)}, {"\xff"}} {
		if got := send(bad, "x\n"); got != 400 {
			t.Errorf("key %q: %d", bad, got)
		}
	}
	if got := send(nil, "x\n"); got != 200 || s.ids()[len(ids)] != "" {
		t.Errorf("without a key: %d", got)
	}
}

func TestWebhookDeliveries(t *testing.T) {
	s := newSink()
	url := openDoors(t, s, 0)
	for _, header := range []string{"X-GitHub-Delivery", "webhook-id", "Idempotency-Key", "X-Atlassian-Webhook-Identifier"} {
		before := len(s.ids())
		for range 2 {
			if status, _, answer := ask(t, url, asked{"POST", "/ingest/webhook/good", `[{"a":1},{"a":1}]`, map[string]string{header: "72d3162e"}}); status != 200 || answer != `{"accepted":2}` {
				t.Errorf("%s: %d %s", header, status, answer)
			}
		}
		if ids := s.ids()[before:]; ids[0] != ids[2] || ids[1] != ids[3] || ids[0] == ids[1] || ids[0] == "" {
			t.Errorf("%s: ids %q", header, ids)
		}
	}
	ask(t, url, asked{"POST", "/ingest/webhook/good", `{}`, map[string]string{"Idempotency-Key": strings.Repeat("x", 300)}})
	if ids := s.ids(); len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 9 || ids[16] != "" {
		t.Errorf("ids %q", ids)
	}
}

// A number stands for one message of a session.
func TestRELPResend(t *testing.T) {
	t.Parallel()
	s := newSink()
	g, connect, _ := listenRELP(t, s, SyslogConfig{})
	conn := connect()
	send(t, conn, relpOpen)
	expect(t, conn, relpOpened)
	send(t, conn, relpMessage(2, "<13>one")+relpMessage(3, "<13>one")+relpMessage(2, "<13>one")+relpMessage(3, "<13>other"))
	expect(t, conn, "2 rsp 6 200 OK\n3 rsp 6 200 OK\n2 rsp 6 200 OK\n3 rsp 6 200 OK\n")
	if d := cmp.Diff([]string{"<13>one", "<13>one", "<13>other"}, s.records()); d != "" {
		t.Error(d)
	}
	other := connect() // a session begins anew with its numbers
	send(t, other, relpOpen)
	expect(t, other, relpOpened)
	send(t, other, relpMessage(2, "<13>one"))
	expect(t, other, "2 rsp 6 200 OK\n")
	if st := countedOf(t, g, "relp", 4); st.Records != 4 || st.Rejected["resend"] != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestRELPRemembersTheLastFrames(t *testing.T) {
	var taken relpTaken
	for i := range 1000 {
		if taken.again(&relpFrame{txnr: fmt.Sprint(i), data: []byte("x")}) {
			t.Fatalf("%d is new", i)
		}
	}
	if len(taken.list) != maxTaken || !taken.again(&relpFrame{txnr: "999", data: []byte("x")}) || !taken.again(&relpFrame{txnr: fmt.Sprint(1000 - maxTaken), data: []byte("x")}) {
		t.Errorf("%d frames are remembered", len(taken.list))
	}
}

// A body that has begun is taken to its end, whatever is owed then.
func TestQuotaAdmitsWholeBodies(t *testing.T) {
	var q quotas
	tenant := Tenant{Number: 1, EventsPerSecond: 100}
	if wait := q.admit(tenant, 150, false); wait != 0 {
		t.Errorf("the first body waits %v", wait)
	}
	if wait := q.admit(tenant, 1000, false); wait != 0 { // 50 are left
		t.Errorf("a body that may begin waits %v", wait)
	}
	if wait := q.admit(tenant, 50, true); wait != 0 {
		t.Errorf("the rest of a body waits %v", wait)
	}
	if wait := q.admit(tenant, 1, false); wait < 9900*time.Millisecond || wait > 10010*time.Millisecond { // 1000 are owed
		t.Errorf("the next body waits %v", wait)
	}
	if n, wait := q.take(tenant, 10); n != 0 || wait < 9900*time.Millisecond {
		t.Errorf("a stream is granted %d, or waits %v", n, wait)
	}
	if wait := q.admit(Tenant{Number: 2}, 1_000_000, false); wait != 0 {
		t.Errorf("without quota: %v", wait)
	}
}

// A stream that has begun is held back, but not refused for quota: its sender would begin
// with the whole of it again.
func TestStreamIsNotRefusedHalfWay(t *testing.T) {
	s := newSink()
	x := New(Config{Append: s.Append, Log: testLog(t)}).newIntake(Caller{Tenant: Tenant{Number: 1, EventsPerSecond: 1}}, InputJournald)
	x.patience = 100 * time.Millisecond
	for range 40 {
		if err := x.Add(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Flush(t.Context()); err != nil || x.Accepted() != 40 {
		t.Errorf("%v, accepted %d", err, x.Accepted())
	}
	if n := len(s.taken()[0].Records); n > 2 {
		t.Errorf("the stream was not held back: %d records at once", n)
	}
	y := x.gate.newIntake(x.caller, InputJournald)
	y.patience = 100 * time.Millisecond
	if err := y.Add(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := y.Flush(t.Context()); err == nil || y.Accepted() != 0 {
		t.Errorf("a stream began with a debt: %v", err)
	}
}
