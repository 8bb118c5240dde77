package intel

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

// The fields that an event gets that carries an indicator, for rules and searches; each
// has one value for each indicator. Names follow ECS where it has one.
const (
	FieldName       = "threat.indicator.name" // its value
	FieldType       = "threat.indicator.type"
	FieldProvider   = "threat.indicator.provider" // its source
	FieldConfidence = "threat.indicator.confidence"
	FieldSeverity   = "threat.indicator.severity"
	FieldMatched    = "threat.indicator.field" // of the event, where it stands
	FieldTag        = "threat.indicator.tag"
)

// Thresholds say from which confidence on an indicator of a severity raises an alert
// when it is seen; over 100: never. The keys are event.Severities.
type Thresholds map[string]int

// Never is a threshold that no confidence reaches.
const Never = 101

// StandardThresholds are those of a tenant that has set none.
func StandardThresholds() Thresholds {
	return Thresholds{"critical": 30, "high": 50, "medium": 60, "low": 80, "info": Never}
}

// A sight is an indicator in an event, ready to be told.
type sight struct {
	indicatorType Type
	value         string
	field         string
	confidence    int
	severity      string // of the strongest indicator of that value
	sources       []string
	tags          []string
}

// Enrich looks for the tenant's indicators in e. An event that carries one gets the
// fields above, and emit is given a finding for each indicator; findings that are only
// to be counted are Staged. It is safe for use by several goroutines.
func (s *Snapshot) Enrich(e *event.Event, emit func(*alert.Finding)) {
	if len(s.entries) == 0 {
		return
	}
	l := look{s: s, e: e}
	l.run()
	for i := range l.n {
		h := l.hits[i]
		if found, ok := s.sight(h, e.Arrived); ok {
			found.enrich(e)
			f := s.finding(e, &found)
			emit(&f)
		}
	}
}

// sight gathers all valid indicators of a hit's value.
func (s *Snapshot) sight(h hit, at int64) (sight, bool) {
	out := sight{field: h.field}
	best := 0
	for next := h.entry + 1; next != 0; next = s.entries[next-1].next {
		e := &s.entries[next-1]
		if !e.valid(at) {
			continue
		}
		if weight := int(e.severity)*1000 + int(e.confidence); best == 0 || weight > best {
			best = weight
			out.severity, out.confidence = event.Severities[len(event.Severities)-int(e.severity)], int(e.confidence)
			out.indicatorType, out.value = typeOf[e.class], s.value(e)
		}
		if name := s.sources[e.source]; !slices.Contains(out.sources, name) {
			out.sources = append(out.sources, name)
		}
		for _, tag := range s.tags[e.tags] {
			if !slices.Contains(out.tags, tag) {
				out.tags = append(out.tags, tag)
			}
		}
	}
	slices.Sort(out.sources)
	return out, best > 0
}

func (x *sight) enrich(e *event.Event) {
	e.Add(FieldName, x.value)
	e.Add(FieldType, string(x.indicatorType))
	for _, source := range x.sources {
		e.Add(FieldProvider, source)
	}
	e.Add(FieldConfidence, strconv.Itoa(x.confidence))
	e.Add(FieldSeverity, x.severity)
	e.Add(FieldMatched, x.field)
	for _, tag := range x.tags {
		e.Add(FieldTag, tag)
	}
}

// refused tells whether our side turned the indicator away: it came from outside and
// was not let in.
func refused(e *event.Event, field string) bool {
	if field != event.SrcIP && field != event.SrcHost && field != event.RelatedIP {
		return false
	}
	switch strings.ToLower(e.Get(event.Action)) {
	case "deny", "drop", "block", "reject", "denied", "dropped", "blocked", "rejected":
		return true
	}
	return false
}

// finding words what was seen. What the firewall turned away is of low severity at
// most: the Internet is full of it.
func (s *Snapshot) finding(e *event.Event, x *sight) alert.Finding {
	severity, key := x.severity, "indicator="+x.value
	if refused(e, x.field) {
		key += " refused" // an alert of its own: what got through must not hide in it
		if event.SeverityRank(severity) > event.SeverityRank("low") {
			severity = "low"
		}
	}
	label := labels[x.indicatorType]
	title := "Known Bad " + strings.ToUpper(label[:1]) + label[1:] + " Seen"
	f := alert.Finding{
		Tenant: e.Tenant,
		Rule:   alert.RuleRef{ID: ruleIDs[x.indicatorType], Name: "Threat intelligence: " + string(x.indicatorType), Author: "KYRA", Origin: "builtin", Version: 1},
		Title:  title, Severity: severity, Source: e.Get(event.Source), Tactic: tacticOf(x), Technique: techniqueOf(x),
		Description: "The " + label + " {indicator}, known from {indicator_source} with confidence {indicator_confidence}, stands in {indicator_field} of {count} {count:event|events} of {host}.",
		Values: map[string][]string{
			valueIndicator: {x.value}, "indicator_source": x.sources, "indicator_confidence": {strconv.Itoa(x.confidence)}, "indicator_field": {x.field}, event.Host: {orText(e.Get(event.Host), "a host without a name")},
		},
		Key:      key,
		Entities: entitiesOf(e, x), First: e.Time, Last: e.Time, Count: 1, Events: []event.ID{e.ID},
		Staged: x.confidence < s.thresholds[severity],
	}
	return f
}

const valueIndicator = "indicator"

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// tacticOf says what the contact most likely means.
func tacticOf(x *sight) string {
	switch x.field {
	case event.SrcIP, event.SrcHost:
		return "initial-access"
	}
	switch x.indicatorType {
	case MD5, SHA1, SHA256:
		return "execution"
	case Email:
		return "initial-access"
	}
	return "command-and-control"
}

func techniqueOf(x *sight) string {
	switch tacticOf(x) {
	case "command-and-control":
		return "T1071"
	case "execution":
		return "T1204"
	}
	if x.indicatorType == Email {
		return "T1566"
	}
	return "T1190"
}

// entitiesOf names host, user and address on our side, and last the indicator itself.
func entitiesOf(e *event.Event, x *sight) []alert.Entity {
	var all []alert.Entity
	add := func(kind, field string) {
		v := e.Get(field)
		if v == "" || v == "-" || len(all) >= 8 || field == x.field {
			return
		}
		for _, have := range all {
			if have.Value == v {
				return
			}
		}
		all = append(all, alert.Entity{Type: kind, Field: field, Value: v})
	}
	add("host", event.Host)
	add("user", event.User)
	switch x.field {
	case event.SrcIP, event.SrcHost:
		add("ip", event.DstIP)
	default:
		add("ip", event.SrcIP)
	}
	kind := "domain"
	switch x.indicatorType {
	case IPv4, IPv6, CIDR:
		kind = "ip"
	case MD5, SHA1, SHA256:
		kind = "hash"
	case Email:
		kind = "user"
	}
	value := x.value
	if v := e.Get(x.field); x.indicatorType == CIDR && v != "" {
		value = v // the address, not the network
	}
	if x.indicatorType != URL && x.indicatorType != JA3 {
		all = append(all, alert.Entity{Type: kind, Field: x.field, Value: value})
	}
	return all
}
