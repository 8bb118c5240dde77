package sigma

import "github.com/kyra-mdr/kyra/internal/event"

// An Input is one event made ready for matchers: its names resolved, its values
// folded when first asked for. One goroutine uses it.
type Input struct {
	table  *Names
	event  *event.Event
	names  []int32
	same   []int32 // by field: the first with an equal long value, mostly itself
	long   []int32 // those that are long
	arena  []byte  // folded values
	folded []span  // by field
	epoch  uint32
}

// A span is a piece of the arena, if it is of this epoch.
type span struct {
	epoch  uint32
	lo, hi int32
}

// NewInput returns an empty input for matchers compiled with names.
func NewInput(names *Names) *Input { return &Input{table: names} }

// minSame is from which length on equal values are worth finding: canonical fields
// repeat native ones, and to fold and scan them once is enough. maxLong bounds the
// search.
const (
	minSame = 24
	maxLong = 64
)

// Set makes e the event. It stays in use until the next Set.
func (in *Input) Set(e *event.Event) {
	in.event = e
	if in.epoch++; in.epoch == 0 {
		clear(in.folded)
		in.epoch = 1
	}
	in.arena = in.arena[:0]
	if len(in.folded) < len(e.Fields) {
		in.folded = append(in.folded, make([]span, len(e.Fields)-len(in.folded))...)
	}
	in.names = in.table.resolve(e, in.names[:0])
	in.findSame()
}

// Names returns the number of each field's name, -1 for names that no matcher
// asks for.
func (in *Input) Names() []int32 { return in.names }

func (in *Input) findSame() {
	in.same, in.long = in.same[:0], in.long[:0]
	for i := range in.event.Fields {
		first := int32(i)
		if v := in.event.Fields[i].Value; len(v) >= minSame {
			for _, j := range in.long {
				if in.event.Fields[j].Value == v {
					first = j
					break
				}
			}
			if first == int32(i) && len(in.long) < maxLong {
				in.long = append(in.long, first)
			}
		}
		in.same = append(in.same, first)
	}
}

func (in *Input) raw(i int32) string { return clip(in.event.Fields[i].Value) }

// fold returns the folded value of field i.
func (in *Input) fold(i int32) []byte {
	f := &in.folded[i]
	if f.epoch != in.epoch {
		lo := len(in.arena)
		in.arena = appendFold(in.arena, in.raw(i))
		*f = span{in.epoch, int32(lo), int32(len(in.arena))}
	}
	return in.arena[f.lo:f.hi]
}

// bytes returns the value of field i as it is.
func (in *Input) bytes(i int32) []byte {
	lo := len(in.arena)
	in.arena = append(in.arena, in.raw(i)...)
	return in.arena[lo:]
}
