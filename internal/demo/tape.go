package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The estate. The public addresses lead through fw-01 to the inner ones.
const (
	bastion       = "bastion-01"
	web           = "web-01"
	db            = "db-01"
	firewall      = "fw-01"
	bastionPublic = "198.51.100.10"
	webPublic     = "198.51.100.20"
	bastionInner  = "10.20.0.10"
	webInner      = "10.20.1.10"
	dbInner       = "10.20.2.10"
	resolver      = "10.20.0.53"
)

// tape records lines. Its clock stands at some moment of the day, which callers
// move on.
type tape struct {
	start    time.Time
	now      time.Duration // since start
	random   *rand.Rand
	pid      int
	session  int
	recorded []Line
}

func newTape(end time.Time) *tape {
	return &tape{
		start:  end.UTC().Truncate(time.Second).Add(-Day),
		random: rand.New(rand.NewPCG(20, 26)), // the seed is arbitrary and must stay: it makes recordings alike
		pid:    1200,
	}
}

// at sets the clock to d after the start.
func (t *tape) at(d time.Duration) { t.now = d }

// wait moves the clock on by a random time from low to high.
func (t *tape) wait(low, high time.Duration) {
	t.now += low + time.Duration(t.random.Int64N(int64(high-low)+1))
}

// nextPID returns a process number that was not used lately.
func (t *tape) nextPID() int {
	t.pid += 1 + t.random.IntN(40)
	if t.pid > 4_000_000 {
		t.pid = 1200
	}
	return t.pid
}

// port returns a client's port.
func (t *tape) port() int { return 32768 + t.random.IntN(28000) }

// chance is true in n of 100 cases.
func (t *tape) chance(n int) bool { return t.random.IntN(100) < n }

func pick[T any](t *tape, of []T) T { return of[t.random.IntN(len(of))] }

// syslog records a line of a program. pid 0 leaves the process number out.
// Lines outside of the day are dropped: what runs over midnight belongs to
// another recording.
func (t *tape) syslog(host, program string, pid int, text string) {
	if t.now < 0 || t.now >= Day {
		return
	}
	when := t.start.Add(t.now)
	var b strings.Builder
	b.Grow(48 + len(text))
	b.WriteString(when.Format(time.Stamp))
	b.WriteByte(' ')
	b.WriteString(host)
	b.WriteByte(' ')
	b.WriteString(program)
	if pid != 0 {
		b.WriteByte('[')
		b.WriteString(strconv.Itoa(pid))
		b.WriteByte(']')
	}
	b.WriteString(": ")
	b.WriteString(text)
	t.recorded = append(t.recorded, Line{Time: when, Source: "linux", Text: b.String()})
}

// A request is one line of the web server's access log.
type request struct {
	client, method, path string
	status, bytes        int
	referrer, agent      string // "" is logged as "-"
}

// request records r as web-01 sends its access log by syslog.
func (t *tape) request(r request) {
	when := t.start.Add(t.now).Format("02/Jan/2006:15:04:05 -0700")
	t.syslog(web, "nginx", 0, fmt.Sprintf("%s - - [%s] \"%s %s HTTP/1.1\" %d %d \"%s\" \"%s\"",
		r.client, when, r.method, r.path, r.status, r.bytes, orDash(r.referrer), orDash(r.agent)))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// A packet is the first packet of a connection as the firewall logs it.
type packet struct {
	action             string // BLOCK, ALLOW
	in, out            string // interfaces
	src, dst           string
	srcPort, dstPort   int
	udp                bool
	length, timeToLive int
}

// packet records p as fw-01's kernel logs it.
func (t *tape) packet(p packet) {
	proto := "TCP"
	tail := "WINDOW=64240 RES=0x00 SYN URGP=0"
	if p.udp {
		proto, tail = "UDP", "LEN="+strconv.Itoa(p.length-20)
	}
	t.syslog(firewall, "kernel", 0, fmt.Sprintf("[%d.%06d] [UFW %s] IN=%s OUT=%s MAC=52:54:00:a1:b2:c3:52:54:00:d4:e5:f6:08:00 SRC=%s DST=%s LEN=%d TOS=0x00 PREC=0x00 TTL=%d ID=%d PROTO=%s SPT=%d DPT=%d %s",
		86400+int(t.now/time.Second), t.random.IntN(1_000_000), p.action, p.in, p.out, p.src, p.dst, p.length, p.timeToLive, t.random.IntN(65536), proto, p.srcPort, p.dstPort, tail))
}

// syn records a TCP connection that is asked for from outside.
func (t *tape) syn(action, src, dst string, dstPort int) {
	t.packet(packet{action: action, in: "eth0", out: "", src: src, dst: dst, srcPort: t.port(), dstPort: dstPort, length: 44 + 4*t.random.IntN(5), timeToLive: 40 + t.random.IntN(20)})
}

// sudo records a command and the session that PAM opens around it.
func (t *tape) sudo(host, user, tty, cwd, command string) {
	t.syslog(host, "sudo", 0, fmt.Sprintf("%8s : TTY=%s ; PWD=%s ; USER=root ; COMMAND=%s", user, tty, cwd, command))
	t.syslog(host, "sudo", 0, fmt.Sprintf("pam_unix(sudo:session): session opened for user root(uid=0) by %s(uid=%d)", user, uidOf(user)))
	t.now += 200 * time.Millisecond
	t.syslog(host, "sudo", 0, "pam_unix(sudo:session): session closed for user root")
}

// uidOf gives each account a number of its own.
func uidOf(user string) int {
	switch user {
	case "root":
		return 0
	case "www-data":
		return 33
	case "postgres":
		return 110
	}
	n := 0
	for _, c := range user {
		n = (n*31 + int(c)) % 97
	}
	return 1000 + n
}

// signIn records a login over SSH and returns the process number of its session.
func (t *tape) signIn(host, user, from, method, key string) int {
	pid := t.nextPID()
	text := fmt.Sprintf("Accepted %s for %s from %s port %d ssh2", method, user, from, t.port())
	if key != "" {
		text += ": ED25519 SHA256:" + key
	}
	t.syslog(host, "sshd", pid, text)
	t.syslog(host, "sshd", pid, fmt.Sprintf("pam_unix(sshd:session): session opened for user %s(uid=%d) by (uid=0)", user, uidOf(user)))
	t.session++
	t.syslog(host, "systemd-logind", 712, fmt.Sprintf("New session %d of user %s.", t.session, user))
	t.syslog(host, "systemd", 1, fmt.Sprintf("Started Session %d of User %s.", t.session, user))
	return pid
}

// signOut records the end of a session.
func (t *tape) signOut(host, user, from string, pid int) {
	t.syslog(host, "sshd", pid, fmt.Sprintf("Received disconnect from %s port %d:11: disconnected by user", from, t.port()))
	t.syslog(host, "sshd", pid, fmt.Sprintf("Disconnected from user %s %s port %d", user, from, t.port()))
	t.syslog(host, "sshd", pid, "pam_unix(sshd:session): session closed for user "+user)
}
