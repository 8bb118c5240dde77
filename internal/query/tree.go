package query

import (
	"net/netip"
	"regexp"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Node is a parsed query: All, And, Or, Not, Equal, Contains, Wildcard,
// Exists, Range, Span, CIDR or Regexp. Nodes are immutable and may be shared.
type Node interface {
	// String returns query text that parses to an equal tree.
	String() string
	// Match tells whether e fulfils the query. It is the reference: a store
	// must find exactly the events that it accepts.
	Match(e *event.Event) bool
}

type (
	// All matches every event.
	All struct{}

	// And matches when all of Nodes do; it has two or more.
	And struct{ Nodes []Node }

	// Or matches when one of Nodes does; it has two or more.
	Or struct{ Nodes []Node }

	// Not matches when Node does not.
	Not struct{ Node Node }

	// Equal matches when a value of the field equals Value, case ignored.
	Equal struct {
		Field Field
		Value string
	}

	// Contains matches when Text stands in the field as a word or phrase, case
	// ignored. Its field is a text or the whole event.
	Contains struct {
		Field Field
		Text  string
	}

	// Wildcard matches when a value of the field fits the pattern from end to
	// end, case ignored; in texts and the whole event, when a word does.
	Wildcard struct {
		Field Field
		Parts []Part
		re    *regexp.Regexp
	}

	// Exists matches when the event has the field, be it empty.
	Exists struct{ Field Field }

	// Range matches when a value of the field is between the bounds. When both
	// bounds are numbers only values that are numbers can match, and by value;
	// the same for addresses; else values are compared as text, case ignored.
	Range struct {
		Field    Field
		Min, Max Bound
	}

	// Span matches when a time of the event (timestamp or ingest_time) is in
	// From ≤ t < To, nanoseconds since 1970; math.MinInt64 and MaxInt64 are open.
	Span struct {
		Field    Field
		From, To int64
	}

	// CIDR matches when a value of the field is an address of the network, or
	// the network itself as it was written.
	CIDR struct {
		Field  Field
		Prefix netip.Prefix
	}

	// Regexp matches when the expression is found in a value of the field, case
	// and all. An empty field means the whole event.
	Regexp struct {
		Field Field
		Re    *regexp.Regexp
	}
)

// A Bound is one end of a Range.
type Bound struct {
	Value     string
	Open      bool // there is no bound
	Exclusive bool // the value itself is outside
}

// A Part of a Wildcard is literal text, or Any, or One.
type Part struct {
	Kind PartKind
	Text string // for Literal
}

// PartKind tells what a Part stands for.
type PartKind uint8

// The kinds of parts.
const (
	Literal PartKind = iota // Text
	Any                     // *: any characters, also none
	One                     // ?: one character
)

// A Field is a field as a query names it. The zero Field is the whole event.
type Field struct {
	Name  string // as written
	names []string
}

// NewField returns the field of the given name, which may be an alias.
func NewField(name string) Field {
	names := []string{name}
	if name == AnyIP {
		names = append(names, event.SrcIP, event.DstIP, event.HostIP, event.RelatedIP, event.SrcNATIP, event.DstNATIP)
	} else if c := event.Resolve(name); c != name {
		names = []string{c, name}
	}
	return Field{name, names}
}

// AnyIP is the alias for all address fields but peer_ip.
const AnyIP = "ip"

// Names returns the names under which an event may carry the field: the
// canonical ones and the name as written. It is empty for the whole event. The
// caller must not change it.
func (f Field) Names() []string {
	if f.names == nil && f.Name != "" {
		return NewField(f.Name).names
	}
	return f.names
}

// Whole tells whether f is the whole event.
func (f Field) Whole() bool { return f.Name == "" }

// Text tells whether f holds running text, in which words are searched.
func (f Field) Text() bool {
	switch event.Resolve(f.Name) {
	case "", event.Message, event.RawText:
		return true
	}
	return false
}

// Time tells whether f is one of the times that every event has.
func (f Field) Time() bool {
	switch event.Resolve(f.Name) {
	case event.Timestamp, event.IngestTime:
		return true
	}
	return false
}

// NewWildcard returns a Wildcard; neighbouring literals and stars are joined.
func NewWildcard(field Field, parts []Part) Wildcard {
	var joined []Part
	for _, p := range parts {
		if n := len(joined); n > 0 && joined[n-1].Kind == p.Kind && p.Kind != One {
			joined[n-1].Text += p.Text
			continue
		}
		joined = append(joined, p)
	}
	w := Wildcard{Field: field, Parts: joined}
	w.re = regexp.MustCompile(w.Pattern())
	return w
}
