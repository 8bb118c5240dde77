package hunt

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// hold keeps a match until all files are read, or as many as there is room for.
func (h *hunt) hold(m match) {
	h.held = append(h.held, m)
	if h.heldSize += m.size; h.heldSize > h.MaxHeld {
		if !h.unsorted {
			h.unsorted = true
			h.warn("more events match than can be held to put them in order of time: correlations over several files may count too little; give fewer files, a period, or rules that match less")
		}
		h.detect()
	}
}

// detectSize is how many matches are a batch for the detector.
const detectSize = 2048

// detect puts what is held in order of time and lets correlations count it.
func (h *hunt) detect() {
	if h.detector == nil {
		h.detector = detect.New(func(uint32) *detect.Ruleset { return h.Rules })
	}
	slices.SortStableFunc(h.held, func(a, b match) int { return cmp.Compare(a.event.Time, b.event.Time) })
	for len(h.held) > 0 {
		part := h.held[:min(len(h.held), h.step())]
		events := make(map[event.ID]*event.Event, len(part))
		for i := range part {
			e := &part[i].event
			e.Arrived = e.Time // idle groups go by what the logs say, not by today
			events[e.ID] = e
			h.detector.Apply(e, part[i].hits, nil)
		}
		h.detector.EndBatch(func(f *alert.Finding) { h.add(f, events) })
		h.held = h.held[len(part):]
	}
	h.held, h.heldSize = nil, 0
}

// finish ends the windows that the recording outlasts.
func (h *hunt) finish() {
	h.detect()
	h.detector.Apply(&event.Event{Time: h.newest, Arrived: h.newest}, nil, nil)
	h.detector.Flush()
	h.detector.EndBatch(func(f *alert.Finding) { h.add(f, nil) })
}

func (h *hunt) step() int {
	if h.Each {
		return 1
	}
	return detectSize
}

// add joins a finding to an earlier one of the same rule and entity, as alerts are.
func (h *hunt) add(f *alert.Finding, events map[event.ID]*event.Event) {
	const window = int64(24 * time.Hour)
	places := make([]Place, 0, min(len(f.Events), alert.MaxEvents))
	for _, id := range f.Events[:min(len(f.Events), alert.MaxEvents)] {
		places = append(places, Place{h.files[id.Seq], int(id.Index)})
	}
	key := cmp.Or(f.Rule.ID, f.Title) + "\x00" + f.Key
	if !h.Each {
		for _, g := range h.findings[key] {
			if f.First-g.First < window && g.First-f.Last < window {
				g.join(f, places)
				return
			}
		}
	}
	g := &Finding{Finding: *f, Document: h.byID[cmp.Or(f.Rule.ID, f.Title)], Places: places}
	for _, id := range f.Events {
		if e := events[id]; e != nil {
			g.Host = strings.Clone(e.Get(event.Host))
			g.Details = details(e, g.Document)
			break
		}
	}
	g.Events = nil // Places names them
	if !h.Each {
		h.findings[key] = append(h.findings[key], g)
	}
	h.result.Findings = append(h.result.Findings, g)
}

func (f *Finding) join(more *alert.Finding, places []Place) {
	f.Count += more.Count
	f.First, f.Last = min(f.First, more.First), max(f.Last, more.Last)
	if room := alert.MaxEvents - len(f.Places); room > 0 {
		f.Places = append(f.Places, places[:min(len(places), room)]...)
	}
	for _, e := range more.Entities {
		if !slices.Contains(f.Entities, e) && len(f.Entities) < alert.MaxValues {
			f.Entities = append(f.Entities, e)
		}
	}
	for name, values := range more.Values {
		for _, v := range values {
			if have := f.Values[name]; !slices.Contains(have, v) && len(have) < alert.MaxValues {
				if f.Values == nil {
					f.Values = map[string][]string{}
				}
				f.Values[name] = append(have, v)
			}
		}
	}
}

// telling are the fields that say most of an event, where the rule names none.
var telling = []string{
	"Image", "CommandLine", "ParentImage", "ParentCommandLine", "TargetFilename", "TargetObject", "Details", "ImageLoaded", "PipeName",
	"SourceImage", "TargetImage", "GrantedAccess", "DestinationIp", "DestinationPort", "QueryName", "ServiceName", "ServiceFileName", "ImagePath", "TaskName",
	"ScriptBlockText", "TargetUserName", "LogonType", "IpAddress", "eventName",
	event.User, event.SrcIP, event.DstIP, event.DstPort, event.Cmdline, event.ProcessPath, event.URL, event.HTTPStatus, event.Action, event.Outcome,
}

const (
	maxDetails = 8
	maxDetail  = 500 // bytes
)

// details picks what an event says that matters to a rule.
func details(e *event.Event, d *sigma.Document) []event.Field {
	var out []event.Field
	add := func(name string) {
		v, ok := e.Lookup(name)
		if !ok || v == "" || v == "-" || len(out) >= maxDetails || slices.ContainsFunc(out, func(f event.Field) bool { return f.Name == name || f.Value == v }) {
			return
		}
		out = append(out, event.Field{Name: name, Value: cut(v, maxDetail)})
	}
	if d != nil {
		for _, name := range d.Fields {
			add(name)
		}
	}
	for _, name := range telling {
		add(name)
	}
	if len(out) < 3 {
		add(event.Message)
	}
	return out
}

// cut copies the beginning of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return strings.Clone(s)
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
