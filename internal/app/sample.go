package app

import (
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A sample holds events such as arrive. Each that is added takes the place of another
// at random, so that new traffic prevails over old by and by.
type sample struct {
	mu   sync.Mutex
	list []event.Event
	rng  *rand.Rand
}

// Bounds of a sample: at most some 5 MiB, which is little beside the rules that it is for.
const (
	sampleEvents = 1_000
	sampleBytes  = 2 << 10 // of one event; longer ones are left out
	sampleFields = 100
)

func newSample() *sample {
	return &sample{rng: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // any will do
}

// add keeps a copy of e.
func (s *sample) add(e *event.Event) {
	size := len(e.Raw)
	for i := range e.Fields {
		size += len(e.Fields[i].Value)
	}
	if size > sampleBytes || len(e.Fields) > sampleFields {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := copyOf(e)
	if len(s.list) < sampleEvents {
		s.list = append(s.list, c)
		return
	}
	s.list[s.rng.IntN(sampleEvents)] = c
}

// copyOf returns e without its batch's memory: texts of a batch lie in few blocks, and
// one field would hold all of them.
func copyOf(e *event.Event) event.Event {
	c := *e
	c.Raw = strings.Clone(e.Raw)
	c.Fields = make([]event.Field, len(e.Fields))
	for i, f := range e.Fields {
		c.Fields[i] = event.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)}
	}
	return c
}

func (s *sample) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// events returns the sample, which nobody changes.
func (s *sample) events() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < minSample {
		return nil
	}
	return append([]event.Event(nil), s.list...)
}
