package detect

import (
	"encoding/binary"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// KnownLogSources returns the log sources that KYRA has a definition of, in their
// order in the table.
func KnownLogSources() []sigma.LogSource {
	var out []sigma.LogSource
	for _, e := range loadTable().Sources {
		out = append(out, sigma.LogSource{Product: e.Product, Category: e.Category, Service: e.Service})
	}
	return out
}

// A Sorter tells which log sources an event belongs to, by the conditions by which
// rules are routed, without any rule. One goroutine.
type Sorter struct {
	feeds   map[string][]sorterFeed // name of a field → the slots that it fills
	sources [][]sorterCondition     // all must hold
	values  []*string               // of the slots
	ranks   []int
	key     []byte
	classes map[string][]int32 // values of the slots → sources
	large   []int32            // of the last event that was not worth keeping
}

// sorterFeed says that a name is the rank-th spelling of a slot's field.
type sorterFeed struct{ slot, rank int }

type sorterCondition [][]sorterTest // one alternative, all its tests

type sorterTest struct {
	slot int
	test test
}

// NewSorter returns a Sorter that answers with indexes of sources.
func NewSorter(sources []sigma.LogSource) *Sorter {
	t := loadTable()
	s := &Sorter{feeds: map[string][]sorterFeed{}, classes: map[string][]int32{}}
	slots := map[string]int{}
	slot := func(field string) int {
		n, ok := slots[field]
		if ok {
			return n
		}
		n = len(slots)
		slots[field] = n
		spellings := t.Spellings[field]
		if len(spellings) == 0 {
			spellings = []string{field}
		}
		for rank, name := range spellings {
			s.feeds[name] = append(s.feeds[name], sorterFeed{n, rank})
		}
		return n
	}
	for _, l := range sources {
		source := t.resolve(l)
		var needs []sorterCondition
		for _, c := range source.needs {
			var out sorterCondition
			for _, tests := range c {
				var alternative []sorterTest
				for _, x := range tests {
					alternative = append(alternative, sorterTest{slot(x.field), x})
				}
				out = append(out, alternative)
			}
			needs = append(needs, out)
		}
		s.sources = append(s.sources, needs)
	}
	s.values, s.ranks = make([]*string, len(slots)), make([]int, len(slots))
	return s
}

// Sources returns the indexes of the log sources that e belongs to. They are good
// until the next call.
func (s *Sorter) Sources(e *event.Event) []int32 {
	clear(s.values)
	for i := range e.Fields {
		f := &e.Fields[i]
		for _, feed := range s.feeds[f.Name] {
			if s.values[feed.slot] == nil || feed.rank < s.ranks[feed.slot] {
				s.values[feed.slot], s.ranks[feed.slot] = &f.Value, feed.rank
			}
		}
	}
	s.key = s.key[:0]
	for i, v := range s.values {
		if v == nil {
			continue
		}
		s.key = binary.AppendUvarint(s.key, uint64(i))
		s.key = binary.AppendUvarint(s.key, uint64(len(*v)))
		s.key = append(s.key, *v...)
		if len(s.key) > maxClassKey {
			s.large = s.evaluate(s.large[:0])
			return s.large
		}
	}
	sources, ok := s.classes[string(s.key)]
	if !ok {
		sources = s.evaluate(nil)
		if len(s.classes) >= maxClasses {
			clear(s.classes)
		}
		s.classes[string(s.key)] = sources
	}
	return sources
}

func (s *Sorter) evaluate(dst []int32) []int32 {
next:
	for i, needs := range s.sources {
		for _, c := range needs {
			if !s.holds(c) {
				continue next
			}
		}
		dst = append(dst, int32(i))
	}
	return dst
}

func (s *Sorter) holds(c sorterCondition) bool {
next:
	for _, alternative := range c {
		for i := range alternative {
			x := &alternative[i]
			if v := s.values[x.slot]; v == nil || !x.test.holds(*v) {
				continue next
			}
		}
		return true
	}
	return false
}
