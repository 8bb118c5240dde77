package logsource

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// MaxTried is how many records one Try takes.
const MaxTried = 1000

// A Trial is records to be parsed as if they had just come in.
type Trial struct {
	Records      []string
	Source       string       // hint, as senders give it
	Input, Key   string       // how they are to have come
	Host         string       // of the sender; what stands in a record goes first
	Zone         string       // of times without one; "": the server's
	Settings     []Definition // tried before those of the tenant
	WithoutSaved bool         // leave the tenant's settings out
}

// Tried is what became of one record.
type Tried struct {
	Event event.Event
	parse.Explanation
}

// Try parses records exactly as the pipeline does and keeps nothing. f gets each in
// order; what it gets is valid during the call alone.
func (s *Service) Try(ctx context.Context, tenant uint32, t *Trial, f func(*Tried)) error {
	if len(t.Records) == 0 || len(t.Records) > MaxTried {
		return fault.New(fault.Invalid, "Allowed: 1 to %d records", MaxTried).In("lines")
	}
	zone := s.options.Zone
	if t.Zone != "" {
		var err error
		if zone, err = ParseZone(t.Zone); err != nil {
			return fault.New(fault.Invalid, "Allowed: a name such as Europe/Berlin or an offset such as +09:00").In("zone")
		}
	}
	set, err := s.trialSettings(ctx, tenant, t.Settings, t.WithoutSaved)
	if err != nil {
		return err
	}
	p := parse.New(parse.Options{})
	now := s.options.Now().UnixNano()
	var x Tried
	for _, raw := range t.Records {
		r := parse.Record{Tenant: tenant, Raw: raw, Arrived: now, Peer: t.Host, Source: t.Source, Input: t.Input, Key: t.Key, Zone: zone, Settings: set}
		x.Explanation = p.ParseExplain(&r, &x.Event)
		f(&x)
	}
	return nil
}

// trialSettings puts definitions before the saved settings.
func (s *Service) trialSettings(ctx context.Context, tenant uint32, tried []Definition, without bool) (*parse.Settings, error) {
	const most = 20
	if len(tried) > most {
		return nil, fault.New(fault.Invalid, "Allowed: up to %d settings", most).In("settings")
	}
	var list []parse.Setting
	for i := range tried {
		x, err := tried[i].Setting("trial")
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	if !without {
		saved, err := s.Settings(ctx, tenant)
		if err != nil {
			return nil, err
		}
		for i := range saved {
			if x, err := saved[i].Setting(saved[i].ID); err == nil && saved[i].Enabled {
				list = append(list, x)
			}
		}
	}
	return parse.NewSettings(list), nil
}

// A Difference is what a setting would change in one field over some events.
type Difference struct {
	Field                   string
	Added, Removed, Changed int
	Before, After           string // of the first event in which it differs
}

// Preview tells what a definition would change in stored events of a source, whatever
// it says which records it is for. changed counts the events in which anything would.
func (s *Service) Preview(ctx context.Context, tenant uint32, source *Source, d Definition, events []event.Event) (differences []Difference, changed int, err error) {
	d.Source, d.Host, d.Program, d.Input, d.Token, d.Collector = "", "", "", "", "", ""
	before, err := s.trialSettings(ctx, tenant, nil, false)
	if err != nil {
		return nil, 0, err
	}
	after, err := s.trialSettings(ctx, tenant, []Definition{d}, false)
	if err != nil {
		return nil, 0, err
	}
	first, second := parse.New(parse.Options{}), parse.New(parse.Options{})
	found := map[string]*Difference{}
	var a, b event.Event
	for i := range slices.Backward(events) { // the oldest first, as they came
		e := &events[i]
		raw := e.Raw
		if raw == "" {
			raw = rebuilt(e)
		}
		r := parse.Record{Tenant: tenant, Raw: raw, Arrived: e.Arrived, Peer: e.Get(event.PeerIP), Input: source.Input, Key: source.Key, Zone: s.options.Zone, Settings: before}
		first.Parse(&r, &a)
		r.Settings = after
		second.Parse(&r, &b)
		if compare(found, &a, &b) {
			changed++
		}
	}
	for _, x := range found {
		differences = append(differences, *x)
	}
	slices.SortFunc(differences, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(y.Added+y.Removed+y.Changed, x.Added+x.Removed+x.Changed), cmp.Compare(x.Field, y.Field))
	})
	const most = 200
	return differences[:min(len(differences), most)], changed, nil
}

// rebuilt makes the JSON object again of which an event was made: event stores keep
// its fields, and only the archive its text.
func rebuilt(e *event.Event) string {
	object := map[string]any{"@timestamp": time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano)}
	for i := range e.Fields {
		name, value := e.Fields[i].Name, e.Fields[i].Value
		native, had := strings.CutPrefix(name, event.NativePrefix)
		if event.IsCanonical(name) && !had && name != event.Host && name != event.Program && name != event.Message {
			continue
		}
		switch v := object[native].(type) {
		case nil:
			object[native] = value
		case string:
			object[native] = []string{v, value}
		case []string:
			object[native] = append(v, value)
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return "" // texts always marshal
	}
	return string(text)
}

func compare(found map[string]*Difference, a, b *event.Event) (differ bool) {
	had, has := valuesOf(a), valuesOf(b)
	note := func(name, before, after string) *Difference {
		differ = true
		if found[name] == nil {
			found[name] = &Difference{Field: name, Before: short(before), After: short(after)}
		}
		return found[name]
	}
	for name, v := range had {
		if w, ok := has[name]; !ok {
			note(name, v, "").Removed++
		} else if v != w {
			note(name, v, w).Changed++
		}
	}
	for name, w := range has {
		if _, ok := had[name]; !ok {
			note(name, "", w).Added++
		}
	}
	return differ
}

func valuesOf(e *event.Event) map[string]string {
	m := map[string]string{event.Timestamp: time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano)}
	for i := range e.Fields {
		f := &e.Fields[i]
		if had, ok := m[f.Name]; ok {
			m[f.Name] = had + ", " + f.Value
		} else {
			m[f.Name] = f.Value
		}
	}
	return m
}

func short(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
