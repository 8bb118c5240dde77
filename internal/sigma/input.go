package sigma

import (
	"slices"

	"github.com/kyra-mdr/kyra/internal/event"
)

// An Input is one event made ready for matching: its names numbered, its values
// folded when first asked for. One goroutine uses it.
type Input struct {
	table     *Names
	event     *event.Event
	names     []int32
	before    []numberedName // of the last event, by position: most events are like it
	layout    *Layout
	layouts   layouts
	arena     []byte // folded values
	folded    []span // by field
	epoch     uint32
	truncated bool
	pieces    int // of sixteen bytes or less, of all values
}

// A span is a piece of the arena, if it is of this epoch.
type span struct {
	epoch  uint32
	lo, hi int32
}

// NewInput returns an empty input. No name may be added to names any more.
func NewInput(names *Names) *Input {
	names.ready()
	return &Input{table: names}
}

// Set makes e the event. It stays in use until the next Set.
func (in *Input) Set(e *event.Event) {
	in.event = e
	in.truncated, in.pieces = false, 0
	if in.epoch++; in.epoch == 0 {
		clear(in.folded)
		in.epoch = 1
	}
	in.arena = in.arena[:0]
	if len(in.folded) < len(e.Fields) {
		in.folded = append(in.folded, make([]span, len(e.Fields)-len(in.folded))...)
	}
	in.names = in.names[:0]
	h := uint64(len(e.Fields))
	for len(in.before) < len(e.Fields) {
		in.before = append(in.before, numberedName{id: -1})
	}
	for i := range e.Fields {
		in.pieces += len(e.Fields[i].Value)/16 + 1
		name := e.Fields[i].Name
		id := in.before[i].id
		if in.before[i].name != name {
			id = in.table.number(name)
			in.before[i] = numberedName{name, id}
		}
		in.names = append(in.names, id)
		h = (h ^ uint64(uint32(id))) * 0x9E3779B97F4A7C15
	}
	in.layout = in.layouts.of(in.names, h^h>>32)
}

// Layout returns the layout of the event's fields.
func (in *Input) Layout() *Layout { return in.layout }

// Truncated tells whether a value that rules look at was longer than MaxValue.
func (in *Input) Truncated() bool { return in.truncated }

func (in *Input) raw(i int32) string {
	v := in.event.Fields[i].Value
	if len(v) > MaxValue {
		in.truncated = true
		return v[:MaxValue]
	}
	return v
}

// fold returns the folded value of field i.
func (in *Input) fold(i int32) []byte {
	f := &in.folded[i]
	if f.epoch != in.epoch {
		lo := len(in.arena)
		in.arena = appendFold(in.arena, in.raw(i))
		*f = span{in.epoch, int32(lo), int32(len(in.arena))}
	}
	return in.arena[f.lo:f.hi:f.hi]
}

// bytes returns the value of field i as it is.
func (in *Input) bytes(i int32) []byte {
	lo := len(in.arena)
	in.arena = append(in.arena, in.raw(i)...)
	return in.arena[lo:]
}

// A Layout is the numbers of the names of an event's fields in order, and what
// was found out about events that look so: most events of a source look alike.
type Layout struct {
	Names []int32 // -1: a name that no rule asks for
	// Route is the caller's, for what depends on the names only. It is empty where
	// Routed is false.
	Route  []int32
	Routed bool
	// Last is the caller's, what Route led to the last time, for values that stand
	// in Text up to Ends.
	Last any
	Text []byte
	Ends []int32

	hash  uint64
	plans []*plan
}

// layouts keeps the layouts that came more than once.
type layouts struct {
	seen  [512]uint64 // hashes of layouts that came once
	ways  [128][4]*Layout
	turn  uint8
	loose Layout // of an event whose layout is not kept
}

func (x *layouts) of(names []int32, hash uint64) *Layout {
	set := &x.ways[hash%uint64(len(x.ways))]
	for _, l := range set {
		if l != nil && l.hash == hash && slices.Equal(l.Names, names) {
			return l
		}
	}
	if s := &x.seen[hash>>7%uint64(len(x.seen))]; *s != hash {
		*s = hash
		x.loose.Names, x.loose.Routed, x.loose.Last = names, false, nil
		x.loose.plans = x.loose.plans[:0]
		return &x.loose
	}
	l := &Layout{Names: slices.Clone(names), hash: hash}
	set[x.turn%uint8(len(set))] = l
	x.turn++
	return l
}

// keeps tells whether l outlives the event.
func (x *layouts) keeps(l *Layout) bool { return l != &x.loose }
