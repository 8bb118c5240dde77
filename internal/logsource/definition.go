package logsource

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// A Definition is a setting as people write it: which records it is for, and how
// those are to be read. What is empty is left as recognition finds it.
type Definition struct {
	// For: all that is named must hold.
	Source    string `json:"source,omitempty"`    // name of a product
	Host      string `json:"host,omitempty"`      // pattern, * and ? stand for characters
	Program   string `json:"program,omitempty"`   // pattern
	Input     string `json:"input,omitempty"`     // door
	Token     string `json:"token,omitempty"`     // id of an ingest token or API key
	Collector string `json:"collector,omitempty"` // id of a collector

	TimeZone       string            `json:"timeZone,omitempty"` // IANA name or offset such as +09:00
	Parser         string            `json:"parser,omitempty"`
	Format         string            `json:"format,omitempty"` // of parse.Formats
	SetSource      string            `json:"setSource,omitempty"`
	SetHost        string            `json:"setHost,omitempty"`
	HostPattern    string            `json:"hostPattern,omitempty"` // RE2
	SetProgram     string            `json:"setProgram,omitempty"`
	ProgramPattern string            `json:"programPattern,omitempty"` // RE2
	Aliases        map[string]string `json:"aliases,omitempty"`        // native name → canonical
}

// Bounds of a definition.
const (
	maxAliases = 100
	maxWord    = 256 // bytes
	maxRegexp  = 500 // bytes
)

var parserNames = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, p := range parse.Parsers() {
		names[p.Name] = true
		for _, s := range p.Sources {
			names[s] = true
		}
	}
	return names
})

// Setting checks d and makes it what a parser applies. Faults name the field.
func (d *Definition) Setting(id string) (parse.Setting, error) {
	s := parse.Setting{
		ID: id, Match: parse.Match{Source: d.Source, Host: d.Host, Program: d.Program, Input: d.Input, Key: d.Token},
		Parser: d.Parser, Format: d.Format, NewName: d.SetSource, Host: d.SetHost, Program: d.SetProgram,
	}
	if err := d.checkWords(); err != nil {
		return s, err
	}
	if d.Collector != "" {
		s.Match.Key = d.Collector
	}
	var err error
	if d.TimeZone != "" {
		if s.Zone, err = ParseZone(d.TimeZone); err != nil {
			return s, err
		}
	}
	if s.HostIn, err = pattern("hostPattern", d.HostPattern); err != nil {
		return s, err
	}
	if s.ProgramIn, err = pattern("programPattern", d.ProgramPattern); err != nil {
		return s, err
	}
	if s.Aliases, err = d.aliases(); err != nil {
		return s, err
	}
	if d.TimeZone+d.Parser+d.Format+d.SetSource+d.SetHost+d.HostPattern+d.SetProgram+d.ProgramPattern == "" && len(d.Aliases) == 0 {
		return s, fault.New(fault.Invalid, "The setting changes nothing: give at least one of timeZone, parser, format, setSource, setHost, hostPattern, setProgram, programPattern, aliases")
	}
	return s, nil
}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (d *Definition) checkWords() error {
	for field, v := range map[string]string{
		"source": d.Source, "host": d.Host, "program": d.Program, "input": d.Input, "token": d.Token, "collector": d.Collector, "setHost": d.SetHost, "setProgram": d.SetProgram,
	} {
		if len(v) > maxWord || !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }) {
			return fault.New(fault.Invalid, "Allowed: up to %d bytes of text without control characters", maxWord).In(field)
		}
	}
	switch {
	case d.Token != "" && d.Collector != "":
		return fault.New(fault.Invalid, "A record comes with a token or through a collector: give one of both").In("collector")
	case d.Parser != "" && !parserNames()[d.Parser]:
		return fault.New(fault.Invalid, "There is no such parser; known are for example sshd, nginx, fortigate, cisco_asa, json, kv: docs/formats.md lists them").In("parser")
	case d.Format != "" && !slices.Contains(parse.Formats, d.Format):
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(parse.Formats, ", ")).In("format")
	case d.Parser != "" && d.Format != "":
		return fault.New(fault.Invalid, "Give a parser or a format, not both").In("format")
	case d.SetSource != "" && !sourceName.MatchString(d.SetSource):
		return fault.New(fault.Invalid, "Allowed: one name of at most 64 letters, digits, and the characters - _ .").In("setSource")
	case d.SetHost != "" && d.HostPattern != "":
		return fault.New(fault.Invalid, "Give a name or a pattern, not both").In("hostPattern")
	case d.SetProgram != "" && d.ProgramPattern != "":
		return fault.New(fault.Invalid, "Give a name or a pattern, not both").In("programPattern")
	}
	return nil
}

func pattern(field, text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxRegexp {
		return nil, fault.New(fault.Invalid, "Allowed: up to %d bytes", maxRegexp).In(field)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "It is no regular expression (RE2): %s", err.Error()).In(field)
	}
	return re, nil
}

// fixed are canonical fields that no alias may give: they say what KYRA itself saw.
var fixed = []string{event.IngestTime, event.EventID, event.OriginalTime, event.TimeQuality, event.PeerIP, event.CollectorID, event.RawText, event.Tags}

func (d *Definition) aliases() ([]parse.Alias, error) {
	if len(d.Aliases) > maxAliases {
		return nil, fault.New(fault.Invalid, "Allowed: up to %d aliases", maxAliases).In("aliases")
	}
	var list []parse.Alias
	for from, to := range d.Aliases {
		field := "aliases." + from
		switch canonical := event.Resolve(to); {
		case from == "" || len(from) > maxWord || !utf8.ValidString(from):
			return nil, fault.New(fault.Invalid, "Allowed: names of 1 to %d bytes", maxWord).In("aliases")
		case !event.IsCanonical(canonical) || slices.Contains(fixed, canonical):
			return nil, fault.New(fault.Invalid, "%q is no field that a source can fill: use names such as user, src_ip, action, host, timestamp", to).In(field)
		default:
			list = append(list, parse.Alias{From: from, To: canonical})
		}
	}
	slices.SortFunc(list, func(a, b parse.Alias) int { return strings.Compare(a.From, b.From) })
	return list, nil
}

// ParseZone reads an IANA name ("Asia/Seoul") or an offset ("+09:00").
func ParseZone(s string) (*time.Location, error) {
	wrong := fault.New(fault.Invalid, "Allowed: a name such as Europe/Berlin or an offset such as +09:00").In("timeZone")
	if s == "Z" || s == "UTC" {
		return time.UTC, nil
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if len(s) != 6 || s[3] != ':' {
			return nil, wrong
		}
		h, err1 := strconv.ParseUint(s[1:3], 10, 8)
		m, err2 := strconv.ParseUint(s[4:], 10, 8)
		if err1 != nil || err2 != nil || h > 14 || m > 59 {
			return nil, wrong
		}
		seconds := int(h*3600 + m*60)
		if s[0] == '-' {
			seconds = -seconds
		}
		return time.FixedZone(s, seconds), nil
	}
	if s == "" || s == "Local" || len(s) > 64 {
		return nil, wrong
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, wrong
	}
	return zone, nil
}

// offsetText writes seconds east of UTC as ParseZone reads them.
func offsetText(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	return fmt.Sprintf("%c%02d:%02d", sign, seconds/3600, seconds/60%60)
}
