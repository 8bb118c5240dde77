package parse

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Setting says how records of some sources are to be read, where recognition
// alone does not know. What it leaves empty stays as it is.
type Setting struct {
	ID    string
	Match Match

	Zone      *time.Location // of times without a zone
	Parser    string         // a name of Parsers: tried before any other
	Format    string         // one of Formats: how the text is written
	NewName   string         // the source that the events get
	Host      string         // the host that the events get
	HostIn    *regexp.Regexp // or where it stands in the record: the first group, else the whole match
	Program   string         // the program, which leads to the parser
	ProgramIn *regexp.Regexp
	Aliases   []Alias
}

// A Match chooses records; all of what it names must hold, and an empty one holds
// for all. Source and patterns are compared whatever their case; * and ? in
// patterns stand for characters.
type Match struct {
	Source  string // what the event's source is, or what the sender says it is
	Host    string // pattern of the event's host
	Program string // pattern of the event's program
	Input   string // the door: "http", "syslog-udp", …
	Key     string // id of the token, key or collector that it came with
}

// An Alias gives the value of a native field to a canonical one. The native field
// stays. To event.Timestamp it sets the time of the event.
type Alias struct{ From, To string }

// Formats are the values of Setting.Format: "plain" keeps the text as it is behind
// its header.
var Formats = []string{"json", "cef", "leef", "kv", "plain"}

// Settings are those of one tenant. They are never changed: a change makes new ones.
type Settings struct {
	list                              []Setting
	source, host, program, input, key bool // what any of them asks for
}

// NewSettings returns nil for an empty list. Of two settings that say the same
// thing of a record the first decides.
func NewSettings(list []Setting) *Settings {
	if len(list) == 0 {
		return nil
	}
	s := &Settings{list: list}
	for i := range list {
		m := &list[i].Match
		s.source = s.source || m.Source != ""
		s.host = s.host || m.Host != ""
		s.program = s.program || m.Program != ""
		s.input = s.input || m.Input != ""
		s.key = s.key || m.Key != ""
	}
	return s
}

// situation is what settings are chosen by; what none asks for is empty.
type situation struct{ source, hint, host, program, input, key string }

// An effect is all that the settings of one situation come to.
type effect struct {
	Setting
	ids   []string
	again bool // the record has to be read anew, and not for its time alone
}

// effectOf gathers what settings say in a situation; nil where they say nothing.
func (s *Settings) effectOf(at *situation) *effect {
	var f *effect
	for i := range s.list {
		x := &s.list[i]
		if !x.Match.holds(at) {
			continue
		}
		if f == nil {
			f = &effect{}
		}
		f.take(x)
	}
	if f != nil {
		f.again = f.Parser != "" || f.Format != "" || f.Program != "" || f.ProgramIn != nil
	}
	return f
}

// take adds what x says and f does not yet.
func (f *effect) take(x *Setting) {
	f.ids = append(f.ids, x.ID)
	if f.Zone == nil {
		f.Zone = x.Zone
	}
	if f.Parser == "" && f.Format == "" {
		f.Parser, f.Format = x.Parser, x.Format
	}
	if f.NewName == "" {
		f.NewName = x.NewName
	}
	if f.Host == "" && f.HostIn == nil {
		f.Host, f.HostIn = x.Host, x.HostIn
	}
	if f.Program == "" && f.ProgramIn == nil {
		f.Program, f.ProgramIn = x.Program, x.ProgramIn
	}
	for _, a := range x.Aliases {
		if !slices.ContainsFunc(f.Aliases, func(had Alias) bool { return had.To == a.To }) {
			f.Aliases = append(f.Aliases, a)
		}
	}
}

func (m *Match) holds(at *situation) bool {
	return (m.Source == "" || strings.EqualFold(m.Source, at.source) || strings.EqualFold(m.Source, at.hint)) &&
		(m.Input == "" || m.Input == at.input) && (m.Key == "" || m.Key == at.key) &&
		(m.Host == "" || wildcard(m.Host, at.host)) && (m.Program == "" || wildcard(m.Program, at.program))
}

// wildcard tells whether pattern, in which * is any characters and ? is one, is
// all of s, whatever the case of ASCII letters. Its work is len(pattern)*len(s)
// at most.
func wildcard(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || lowerByte(pattern[p]) == lowerByte(s[i])):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Bounds of what a parser remembers of settings: senders choose hosts and programs.
const (
	maxSettings   = 64   // sets: tenants, and those of before a change
	maxSituations = 4096 // of one set
)

// chosen remembers which settings hold in which situation.
type chosen map[*Settings]map[situation]*effect

func (c *chosen) effect(s *Settings, at *situation) *effect {
	known := (*c)[s]
	if known == nil {
		if *c == nil || len(*c) >= maxSettings {
			*c = chosen{}
		}
		known = map[situation]*effect{}
		(*c)[s] = known
	}
	f, ok := known[*at]
	if !ok {
		if len(known) >= maxSituations {
			clear(known)
		}
		f = s.effectOf(at)
		known[situation{
			strings.Clone(at.source), strings.Clone(at.hint), strings.Clone(at.host), strings.Clone(at.program), strings.Clone(at.input), strings.Clone(at.key),
		}] = f
	}
	return f
}

// settle applies the settings of r to e, which was read without them: what they
// hold for is what recognition found, so that a setting cannot hide what another
// is chosen by.
func (p *Parser) settle(r *Record, e *event.Event, x Explanation) Explanation {
	s := r.Settings
	var at situation
	if s.source {
		at.source, at.hint = e.Fields[0].Value, r.Source
	}
	if s.host {
		at.host = e.Get(event.Host)
	}
	if s.program {
		at.program = e.Get(event.Program)
	}
	if s.input {
		at.input = r.Input
	}
	if s.key {
		at.key = r.Key
	}
	f := p.chosen.effect(s, &at)
	if f == nil {
		return x
	}
	if f.again || f.Zone != nil && (p.line.quality == qualityZone || p.line.quality == qualityYear) {
		x = p.read(r, e, f)
	} else if f.Zone != nil {
		p.record.Zone = f.Zone
	}
	f.finish(&p.line)
	x.Settings, x.Zone = f.ids, f.Zone
	return x
}

// patternReach is how much of a record patterns for host and program look at.
const patternReach = 4 << 10

// found returns the first group of the first match, or the match.
func found(re *regexp.Regexp, s string) string {
	m := re.FindStringSubmatchIndex(s[:min(len(s), patternReach)])
	switch {
	case m == nil:
		return ""
	case len(m) > 2 && m[2] >= 0:
		return strings.TrimSpace(s[m[2]:m[3]])
	}
	return strings.TrimSpace(s[m[0]:m[1]])
}

// forceProgram gives the line the program that a setting names.
func (l *line) forceProgram() {
	f := l.force
	program := f.Program
	if f.ProgramIn != nil {
		program = found(f.ProgramIn, l.text)
		if program == "" {
			program = found(f.ProgramIn, cleanRecord(l.r.Raw))
		}
	}
	if program != "" {
		l.setProgram(program)
	}
}

// forced tries what a setting says that the text is.
func (l *line) forced() bool {
	f := l.force
	if f.Format == "plain" {
		l.know("text", "a setting says that it is plain text")
		l.plain()
		l.source = l.plainSource()
		return true
	}
	name := f.Parser
	if name == "" {
		name = f.Format
	}
	c := l.p.registry.hints[name]
	if c == nil {
		return false
	}
	if l.try(c, "a setting names it") {
		return true
	}
	l.broke = l.broke || c.strict && l.text != ""
	return false
}

// finish writes what needs no reading.
func (f *effect) finish(l *line) {
	e := l.e
	if f.NewName != "" {
		e.Fields[0].Value = f.NewName
	}
	host := f.Host
	if f.HostIn != nil {
		host = found(f.HostIn, cleanRecord(l.r.Raw))
	}
	if host != "" {
		e.Set(event.Host, trimHost(host))
	}
	for _, a := range f.Aliases {
		l.alias(a)
	}
}

// alias gives the values of a.From to a.To, unless they are none for it.
func (l *line) alias(a Alias) {
	e, first := l.e, true
	for i := range len(e.Fields) {
		if e.Fields[i].Name != a.From || e.Fields[i].Value == "" {
			continue
		}
		value, ok := e.Fields[i].Value, true
		switch {
		case a.To == event.Timestamp:
			t, q, good := l.timeText(value)
			if good {
				e.Time = t
				e.Set(event.TimeQuality, q)
				if l.r.Arrived != 0 && t-l.r.Arrived > l.p.future {
					e.Tag(event.TagFutureTime)
				}
			}
			return
		case a.To == event.Severity:
			low := l.p.lower(value)
			s := severity(event.SeverityRank(low))
			if s == unsaid {
				s = levelSeverity(low)
			}
			value, ok = s.String(), s != unsaid
		case event.Numeric(a.To):
			value, ok = canonicalInt(value)
		case event.Address(a.To):
			value, ok = address(value)
		}
		switch {
		case !ok:
		case first:
			e.Set(a.To, value)
			first = false
		case a.To != event.Source && a.To != event.Severity && a.To != event.Message && a.To != event.Host:
			e.Add(a.To, value)
		}
	}
}

// cleanRecord is what of a record may stand in a field.
func cleanRecord(raw string) string { return cleanText(raw[:min(len(raw), patternReach)]) }
