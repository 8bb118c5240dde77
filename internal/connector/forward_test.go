package connector

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/arrival/arrivaltest"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// A syslogServer keeps the messages that it got whole.
type syslogServer struct {
	net.Listener
	mu    sync.Mutex
	got   []string
	reset bool // end connections instead of reading them
	takes int  // of them so many before
	slow  time.Duration
}

func newSyslogServer(t *testing.T, l net.Listener) *syslogServer {
	t.Helper()
	s := &syslogServer{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.read(conn)
		}
	}()
	return s
}

func (s *syslogServer) read(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // it is a test's
	s.mu.Lock()
	defer s.mu.Unlock()
	time.Sleep(s.slow)
	if s.takes--; s.reset && s.takes < 0 {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return
	}
	for r := bufio.NewReader(conn); ; {
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(length))
		if err != nil {
			s.got = append(s.got, "not framed: "+length)
			return
		}
		line := make([]byte, n)
		if _, err := io.ReadFull(r, line); err != nil {
			return
		}
		s.got = append(s.got, string(line))
	}
}

// texts returns what stands behind the structured data of each message since the last call.
func (s *syslogServer) texts(t *testing.T) (texts []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.got {
		_, text, ok := strings.Cut(line, "] ")
		if !ok {
			t.Errorf("message %q", line)
		}
		texts = append(texts, text)
	}
	s.got = nil
	slices.Sort(texts)
	return texts
}

func (s *syslogServer) setReset(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset = on
}

func (s *syslogServer) config(more string) map[string]json.RawMessage {
	return raw(fmt.Sprintf(`{"host":"127.0.0.1","port":%d,"transport":"tcp","events":[]%s}`, s.Addr().(*net.TCPAddr).Port, more))
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// turn lets every connector that is due send its events.
func turn(t *testing.T, s *Service) {
	t.Helper()
	due, err := s.dueForwards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range due {
		if err := s.forward(t.Context(), &due[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d texts from %q, want %d from %q", len(got), got[:min(len(got), 9)], len(want), want[:min(len(want), 9)])
	}
}

// Events that match are sent once they are stored, whatever time they tell; nothing is
// lost while the receiver is away or the server starts again.
func TestEventsAreForwarded(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clock := time.Date(2026, 4, 22, 8, 0, 30, 0, time.UTC)
		s := rig(t, db, &clock)
		store := arrivaltest.New(t, s.Events)
		server, whole := newSyslogServer(t, listen(t)), newSyslogServer(t, listen(t))
		store.Batch(1, clock.Add(-20*time.Second), arrivaltest.Line("before", clock, "user", "root"))
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "SIEM", Kind: Syslog, Config: server.config(`,"query":"user:root"`)})
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Create(t.Context(), 1, "test", Draft{Name: "All", Kind: Syslog, Config: whole.config("")})
		if err != nil {
			t.Fatal(err)
		}
		batch := func(n int) {
			store.Batch(1, clock, arrivaltest.Line(fmt.Sprint("root ", n), clock.Add(-time.Duration(n)*time.Hour), "user", "root"), arrivaltest.Line(fmt.Sprint("kim ", n), clock, "user", "kim"))
			store.Batch(2, clock, arrivaltest.Line("of another tenant", clock, "user", "root"))
		}
		batch(1)
		turn(t, s)
		same(t, server.texts(t), "root 1")
		same(t, whole.texts(t))
		turn(t, s)
		same(t, server.texts(t))
		// From now on the other takes all of them.
		clock = clock.Add(time.Minute)
		if _, err := s.Change(t.Context(), 1, "test", all.ID, Patch{Config: whole.config(`,"query":"*"`)}); err != nil {
			t.Fatal(err)
		}
		batch(2)
		store.Queue(1, clock, arrivaltest.Line("under way", clock, "user", "root"))
		turn(t, s)
		same(t, server.texts(t), "root 2")
		same(t, whole.texts(t), "kim 2", "root 2")

		server.setReset(true)
		batch(3) // and what was under way
		turn(t, s)
		got, err := s.Get(t.Context(), 1, c.ID)
		if err != nil || got.LastError == "" || got.Events.FailingSince == nil || got.Events.Sent != 2 || got.NextAt != nil {
			t.Fatalf("while it is away: %+v, %+v, %v", got, got.Events, err)
		}
		if check, err := s.flow(t.Context(), got); err != nil || check.Status != Failed || check.Message != got.LastError {
			t.Errorf("its health: %+v, %v", check, err)
		}
		server.setReset(false)
		turn(t, s) // not before its pause is over
		same(t, server.texts(t))
		same(t, whole.texts(t), "kim 3", "root 3", "under way")
		clock = clock.Add(time.Minute)
		again := New(s.Config) // a start
		turn(t, again)
		same(t, server.texts(t), "root 3", "under way")
		batch(4)
		turn(t, again)
		same(t, server.texts(t), "root 4")
		if got, err = again.Get(t.Context(), 1, c.ID); err != nil || got.LastError != "" || got.Events.FailingSince != nil || got.Events.Sent != 5 || got.Events.Dropped != 0 {
			t.Errorf("at the end: %+v, %+v, %v", got, got.Events, err)
		}
		if m, err := again.Metrics(t.Context(), 1, c.ID); err != nil || m[3].Sent != 3 { // since the start
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// Events that cannot be sent for days are dropped and counted; younger ones stay.
func TestForwardGivesUp(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		store := arrivaltest.New(t, s.Events)
		server := newSyslogServer(t, listen(t))
		server.setReset(true)
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "SIEM", Kind: Syslog, Config: server.config(`,"query":"user:root"`)})
		if err != nil {
			t.Fatal(err)
		}
		state := func() *Forwarded {
			t.Helper()
			c, err := s.Get(t.Context(), 1, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			return c.Events
		}
		for range 2 + forwardRecords/1000 { // more than a part, and some more
			store.Batch(1, clock, slices.Repeat([]event.Event{arrivaltest.Line("old", clock, "user", "root"), arrivaltest.Line("other", clock, "user", "kim")}, 500)...)
		}
		turn(t, s)
		since := state().FailingSince
		clock = clock.Add(giveUpAfter - time.Hour)
		store.Batch(1, clock, arrivaltest.Line("young", clock, "user", "root"))
		turn(t, s)
		if x := state(); x.Dropped != 0 || !x.FailingSince.Equal(*since) {
			t.Errorf("early: %+v", x)
		}
		clock = clock.Add(2 * time.Hour)
		turn(t, s)
		if x := state(); x.Dropped != 1000+forwardRecords/2 || x.Sent != 0 || x.FailingSince == nil {
			t.Errorf("after days: %+v", x)
		}
		server.setReset(false)
		clock = clock.Add(10 * time.Minute)
		turn(t, s)
		same(t, server.texts(t), "young")
		if x := state(); x.Dropped != 1000+forwardRecords/2 || x.Sent != 1 || x.FailingSince != nil {
			t.Errorf("at the end: %+v", x)
		}
	})
}

// However many connectors there are, and whatever the first of them do: each has its turn.
func TestEveryConnectorHasItsTurn(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
	s := rig(t, sqldbtest.SQLite(t), &clock)
	store := arrivaltest.New(t, s.Events)
	var servers []*syslogServer
	for i := range 2*forwardAtOnce + 1 {
		server := newSyslogServer(t, listen(t))
		server.slow = 200 * time.Millisecond
		servers = append(servers, server)
		if _, err := s.Create(t.Context(), 1, "test", Draft{Name: fmt.Sprint(i), Kind: Syslog, Config: server.config(`,"query":"*"`)}); err != nil {
			t.Fatal(err)
		}
	}
	store.Batch(1, clock, arrivaltest.Line("for all", clock))
	var work sync.WaitGroup
	if err := s.forwardDue(t.Context(), make(chan struct{}, forwardAtOnce), &work); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	for _, server := range servers {
		same(t, server.texts(t), "for all")
	}
}

// What other tenants send through the same partition has nothing written for a tenant
// that is quiet.
func TestOthersEventsCostNoWriting(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		store := arrivaltest.New(t, s.Events)
		server := newSyslogServer(t, listen(t))
		if _, err := s.Create(t.Context(), 1, "test", Draft{Name: "SIEM", Kind: Syslog, Config: server.config(`,"query":"*"`)}); err != nil {
			t.Fatal(err)
		}
		at := func() int64 {
			t.Helper()
			n, err := sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT events_seq FROM connector`)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		store.Batch(1, clock, arrivaltest.Line("mine", clock))
		turn(t, s)
		same(t, server.texts(t), "mine")
		if n := at(); n != 1 {
			t.Errorf("after its event: %d", n)
		}
		for range 3 {
			store.Batch(2, clock, arrivaltest.Line("of another tenant", clock))
			turn(t, s)
		}
		if n := at(); n != 1 {
			t.Errorf("after those of others: %d", n)
		}
		store.Batch(1, clock, arrivaltest.Line("mine again", clock))
		turn(t, s)
		same(t, server.texts(t), "mine again")
		if n := at(); n != 5 {
			t.Errorf("at the end: %d", n)
		}
	})
}

// A failure long ago says nothing about one of now: neither after the receiver took
// something nor after somebody switched the connector on again.
func TestForwardGivesUpOnlyAfterFailingAllTheTime(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		store := arrivaltest.New(t, s.Events)
		server := newSyslogServer(t, listen(t))
		server.setReset(true)
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "SIEM", Kind: Syslog, Config: server.config(`,"query":"*"`)})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // parts, while it fails
			store.Batch(1, clock, slices.Repeat([]event.Event{arrivaltest.Line("old", clock)}, carefulRecords)...)
		}
		fails := func(sent int64) {
			t.Helper()
			turn(t, s)
			got, err := s.Get(t.Context(), 1, c.ID)
			if err != nil || got.Events.Dropped != 0 || got.Events.Sent != sent || got.Events.FailingSince == nil || !got.Events.FailingSince.Equal(clock) {
				t.Fatalf("%+v, %v", got.Events, err)
			}
		}
		fails(0)
		clock = clock.Add(giveUpAfter + time.Hour)
		server.mu.Lock()
		server.takes = 1
		server.mu.Unlock()
		fails(carefulRecords)
		for _, on := range []bool{false, true} {
			clock = clock.Add(giveUpAfter)
			if _, err := s.Change(t.Context(), 1, "test", c.ID, Patch{Enabled: &on}); err != nil {
				t.Fatal(err)
			}
		}
		fails(carefulRecords)
	})
}

// What is removed before a connector had it is counted: that which it would have sent.
func TestRemovedBeforeItWasSent(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
		s := rig(t, db, &clock)
		store := arrivaltest.New(t, s.Events)
		server := newSyslogServer(t, listen(t))
		c, err := s.Create(t.Context(), 1, "test", Draft{Name: "SIEM", Kind: Syslog, Config: server.config(`,"query":"user:root"`)})
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := s.Create(t.Context(), 1, "test", Draft{Name: "Bucket", Kind: S3, Disabled: true, Config: raw(`{"endpoint":"http://127.0.0.1:1","region":"x","bucket":"logs","accessKey":"k","secretKey":"s","contents":["events"]}`)})
		if err != nil {
			t.Fatal(err)
		}
		turn(t, s)
		off := false
		if _, err := s.Change(t.Context(), 1, "test", c.ID, Patch{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		begin := clock
		for range 3 {
			store.Batch(1, clock, arrivaltest.Line("root", clock, "user", "root"), arrivaltest.Line("kim", clock, "user", "kim"))
			store.Batch(2, clock, arrivaltest.Line("of another tenant", clock, "user", "root"))
			clock = clock.Add(24 * time.Hour)
		}
		dropped := func(id string, want int64) {
			t.Helper()
			got, err := s.Get(t.Context(), 1, id)
			if err != nil || got.Events.Dropped != want {
				t.Errorf("%s: %+v, want %d dropped, %v", got.Name, got.Events, want, err)
			}
		}
		s.LetGo(t.Context(), 1, begin)
		dropped(c.ID, 0)
		for range 2 { // each once
			s.LetGo(t.Context(), 1, begin.Add(25*time.Hour))
			dropped(c.ID, 2)
			dropped(bucket.ID, 4)
		}
		on := true
		if _, err := s.Change(t.Context(), 1, "test", c.ID, Patch{Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		turn(t, s)
		same(t, server.texts(t), "root")
	})
}

// Over TLS as well, with a certificate that is known.
func TestEventsAreForwardedOverTLS(t *testing.T) {
	t.Parallel()
	cert, authority := authorityOf(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	server := newSyslogServer(t, l)
	clock := time.Date(2026, 4, 22, 8, 0, 0, 0, time.UTC)
	s := rig(t, sqldbtest.SQLite(t), &clock)
	store := arrivaltest.New(t, s.Events)
	ca, err := json.Marshal(authority)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), 1, "test", Draft{Name: "SIEM", Kind: Syslog, Config: server.config(`,"query":"*","transport":"tls","ca":` + string(ca))}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 300 {
		text := fmt.Sprintf("line %03d %s", i, strings.Repeat("가", i))
		store.Batch(1, clock, arrivaltest.Line(text, clock))
		want = append(want, text)
	}
	turn(t, s)
	same(t, server.texts(t), want...)
}

func TestEventLine(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 4, 22, 8, 0, 0, 123456789, time.UTC)
	e := arrivaltest.Line("a line\nof two", at, "host", "web 01", "program", "sshd", "pid", "7", "source", `s"]`, "severity", "high")
	e.ID = event.ID{Partition: 1, Seq: 2, Index: 3}
	const head = `<35>1 2026-04-22T08:00:00.123456Z web_01 sshd 7 event [kyra@32473 id="e1-000000000002-00003" source="s\"\]" severity="high"] `
	bare := arrivaltest.Line("", at, "source", "app", "k", "v")
	bare.ID = e.ID
	huge := arrivaltest.Line(strings.Repeat("가", maxLine), at)
	for name, tt := range map[string]struct {
		e      event.Event
		format string
		want   string
	}{
		"raw":     {e, rawFormat, head + "a line of two"},
		"json":    {e, jsonFormat, head + `{"id":"e1-000000000002-00003","timestamp":"2026-04-22T08:00:00.123456789Z","raw":"a line\nof two","fields":{"host":"web 01","pid":"7","program":"sshd","severity":"high","source":"s\"]"}}`},
		"no text": {bare, rawFormat, `<38>1 2026-04-22T08:00:00.123456Z - app - event [kyra@32473 id="e1-000000000002-00003" source="app"] {"id":"e1-000000000002-00003","timestamp":"2026-04-22T08:00:00.123456789Z","raw":"","fields":{"k":"v","source":"app"}}`},
	} {
		var b bytes.Buffer
		if err := eventLine(&b, &tt.e, settings{"facility": "auth", "eventFormat": tt.format}); err != nil || b.String() != tt.want {
			t.Errorf("%s: %v\n%s\n%s", name, err, b.String(), tt.want)
		}
	}
	var b bytes.Buffer
	if err := eventLine(&b, &huge, settings{"facility": "auth"}); err != nil || b.Len() > maxLine || b.Len() < maxLine-3 || strings.ToValidUTF8(b.String(), "") != b.String() {
		t.Errorf("a huge one: %d bytes, %v", b.Len(), err)
	}
}
