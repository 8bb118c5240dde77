package clients

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lineCount is how many lines each client sends.
const lineCount = 10_000

// A line is what a client is given to send.
type line struct {
	Time     time.Time `json:"time"` // to the millisecond
	Host     string    `json:"host"`
	Program  string    `json:"program"`
	Severity int       `json:"severity"` // as syslog counts, 0 to 7
	Message  string    `json:"message"`
}

// A client sends lines its way.
type client struct {
	name string
	send func(t *testing.T, s *server, lines []line)
	// form changes a line into what the client makes of it, nil for nothing: a
	// sender may know seconds only, or name the host itself.
	form   func(*line)
	now    bool       // it sends what its host does now, and names host and time itself
	levels *[8]string // what it calls the severities, nil for levels
	input  string     // of which nothing may be dropped, "" where nothing can be
}

var clients = slices.Concat(rsyslogClients, syslogNGClients, hostClients, npmClients)

// TestClients lets each client send its lines to one server, and then finds every
// one of them: none missing, none twice, and all that was said of it unchanged.
func TestClients(t *testing.T) {
	if raceEnabled {
		t.Skip("the server is a program of its own: the race detector would see nothing of it")
	}
	s := startServer(t)
	var received atomic.Int64
	t.Run("of", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				lines := make([]line, lineCount)
				base := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
				for i := range lines {
					lines[i] = line{
						Time: base.Add(time.Duration(i) * 7 * time.Millisecond), Host: "host-" + c.name, Program: c.name, Severity: i % 8,
						Message: fmt.Sprintf(`order %05d of "Zoë & Söhne" is late: 10%% off, see C:\orders\%d <desk 5>`, i, i),
					}
				}
				begin := time.Now()
				c.send(t, s, lines)
				query := "host:host-" + c.name
				if c.now {
					query = "program:" + c.name // it names the host itself
				}
				eventually(t, "its lines", func() bool { return s.search(t, query, 1).Total >= lineCount })
				took := time.Since(begin)
				c.compare(t, s.search(t, query, lineCount), lines, begin)
				if c.input != "" {
					if n := s.dropped(t, c.input); n != 0 {
						t.Errorf("%d were dropped", n)
					}
				}
				received.Add(lineCount)
				t.Logf("%d lines in %.1f s", lineCount, took.Seconds())
			})
		}
	})
	if t.Failed() {
		return
	}
	want := received.Load()
	eventually(t, "the ledger", func() bool { return s.ledger(t).Received >= want })
	if e := s.ledger(t); e.Received != want || e.Stored != want || e.Quarantined != 0 || e.Dropped != 0 {
		t.Errorf("%d lines were sent, and the ledger says %+v", want, e)
	}
}

var (
	levels      = [8]string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}
	shortLevels = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	severities  = [8]string{"high", "high", "high", "medium", "low", "info", "info", "info"}
)

// compare holds every event that was found against the line that was sent.
func (c *client) compare(t *testing.T, a answer, lines []line, begin time.Time) {
	t.Helper()
	if a.Total != len(lines) || len(a.Events) != len(lines) {
		t.Errorf("%d were sent, %d are found, %d of them on the first page, next cursor %q", len(lines), a.Total, len(a.Events), a.NextCursor)
	}
	type event struct {
		Host, Program, Message, Level, Severity string
		Time                                    time.Time
	}
	byMessage := make(map[string]found, len(lines))
	for _, e := range a.Events {
		if _, twice := byMessage[e.Message]; twice {
			t.Errorf("twice: %s", e.Message)
		}
		byMessage[e.Message] = e
	}
	wrong := 0
	if c.levels == nil {
		c.levels = &levels
	}
	for _, l := range lines {
		if c.form != nil {
			c.form(&l)
		}
		want := event{Host: l.Host, Program: l.Program, Message: l.Message, Level: c.levels[l.Severity], Severity: severities[l.Severity], Time: l.Time}
		e, ok := byMessage[l.Message]
		got := event{Host: e.Host, Message: e.Message, Severity: e.Severity, Time: e.Timestamp}
		got.Program, _ = e.Fields["program"].(string)
		got.Level, _ = e.Fields["level"].(string)
		if c.now && !e.Timestamp.Before(begin.Truncate(time.Second)) && !e.Timestamp.After(time.Now()) {
			got.Time = want.Time
		}
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("(-sent +found)\n%s%v", diff, e.Fields)
			if wrong++; wrong == 3 {
				t.Fatal("and so on")
			}
		}
	}
}

// seconds is the form of clients whose times have no fractions.
func seconds(l *line) { l.Time = l.Time.Truncate(time.Second) }

// syslog writes a line as programs hand it to their host's syslog: RFC 3164 with a
// time as in RFC 3339.
func (l *line) syslog() string {
	const local0 = 16
	return fmt.Sprintf("<%d>%s %s %s[4711]: %s\n", local0*8+l.Severity, l.Time.Format("2006-01-02T15:04:05.000000Z07:00"), l.Host, l.Program, l.Message)
}

// missing skips the test, or fails it where clients are required.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("KYRA_TEST_CLIENTS") == "require" {
		t.Fatalf("%s is not installed: run scripts/clients", what)
	}
	t.Skipf("%s is not installed (scripts/clients does it)", what)
}

// program finds a program, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/", "/lib/systemd/", "/usr/lib/systemd/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	missing(t, name)
	return ""
}

// text joins lines that are written one by one.
func text(lines []line, write func(*line) string) string {
	var b strings.Builder
	for i := range lines {
		b.WriteString(write(&lines[i]))
	}
	return b.String()
}
