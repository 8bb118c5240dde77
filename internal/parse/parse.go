package parse

import (
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Record is one framed input with what is known about its way here.
type Record struct {
	Tenant  uint32 // keeps the state of tenants apart; copied to Event.Tenant
	Raw     string // the exact input after framing
	Arrived int64  // nanoseconds since 1970; decides the year where the record has none
	Peer    string // address of the sender, "" where there is none
	Stream  string // what of the sender it was read from, such as the path of a file; "" for none
	Source  string // hint: a name of Parsers (or one of its sources), "" or a family such as "linux" for automatic
	Input   string // the door: "http", "syslog-udp", …
	Key     string // id of the token, key or collector that it came with, "" for none

	Zone     *time.Location // of times without a zone; nil is UTC
	Cut      bool           // the input was longer than the limit
	Settings *Settings      // of the tenant; nil where there are none
}

// Options are the choices of a Parser. The zero value is good.
type Options struct {
	// FutureAfter is how far ahead of arrival an event time may lie before the
	// event is tagged future_time. 0 is 24 hours.
	FutureAfter time.Duration
	// RepeatSources bounds for how many senders the last message is kept for
	// "last message repeated N times". 0 is 1024.
	RepeatSources int
}

// A Parser turns records into events. It keeps state (see State) and reuses its
// memory: use one Parser in one goroutine.
type Parser struct {
	registry registry
	future   int64
	repeats  repeats
	tables   memory // headers of tables
	audits   memory // what the first records of audit events said
	years    yearGuess
	minute   lastMinute
	names    interner // lower-cased program names and joined JSON keys
	arena    arena    // unescaped values
	record   Record
	line     line
	json     jsonScanner
	flat     jsonTree // the keys of records that write key=value
	products []product
	chosen   chosen
}

// New returns a Parser with every content parser of this package.
func New(o Options) *Parser {
	if o.FutureAfter <= 0 {
		o.FutureAfter = 24 * time.Hour
	}
	if o.RepeatSources <= 0 {
		o.RepeatSources = 1024
	}
	p := &Parser{
		registry: newRegistry(),
		future:   int64(o.FutureAfter),
		repeats:  newRepeats(o.RepeatSources),
		names:    newInterner(maxNames),
		products: products(),
	}
	p.json.p = p
	p.forget()
	return p
}

// An Explanation says how a record was understood.
type Explanation struct {
	Header string // "rfc5424", "rfc3164", "time" or "none"
	Parser string // a name of Parsers, or "text"
	Why    string // what decided it, for people

	Settings []string       // ids of the settings that were applied
	Zone     *time.Location // that one of them gave
}

// Parse reads r into e, which it resets first. It never fails: what cannot be
// understood is kept whole. It always sets source, severity, message and
// time_quality, and host where header or peer tells it. Strings in e alias
// r.Raw or memory that is never written again.
func (p *Parser) Parse(r *Record, e *event.Event) { p.ParseExplain(r, e) }

// ParseExplain does what Parse does and tells how it decided.
func (p *Parser) ParseExplain(r *Record, e *event.Event) Explanation {
	x := p.read(r, e, nil)
	if r.Settings != nil {
		return p.settle(r, e, x)
	}
	return x
}

// read reads r into e, as f says where it is not nil.
func (p *Parser) read(r *Record, e *event.Event, f *effect) Explanation {
	e.Reset()
	e.Raw, e.Arrived, e.Tenant = r.Raw, r.Arrived, r.Tenant
	p.record = *r // so that the caller's stays on its stack
	l := &p.line
	*l = line{p: p, r: &p.record, e: e, pri: -1, force: f}
	if f != nil && f.Zone != nil {
		p.record.Zone = f.Zone
	}
	l.text = strings.TrimPrefix(trimTail(r.Raw), "\uFEFF")
	if !utf8.ValidString(l.text) || strings.IndexByte(l.text, 0) >= 0 {
		l.text = cleanText(l.text)
		l.invalid = true
	}
	e.Fields = append(e.Fields,
		event.Field{Name: event.Source},
		event.Field{Name: event.Severity},
		event.Field{Name: event.Message},
		event.Field{Name: event.TimeQuality})
	l.run()
	l.finish()
	return Explanation{Header: l.header, Parser: l.parser, Why: l.why}
}

// trimTail drops what framing leaves at the end of a record.
func trimTail(s string) string {
	for s != "" {
		switch s[len(s)-1] {
		case '\r', '\n', 0:
			s = s[:len(s)-1]
		default:
			return s
		}
	}
	return s
}

// cleanText replaces what is not UTF-8, and NUL, which no database takes as text.
func cleanText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// arena hands out strings from large blocks that are never written again, so
// that unescaping a value costs an allocation only once in a block.
type arena struct{ free []byte }

const arenaBlock = 64 << 10

// grab returns an empty slice with room for n bytes.
func (a *arena) grab(n int) []byte {
	if n > cap(a.free)-len(a.free) {
		if n > arenaBlock/4 {
			return make([]byte, 0, n)
		}
		a.free = unclearedBlock()
	}
	return a.free[len(a.free):len(a.free):cap(a.free)]
}

// unclearedBlock returns memory that nothing has set to zero, which would cost as
// much as filling it: what keep hands out is written before.
func unclearedBlock() []byte {
	var b strings.Builder
	b.Grow(arenaBlock)
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), arenaBlock)[:0]
}

// keep makes b, which grab returned and the caller appended to within its room,
// a string.
func (a *arena) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if cap(a.free)-len(a.free) == cap(b) { // b is the head of the free block
		a.free = a.free[:len(a.free)+len(b)]
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// interner keeps one copy of strings that recur, up to a bound.
type interner struct {
	m     map[string]string
	bound int
}

func newInterner(bound int) interner {
	return interner{m: make(map[string]string), bound: bound}
}

// of returns b as a string.
func (in *interner) of(b []byte) string {
	if s, ok := in.m[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) <= 256 {
		if len(in.m) >= in.bound {
			clear(in.m)
		}
		in.m[s] = s
	}
	return s
}

// lower returns s in lower case (ASCII), and s itself where it already is.
func (p *Parser) lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			var short [64]byte
			b := append(short[:0], s...)
			for j := range b {
				if c := b[j]; c >= 'A' && c <= 'Z' {
					b[j] = c + 'a' - 'A'
				}
			}
			return p.names.of(b)
		}
	}
	return s
}
