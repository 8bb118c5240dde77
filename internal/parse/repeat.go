package parse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// repeated reads "last message repeated N times", in the wordings of syslogd,
// rsyslog and syslog-ng, as the message it repeats with count N. Any other
// message of a syslog sender is remembered.
func (l *line) repeated() bool {
	if l.depth > 0 || l.header != "rfc3164" && l.header != "rfc5424" {
		return false
	}
	s := l.text
	if s == "" {
		return false
	}
	switch s[0] {
	case 'l', 'L', 'm':
		if n, inner, ok := repetition(s); ok {
			switch {
			case inner != "":
				l.text = inner
				l.p.repeats.keep(l)
			case !l.p.repeats.recall(l):
				return false
			}
			l.times(n)
			l.depth++
			l.content()
			l.why = "it repeats a message"
			return true
		}
	}
	l.p.repeats.keep(l)
	return false
}

// repetition takes the wordings apart. inner is the repeated text where the
// line holds it.
func repetition(s string) (n, inner string, ok bool) {
	rest, last := strings.CutPrefix(s, "last message repeated ")
	if !last {
		if rest, ok = strings.CutPrefix(s, "message repeated "); !ok {
			if rest, ok = strings.CutPrefix(s, "Last message '"); !ok { // syslog-ng
				return "", "", false
			}
			i := strings.LastIndex(rest, "' repeated ")
			if i <= 0 {
				return "", "", false
			}
			inner, rest = rest[:i], rest[i+len("' repeated "):]
		}
	}
	d := digits(rest)
	if d < 1 || d > 9 {
		return "", "", false
	}
	n, rest = rest[:d], rest[d:]
	if !strings.HasPrefix(rest, " time") || number(n) == 0 {
		return "", "", false
	}
	if last || inner != "" {
		return n, inner, true
	}
	rest, ok = strings.CutPrefix(rest, " times: [")
	if !ok {
		return "", "", false
	}
	return n, strings.TrimSpace(strings.TrimSuffix(strings.TrimRight(rest, " "), "]")), true
}

// maxRepeat is the longest message that is remembered.
const maxRepeat = 1024

// repeats remembers each syslog sender's last message. When it is full, the
// sender that came first makes room, so that a replay gives the same events.
type repeats struct {
	bound int
	at    map[repeatKey]int
	slots []repeatSlot
	next  int // the slot to reuse once all are taken
	last  int // the slot used last: senders come in runs
}

type repeatKey struct {
	tenant     uint32
	peer, host string
}

type repeatSlot struct {
	key                        repeatKey
	program, pid, tagged, text []byte
}

func newRepeats(bound int) repeats {
	return repeats{bound: bound, at: make(map[repeatKey]int), last: -1}
}

// keep remembers l's message.
func (rs *repeats) keep(l *line) {
	key := repeatKey{l.r.Tenant, l.r.Peer, l.host}
	i := rs.last
	if i < 0 || rs.slots[i].key != key {
		var ok bool
		if i, ok = rs.at[key]; !ok {
			i = rs.room(key)
		}
		rs.last = i
	}
	slot := &rs.slots[i]
	if len(l.text) > maxRepeat || len(l.program)+len(l.pid)+len(l.tagged) > maxRepeat {
		slot.text = slot.text[:0]
		return
	}
	slot.program = append(slot.program[:0], l.program...)
	slot.pid = append(slot.pid[:0], l.pid...)
	slot.tagged = append(slot.tagged[:0], l.tagged...)
	slot.text = append(slot.text[:0], l.text...)
}

// room returns a slot for a new sender.
func (rs *repeats) room(key repeatKey) int {
	key.peer, key.host = strings.Clone(key.peer), strings.Clone(key.host)
	i := len(rs.slots)
	if i < rs.bound {
		rs.slots = append(rs.slots, repeatSlot{})
	} else {
		i = rs.next
		rs.next = (rs.next + 1) % rs.bound
		delete(rs.at, rs.slots[i].key)
	}
	rs.slots[i].key = key
	rs.at[key] = i
	return i
}

// recall puts the sender's last message in the place of l's.
func (rs *repeats) recall(l *line) bool {
	i, ok := rs.at[repeatKey{l.r.Tenant, l.r.Peer, l.host}]
	if !ok || len(rs.slots[i].text) == 0 {
		return false
	}
	slot := &rs.slots[i]
	l.program, l.pid, l.tagged, l.text = string(slot.program), string(slot.pid), string(slot.tagged), string(slot.text)
	return true
}

// stateVersion 1 had the repetitions alone, 2 no streams.
const stateVersion = 3

var errState = errors.New("parser state is damaged")

// State returns what the parser has to remember over a restart: the last message
// of each syslog sender, headers of tables, begun audit events. Its size is bounded
// by Options.RepeatSources and the bounds of memory.
func (p *Parser) State() ([]byte, error) {
	rs := &p.repeats
	b := []byte{stateVersion}
	b = binary.AppendUvarint(b, uint64(rs.next))
	b = binary.AppendUvarint(b, uint64(len(rs.slots)))
	for i := range rs.slots {
		slot := &rs.slots[i]
		b = binary.AppendUvarint(b, uint64(slot.key.tenant))
		b = appendString(b, slot.key.peer)
		b = appendString(b, slot.key.host)
		for _, part := range [][]byte{slot.program, slot.pid, slot.tagged, slot.text} {
			b = appendString(b, part)
		}
	}
	return p.audits.state(p.tables.state(b)), nil
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Restore replaces the parser's memory by what State returned. An empty state is
// a fresh start. On an error the memory is empty.
func (p *Parser) Restore(state []byte) error {
	rs := newRepeats(p.repeats.bound)
	p.repeats = rs
	p.forget()
	if len(state) == 0 {
		return nil
	}
	if state[0] < 1 || state[0] > stateVersion {
		return fmt.Errorf("restore parser state: version %d is not %d", state[0], stateVersion)
	}
	in := stateReader{b: state[1:]}
	next, n := in.number(), in.number()
	for range n {
		if in.bad {
			break
		}
		key := repeatKey{tenant: uint32(in.number()), peer: in.text(), host: in.text()}
		i := rs.room(key)
		slot := &rs.slots[i]
		slot.program, slot.pid, slot.tagged, slot.text = []byte(in.text()), []byte(in.text()), []byte(in.text()), []byte(in.text())
	}
	if state[0] > 1 {
		p.tables.restore(&in, state[0] > 2)
		p.audits.restore(&in, state[0] > 2)
	}
	if in.bad || len(in.b) != 0 {
		p.forget()
		return fmt.Errorf("restore parser state: %w", errState)
	}
	if len(rs.slots) == rs.bound && next < uint64(rs.bound) && n == uint64(rs.bound) {
		rs.next = int(next)
	}
	p.repeats = rs
	return nil
}

// forget empties what is remembered besides repetitions.
func (p *Parser) forget() {
	p.tables = newMemory(maxTables)
	p.audits = newMemory(maxAudits)
}

type stateReader struct {
	b   []byte
	bad bool
}

func (r *stateReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stateReader) text() string {
	n := r.number()
	if n > uint64(len(r.b)) || n > 1<<20 {
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	if !utf8.ValidString(s) {
		r.bad = true
	}
	return s
}
