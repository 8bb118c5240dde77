package detect

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

// A detail is what findings take from one event, or from those that made another
// correlation fire. It is kept until a finding holds the event.
type detail struct {
	ids      []event.ID
	first    int64 // time of the earliest event
	source   string
	entities []alert.Entity
	values   []namedValue // of fields that descriptions name
}

type namedValue struct{ name, value string }

// maxDetailEntities bounds the entities that a detail keeps of one event.
const maxDetailEntities = 16

// A capture says what details keep of an event.
type capture struct {
	source   string // "" = that of the event
	entities []fieldRef
	values   []fieldRef
}

func newCapture(k *correlation, source string, names func(string) []string) capture {
	return capture{source: source, entities: fieldRefs(k.entities, names), values: fieldRefs(k.capture, names)}
}

// of copies what c keeps of e.
func (c *capture) of(e *event.Event) *detail {
	d := &detail{ids: []event.ID{e.ID}, first: e.Time, source: c.source}
	if d.source == "" {
		d.source = strings.Clone(short(e.Get(event.Source)))
	}
	for i := range c.entities {
		f := &c.entities[i]
		f.each(e, func(v string) {
			if len(d.entities) < maxDetailEntities {
				d.addEntity(f.name, strings.Clone(short(v)))
			}
		})
	}
	for i := range c.values {
		if v, ok := c.values[i].lookup(e); ok {
			d.addValue(c.values[i].name, strings.Clone(short(v)))
		}
	}
	return d
}

func (d *detail) addEntity(name, value string) {
	t := entityType(name, value)
	if t == "" || value == "" {
		return
	}
	x := alert.Entity{Type: t, Field: event.Resolve(name), Value: value}
	if !slices.Contains(d.entities, x) {
		d.entities = append(d.entities, x)
	}
}

func (d *detail) addValue(name, value string) {
	if x := (namedValue{name, value}); value != "" && !slices.Contains(d.values, x) {
		d.values = append(d.values, x)
	}
}

// merge adds what o holds, within bounds.
func (d *detail) merge(o *detail) {
	if len(d.ids) == 0 || o.first < d.first {
		d.first = o.first
	}
	if room := maxDetails - len(d.ids); room > 0 {
		d.ids = append(d.ids, o.ids[:min(room, len(o.ids))]...)
	}
	if d.source == "" {
		d.source = o.source
	}
	for _, e := range o.entities {
		if len(d.entities) < alert.MaxValues && !slices.Contains(d.entities, e) {
			d.entities = append(d.entities, e)
		}
	}
	for _, v := range o.values {
		if len(d.values) < alert.MaxValues && !slices.Contains(d.values, v) {
			d.values = append(d.values, v)
		}
	}
}
