package detect

import (
	"slices"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A fieldRef is a field with the names under which an event may have it.
type fieldRef struct {
	name       string
	candidates []string
}

func (f *fieldRef) lookup(e *event.Event) (string, bool) {
	if i := f.first(e); i >= 0 {
		return e.Fields[i].Value, true
	}
	return "", false
}

// first returns the index of the first value that e has, or -1. Events have many
// fields and a field many names: most are told apart by their length.
func (f *fieldRef) first(e *event.Event) int {
	lengths := uint64(0)
	for _, name := range f.candidates {
		lengths |= 1 << (len(name) & 63)
	}
	found, names := -1, f.candidates
	for i := range e.Fields {
		name := e.Fields[i].Name
		if lengths>>(len(name)&63)&1 == 0 {
			continue
		}
		if rank := slices.Index(names, name); rank >= 0 {
			found, names = i, names[:rank] // only a better name counts from here on
		}
	}
	return found
}

// A finder remembers where the event under way has the fields that were asked for:
// the rules that match one event mostly ask for the same. That of nil remembers
// nothing.
type finder struct {
	event *event.Event
	known []foundField
}

type foundField struct {
	candidates *string // the first: rules of a log source share the lists, see sharedNames
	first      int
}

// maxKnown bounds what a finder remembers; it is looked through one by one.
const maxKnown = 16

// begin makes e the event.
func (x *finder) begin(e *event.Event) { x.event, x.known = e, x.known[:0] }

// first is that of f.
func (x *finder) first(f *fieldRef, e *event.Event) int {
	if x == nil || x.event != e || len(f.candidates) == 0 {
		return f.first(e)
	}
	key := &f.candidates[0]
	for i := range x.known {
		if x.known[i].candidates == key {
			return x.known[i].first
		}
	}
	at := f.first(e)
	if len(x.known) < maxKnown {
		x.known = append(x.known, foundField{key, at})
	}
	return at
}

func (x *finder) lookup(f *fieldRef, e *event.Event) (string, bool) {
	if i := x.first(f, e); i >= 0 {
		return e.Fields[i].Value, true
	}
	return "", false
}

// each calls do with each value of f that e has.
func (x *finder) each(f *fieldRef, e *event.Event, do func(string)) {
	first := x.first(f, e)
	if first < 0 {
		return
	}
	name := e.Fields[first].Name
	for i := first; i < len(e.Fields); i++ {
		if e.Fields[i].Name == name {
			do(e.Fields[i].Value)
		}
	}
}

// each calls do with each value that e has.
func (f *fieldRef) each(e *event.Event, do func(string)) { (*finder)(nil).each(f, e, do) }

// sharedNames is names with one list for each field.
func sharedNames(names func(string) []string) func(string) []string {
	lists := map[string][]string{}
	return func(field string) []string {
		list, ok := lists[field]
		if !ok {
			list = slices.Clip(names(field))
			lists[field] = list
		}
		return list
	}
}
