package parse

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
)

var auditEvent = []string{
	`type=SYSCALL msg=audit(1772600767.123:4711): arch=c000003e syscall=59 success=yes exit=0 a0=55d items=2 ppid=1200 pid=1201 auid=1000 uid=0 tty=pts0 ses=3 comm="cat" exe="/usr/bin/cat" key="k"`,
	`type=EXECVE msg=audit(1772600767.123:4711): argc=2 a0="cat" a1="/etc/shadow"`,
	`type=CWD msg=audit(1772600767.123:4711): cwd="/root"`,
	`type=PATH msg=audit(1772600767.123:4711): item=0 name="/usr/bin/cat" inode=9 nametype=NORMAL`,
	`type=PROCTITLE msg=audit(1772600767.123:4711): proctitle=636174002F6574632F736861646F77`,
}

// TestAuditJoin: the records of one event share what its first ones say, those of
// another event, sender or tenant do not.
func TestAuditJoin(t *testing.T) {
	p := New(Options{})
	for i, raw := range auditEvent {
		e := read(t, p, 1, raw)
		read(t, p, 1, fmt.Sprintf(`type=SYSCALL msg=audit(1772600767.124:%d): arch=c000003e syscall=2 success=no pid=9 comm="other" exe="/bin/other" key=(null)`, 5000+i))
		for name, want := range map[string]string{"exe": "/usr/bin/cat", "key": "k", "SYSCALL": "execve", event.Program: "cat", event.PID: "1201", event.UserID: "1000", event.Outcome: "success", event.SessionID: "3"} {
			if got := e.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", raw, name, got, want)
			}
		}
		if got, want := e.Get(event.Cmdline), "cat /etc/shadow"; i > 0 && got != want {
			t.Errorf("%s: cmdline is %q, want %q", raw, got, want)
		}
		if got := e.Get(event.Action); (got == "process_start") != (i == 1) {
			t.Errorf("%s: action is %q: a program's start is told once", raw, got)
		}
		if got := e.Get("a0"); i > 1 && got != "" {
			t.Errorf("%s: it has the argument %q of another record", raw, got)
		}
	}
	if e := read(t, p, 2, auditEvent[1]); e.Get("exe") != "" {
		t.Errorf("another tenant's record has exe %q", e.Get("exe"))
	}
	if e := read(t, p, 1, "node=web2 "+auditEvent[1]); e.Get("exe") != "" {
		t.Errorf("another machine's record has exe %q", e.Get("exe"))
	}
}

// TestAuditState: a parser that restores another's state joins as that one does,
// and the memory stays within its bounds.
func TestAuditState(t *testing.T) {
	p, q := New(Options{}), New(Options{})
	for i := range 3 * maxAudits {
		read(t, p, 1, fmt.Sprintf(`type=SYSCALL msg=audit(1772600767.124:%d): arch=c000003e syscall=59 success=yes pid=9 comm="c%d" exe="/bin/c%d" key=(null)`, i, i, i))
	}
	if n := len(p.audits.notes); n != maxAudits || len(p.audits.at) != n {
		t.Fatalf("%d notes, %d of them found, want %d", n, len(p.audits.at), maxAudits)
	}
	state, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Restore(state); err != nil {
		t.Fatal(err)
	}
	for i := range maxAudits {
		i += 2 * maxAudits
		raw := fmt.Sprintf(`type=EXECVE msg=audit(1772600767.124:%d): argc=1 a0="c%d"`, i, i)
		a, b := read(t, p, 1, raw), read(t, q, 1, raw)
		if d := cmp.Diff(a, b); d != "" {
			t.Fatalf("after restoring, %s differs: %s", raw, d)
		}
		if got, want := a.Get("exe"), fmt.Sprintf("/bin/c%d", i); got != want {
			t.Fatalf("%s: exe is %q, want %q", raw, got, want)
		}
	}
	for cut := 1; cut < len(state); cut += 97 {
		if err := New(Options{}).Restore(state[:cut]); err == nil {
			t.Errorf("restoring %d of %d bytes gives no error", cut, len(state))
		}
	}
}
