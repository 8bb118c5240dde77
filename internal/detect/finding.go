package detect

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A report says what the findings of a rule take from its events.
type report struct {
	prototype  alert.Finding // what is the same in all of them
	source     string        // "" = that of the event
	key        []fieldRef    // all that the event has make the key
	keyIsFirst bool          // only the first that the event has
	entities   []fieldRef
	values     []fieldRef
}

// maxText bounds keys, entities and values that findings carry, in bytes.
const maxText = 1024

// newReport resolves what d reports in events whose fields have the given names.
func newReport(d *sigma.Document, names func(string) []string) report {
	refs := func(fields []string) []fieldRef { return fieldRefs(fields, names) }
	r := report{
		source:   d.Kyra.Source,
		key:      refs(d.Kyra.Entity),
		entities: refs(d.Kyra.Entities),
		prototype: alert.Finding{
			Title:       d.Title,
			Severity:    d.Severity(),
			Description: d.Kyra.Description,
		},
	}
	if len(d.Kyra.Entity) == 0 {
		r.key, r.keyIsFirst = refs([]string{event.SrcIP, event.User, event.Host}), true
	}
	if len(d.Kyra.Entities) == 0 {
		r.entities = refs([]string{event.SrcIP, event.User, event.Host, event.DstIP})
	}
	if r.prototype.Description == "" { // braces in foreign text must not become fields
		r.prototype.Description = strings.NewReplacer("{", "(", "}", ")").Replace(d.Title)
	}
	r.values = refs(sigma.TemplateFields(r.prototype.Description))
	if t := d.Tactics(); len(t) > 0 {
		r.prototype.Tactic = t[0]
	}
	if t := d.Techniques(); len(t) > 0 {
		r.prototype.Technique = t[0]
	}
	return r
}

// keyOf appends the key that e has, such as "src_ip=10.0.1.55".
func (r *report) keyOf(e *event.Event, at *finder, dst []byte) []byte {
	for i := range r.key {
		if v, ok := at.lookup(&r.key[i], e); ok && v != "" {
			dst = appendKey(dst, r.key[i].name, v)
			if r.keyIsFirst {
				break
			}
		}
	}
	return dst
}

func appendKey(dst []byte, name, value string) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, name...)
	dst = append(dst, '=')
	return append(dst, short(value)...)
}

// short cuts s to what findings carry.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func fieldRefs(fields []string, names func(string) []string) []fieldRef {
	var out []fieldRef
	for _, n := range fields {
		out = append(out, fieldRef{n, names(n)})
	}
	return out
}

// entityType tells what a value of a field is, "" where that is none of the types
// that alerts list.
func entityType(field, value string) string {
	switch name := event.Resolve(field); name {
	case event.SrcHost, event.DstHost, event.Host, event.RelatedHost:
		if _, err := netip.ParseAddr(value); err == nil {
			return "ip"
		}
		return "host"
	case event.User, event.TargetUser, event.SrcUser, event.RelatedUser:
		return "user"
	case event.Domain, event.DNSQuery, event.TLSSNI:
		return "domain"
	case event.HashMD5, event.HashSHA256, event.JA3:
		return "hash"
	case event.FilePath, event.RegistryPath:
		return "file"
	case event.ProcessPath, event.ParentPath, event.Program, event.Cmdline:
		return "process"
	default:
		if event.Address(name) {
			return "ip"
		}
		return nativeEntityType(strings.ToLower(name), value)
	}
}

// nativeEntityType guesses from the name of a field that is not ours.
func nativeEntityType(name, value string) string {
	if _, err := netip.ParseAddr(value); err == nil {
		return "ip"
	}
	for _, g := range []struct{ part, kind string }{
		{"hash", "hash"},
		{"md5", "hash"},
		{"sha256", "hash"},
		{"filename", "file"},
		{"targetobject", "file"},
		{"image", "process"},
		{"process", "process"},
		{"commandline", "process"},
		{"user", "user"},
		{"account", "user"},
		{"actor", "user"},
		{"host", "host"},
		{"computer", "host"},
		{"domain", "domain"},
		{"queryname", "domain"},
	} {
		if strings.Contains(name, g.part) {
			return g.kind
		}
	}
	return ""
}

// A pendingFinding grows until the batch ends.
type pendingFinding struct {
	alert.Finding
	set   *Ruleset
	timed bool            // First and Last are set
	other *pendingFinding // of the same rule and key, at another time
}

// grow joins n happenings at a time to f.
func (f *pendingFinding) grow(at, n int64) {
	if !f.timed {
		f.First, f.Last, f.timed = at, at, true
	}
	f.First, f.Last = min(f.First, at), max(f.Last, at)
	f.Count += n
}

// addDetail joins what was kept of earlier events.
func (f *pendingFinding) addDetail(at, n int64, d *detail, r *report) {
	f.grow(at, n)
	f.First = min(f.First, d.first)
	f.Events = append(f.Events, d.ids...)
	f.Source = cmp.Or(f.Source, r.source, d.source)
	for _, e := range d.entities {
		if r.shows(e.Field) {
			f.addEntity(e.Type, e.Field, e.Value)
		}
	}
	for _, v := range d.values {
		if slices.ContainsFunc(r.values, func(x fieldRef) bool { return x.name == v.name }) {
			f.addValue(v.name, v.value)
		}
	}
}

// shows tells whether findings list entities of the canonical field.
func (r *report) shows(field string) bool {
	return slices.ContainsFunc(r.entities, func(x fieldRef) bool { return event.Resolve(x.name) == field })
}

// addEvent joins e; it copies only what f does not have yet.
func (f *pendingFinding) addEvent(e *event.Event, at *finder, n int64, r *report) {
	f.grow(e.Time, n)
	f.Events = append(f.Events, e.ID)
	if f.Source == "" {
		f.Source = r.source
		if f.Source == "" {
			f.Source = strings.Clone(short(e.Get(event.Source)))
		}
	}
	for i := range r.entities {
		x := &r.entities[i]
		at.each(x, e, func(v string) {
			if t := entityType(x.name, v); t != "" {
				f.addEntity(t, event.Resolve(x.name), short(v))
			}
		})
	}
	for i := range r.values {
		if v, ok := at.lookup(&r.values[i], e); ok {
			f.addValue(r.values[i].name, short(v))
		}
	}
}

func (f *pendingFinding) addEntity(kind, field, value string) {
	e := alert.Entity{Type: kind, Field: field, Value: value}
	if value != "" && len(f.Entities) < alert.MaxValues && !slices.Contains(f.Entities, e) {
		e.Value = strings.Clone(value)
		f.Entities = append(f.Entities, e)
	}
}

// addValue adds a value of a field of the template.
func (f *pendingFinding) addValue(name, v string) {
	if v == "" {
		return
	}
	if have := f.Values[name]; len(have) < alert.MaxValues && !slices.Contains(have, v) {
		if f.Values == nil {
			f.Values = map[string][]string{}
		}
		f.Values[name] = append(have, strings.Clone(v))
	}
}
