package parse

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
)

// read parses raw as the tenant's and returns the event.
func read(t *testing.T, p *Parser, tenant uint32, raw string) *event.Event {
	t.Helper()
	var e event.Event
	p.Parse(&Record{Tenant: tenant, Raw: raw, Arrived: arrival, Peer: "192.0.2.1"}, &e)
	checkInvariants(t, raw, &e)
	return &e
}

func TestRepeated(t *testing.T) {
	const failed = "Nov 24 10:00:00 web sshd[7]: Failed password for root from 1.2.3.4 port 5 ssh2"
	for _, c := range []struct {
		name, before, line   string
		count, user, program string
	}{
		{"syslogd", failed, "Nov 24 10:00:09 web last message repeated 3 times", "3", "root", "sshd"},
		{"once", failed, "Nov 24 10:00:09 web last message repeated 1 time", "1", "root", "sshd"},
		{"tagged", failed, "Nov 24 10:00:09 web syslogd: last message repeated 12 times", "12", "root", "sshd"},
		{"no host", "<38>Nov 24 10:00:00 sshd[7]: Failed password for root from 1.2.3.4 port 5 ssh2", "<38>Nov 24 10:00:09 last message repeated 3 times", "3", "root", "sshd"},
		{"pam tag", "Nov 24 10:00:00 web sshd(pam_unix)[7]: authentication failure; logname= uid=0 euid=0 tty=x ruser= rhost=1.2.3.4  user=bob", "Nov 24 10:00:09 web last message repeated 2 times", "2", "bob", "sshd"},
		{"counts twice", "Nov 24 10:00:00 web sudo: bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", "Nov 24 10:00:09 web last message repeated 2 times", "6", "bob", "sudo"},
		{"rsyslog", "", "Nov 24 10:00:09 web sshd[7]: message repeated 4 times: [ Failed password for eve from 1.2.3.4 port 5 ssh2]", "4", "eve", "sshd"},
		{"syslog-ng", "", "Nov 24 10:00:09 web sshd[7]: Last message 'Failed password for eve from 1.2.3.4 port 5 ssh2' repeated 6 times, suppressed by syslog-ng on web", "6", "eve", "sshd"},
		{"other host", failed, "Nov 24 10:00:09 db last message repeated 3 times", "", "", ""},
		{"nothing before", "", "Nov 24 10:00:09 web last message repeated 3 times", "", "", ""},
		{"zero", failed, "Nov 24 10:00:09 web last message repeated 0 times", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New(Options{})
			if c.before != "" {
				read(t, p, 1, c.before)
			}
			e := read(t, p, 1, c.line)
			got := [3]string{e.Get(event.Count), e.Get(event.User), e.Get(event.Program)}
			if want := [3]string{c.count, c.user, c.program}; got != want {
				t.Errorf("%q: count, user, program are %q, want %q", c.line, got, want)
			}
			if c.count != "" && c.before != "" {
				again := read(t, p, 1, c.line)
				if d := cmp.Diff(e, again); d != "" {
					t.Errorf("a second repetition differs: %s", d)
				}
				if first := read(t, New(Options{}), 1, c.before); first.Get(event.Message) != e.Get(event.Message) {
					t.Errorf("message is %q, want %q", e.Get(event.Message), first.Get(event.Message))
				}
			}
		})
	}
}

// TestRepeatedTenants: one tenant's repetition never shows another's message.
func TestRepeatedTenants(t *testing.T) {
	p := New(Options{})
	read(t, p, 1, "Nov 24 10:00:00 web sshd[7]: Failed password for root from 1.2.3.4 port 5 ssh2")
	if e := read(t, p, 2, "Nov 24 10:00:09 web last message repeated 3 times"); e.Get(event.User) != "" || e.Get(event.Count) != "" {
		t.Errorf("the other tenant's fields are here: %v", e.Fields)
	}
}

// TestState: a parser that restores another's state goes on as that one does,
// also when the memory is full and senders have made room for others.
func TestState(t *testing.T) {
	const bound = 4
	p := New(Options{RepeatSources: bound})
	for i := range 7 {
		read(t, p, 1, fmt.Sprintf("Nov 24 10:00:00 host%d sshd[7]: Failed password for user%d from 1.2.3.4 port 5 ssh2", i, i))
	}
	state, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	q := New(Options{RepeatSources: bound})
	read(t, q, 9, "Nov 24 10:00:00 other foo: to be forgotten")
	if err := q.Restore(state); err != nil {
		t.Fatal(err)
	}
	remembered := 0
	for round := range 3 {
		for i := range 7 {
			line := fmt.Sprintf("Nov 24 10:00:09 host%d last message repeated 2 times", i)
			a, b := read(t, p, 1, line), read(t, q, 1, line)
			if d := cmp.Diff(a, b); d != "" {
				t.Fatalf("after restoring, %q differs: %s", line, d)
			}
			if round == 0 && a.Get(event.Count) == "2" {
				remembered++
			}
		}
		line := fmt.Sprintf("Nov 24 10:00:00 host%d foo: new", round)
		read(t, p, 1, line)
		read(t, q, 1, line)
	}
	if remembered != bound {
		t.Errorf("%d senders were remembered, want %d", remembered, bound)
	}
	again, err := q.State()
	if err != nil {
		t.Fatal(err)
	}
	first, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(again) {
		t.Error("the states differ after the same lines")
	}
}

func TestRestoreDamaged(t *testing.T) {
	p := New(Options{})
	read(t, p, 1, "Nov 24 10:00:00 web sshd[7]: hello")
	state, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(state); cut++ {
		if err := New(Options{}).Restore(state[:cut]); err == nil {
			t.Errorf("restoring %d of %d bytes gives no error", cut, len(state))
		}
	}
	if err := New(Options{}).Restore(append([]byte{99}, state[1:]...)); err == nil {
		t.Error("restoring another version gives no error")
	}
	if err := New(Options{}).Restore(nil); err != nil {
		t.Errorf("restoring nothing: %v", err)
	}
}
