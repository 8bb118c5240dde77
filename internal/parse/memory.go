package parse

import (
	"encoding/binary"
	"strings"
)

// A memory keeps short notes on what came before a record: the header of a table,
// the first records of an audit event. It is bounded in number, and its users
// bound the size; when it
// is full, the note that came first makes room, so that a replay gives the same
// events.
type memory struct {
	bound int // how many notes
	at    map[noteKey]int
	notes []note
	next  int // the note to reuse once all are taken
}

// A noteKey is the sender of a record, what of it the record was read from where
// that matters, and what the note is about.
type noteKey struct {
	tenant                    uint32
	peer, host, stream, about string
}

type note struct {
	key  noteKey
	text []byte
	copy string // the text as it was last asked for
}

// string returns the note's text, the same one until it changes.
func (n *note) string() string {
	if n.copy != string(n.text) {
		n.copy = string(n.text)
	}
	return n.copy
}

func newMemory(bound int) memory {
	return memory{bound: bound, at: make(map[noteKey]int)}
}

// about is the key of a note on what l's sender sends.
func (l *line) about(what string) noteKey {
	return noteKey{tenant: l.r.Tenant, peer: l.r.Peer, host: l.host, about: what}
}

// table is the key of a note on the table that l is a row of: one sender has several
// files.
func (l *line) table(what string) noteKey {
	return noteKey{l.r.Tenant, l.r.Peer, l.host, l.r.Stream, what}
}

// of returns the note, nil without. It is good until the next change.
func (m *memory) of(key noteKey) *note {
	if i, ok := m.at[key]; ok {
		return &m.notes[i]
	}
	return nil
}

// keep returns the note of that key, an empty one if it is new.
func (m *memory) keep(key noteKey) *note {
	if n := m.of(key); n != nil {
		return n
	}
	key.peer, key.host, key.stream, key.about = strings.Clone(key.peer), strings.Clone(key.host), strings.Clone(key.stream), strings.Clone(key.about)
	i := len(m.notes)
	if i < m.bound {
		m.notes = append(m.notes, note{})
	} else {
		i = m.next
		m.next = (m.next + 1) % m.bound
		delete(m.at, m.notes[i].key)
	}
	n := &m.notes[i]
	n.key, n.text, n.copy = key, n.text[:0], ""
	m.at[key] = i
	return n
}

// state appends the memory's notes to b.
func (m *memory) state(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(m.next))
	b = binary.AppendUvarint(b, uint64(len(m.notes)))
	for i := range m.notes {
		n := &m.notes[i]
		b = binary.AppendUvarint(b, uint64(n.key.tenant))
		b = appendString(b, n.key.peer)
		b = appendString(b, n.key.host)
		b = appendString(b, n.key.stream)
		b = appendString(b, n.key.about)
		b = appendString(b, n.text)
	}
	return b
}

// restore reads what state wrote; before streams were known, notes had none.
func (m *memory) restore(in *stateReader, streams bool) {
	next, count := in.number(), in.number()
	for range count {
		if in.bad {
			return
		}
		key := noteKey{tenant: uint32(in.number()), peer: in.text(), host: in.text()}
		if streams {
			key.stream = in.text()
		}
		key.about = in.text()
		n := m.keep(key)
		n.text = append(n.text[:0], in.text()...)
	}
	if len(m.notes) == m.bound && next < uint64(m.bound) && count == uint64(m.bound) {
		m.next = int(next)
	}
}
