package eventstore

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/query"
)

// Size returns what MaxEventBytes limits: the bytes of names, values and text,
// the message counted once where the raw text ends in it, and the raw text of
// JSON not at all where it is not kept.
func Size(e *event.Event) int {
	n, once := len(e.Raw), false
	for i := range e.Fields {
		f := &e.Fields[i]
		n += len(f.Name) + len(f.Value)
		if f.Name != event.Message || once {
			continue
		}
		once = true
		switch {
		case query.IsJSON(e.Raw):
			n -= len(e.Raw)
		case strings.HasSuffix(e.Raw, f.Value):
			n -= len(f.Value)
		}
	}
	return n
}

// Fit returns e if it is within limit bytes; else, and false, a copy that is:
// without the raw text of JSON, which the fields repeat, and with values cut
// or left out from where the limit is reached on.
func Fit(e *event.Event, limit int) (*event.Event, bool) {
	if Size(e) <= limit {
		return e, true
	}
	c := *e
	c.Fields = append([]event.Field(nil), e.Fields...)
	c.Tag(event.TagFieldsCut)
	if query.IsJSON(e.Raw) {
		c.Raw = ""
		if Size(&c) <= limit {
			return &c, false
		}
	}
	left := limit
	take := func(s string) string {
		s = s[:min(len(s), max(left, 0))]
		left -= len(s)
		return s
	}
	c.Raw = take(c.Raw)
	kept := c.Fields[:0]
	for _, f := range c.Fields {
		switch {
		case f.Name == event.Tags:
		case f.Name == event.Message && strings.HasSuffix(e.Raw, f.Value):
			f.Value = f.Value[:max(0, len(c.Raw)-(len(e.Raw)-len(f.Value)))]
		case left <= len(f.Name):
			continue
		default:
			left -= len(f.Name)
			f.Value = take(f.Value)
		}
		kept = append(kept, f)
	}
	c.Fields = kept
	return &c, false
}
