package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// A param is one query parameter: read, checked and documented from this one
// description.
type param struct {
	name, doc string
	kind      paramKind
	values    []string // of an enumeration, in the documented case
	many      bool     // several values, by comma or by repetition
	min, max  int      // of a number
	standard  string   // the default, for the documentation and for numbers
}

type paramKind int

const (
	text   paramKind = iota // any text up to maxText characters
	enum                    // one of values, whatever its case
	number                  // an integer from min to max
	moment                  // RFC 3339 with a zone
)

const maxText = 256

// given holds the checked parameters of one request.
type given struct {
	texts map[string][]string
	times map[string]time.Time
	ints  map[string]int
}

func (q given) one(name string) string {
	if v := q.texts[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
func (q given) all(name string) []string     { return q.texts[name] }
func (q given) number(name string) int       { return q.ints[name] }
func (q given) moment(name string) time.Time { return q.times[name] }

// parseQuery reads raw by the given parameters. An unknown parameter is refused:
// a filter silently ignored is the worst answer there is.
func parseQuery(params []param, raw string) (given, *problem) {
	q := given{}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, badRequest("Invalid query string", "Write it as name=value&name=value with percent encoding")
	}
	if p := unknownParam(params, values); p != nil {
		return q, p
	}
	for i := range params {
		if p := q.read(&params[i], values[params[i].name]); p != nil {
			return q, p
		}
	}
	return q, nil
}

func unknownParam(params []param, values url.Values) *problem {
	unknown := ""
next:
	for name := range values {
		for i := range params {
			if params[i].name == name {
				continue next
			}
		}
		if unknown == "" || name < unknown {
			unknown = name // the first by name, so that the answer does not vary
		}
	}
	if unknown == "" && len(values[""]) == 0 {
		return nil
	}
	if len(params) == 0 {
		return badRequest("Unknown parameter "+strconv.Quote(unknown), "This call has no parameters")
	}
	names := make([]string, len(params))
	for i := range params {
		names[i] = params[i].name
	}
	return badRequest("Unknown parameter "+strconv.Quote(unknown), "Known: "+strings.Join(names, ", "))
}

func (q *given) read(p *param, given []string) *problem {
	if len(given) == 0 {
		if p.kind == number {
			n, _ := strconv.Atoi(p.standard) // written in this package
			q.setInt(p.name, n)
		}
		return nil
	}
	if !p.many && len(given) > 1 {
		return invalid(p.name, "Give it once")
	}
	for _, v := range given {
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return invalid(p.name, "Allowed: UTF-8 text without NUL")
		}
	}
	switch p.kind {
	case number:
		n, err := strconv.Atoi(given[0])
		if err != nil || n < p.min || n > p.max {
			return invalid(p.name, p.span())
		}
		q.setInt(p.name, n)
	case moment:
		t, wrong := parseMoment(given[0])
		if wrong != "" {
			return invalid(p.name, wrong)
		}
		if q.times == nil {
			q.times = map[string]time.Time{}
		}
		q.times[p.name] = t
	case enum:
		for _, v := range p.split(given) {
			known, ok := oneOf(v, p.values)
			if !ok {
				return allowed(p.name, p.values)
			}
			q.addText(p.name, known)
		}
	case text:
		for _, v := range p.split(given) {
			if utf8.RuneCountInString(v) > maxText {
				return invalid(p.name, fmt.Sprintf("Allowed: at most %d characters", maxText))
			}
			if v != "" {
				q.addText(p.name, v)
			}
		}
	}
	return nil
}

func (q *given) setInt(name string, n int) {
	if q.ints == nil {
		q.ints = map[string]int{}
	}
	q.ints[name] = n
}

func (q *given) addText(name, v string) {
	if q.texts == nil {
		q.texts = map[string][]string{}
	}
	q.texts[name] = append(q.texts[name], v)
}

func (p *param) split(given []string) []string {
	if !p.many {
		return given
	}
	var all []string
	for _, v := range given {
		for part := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(part))
		}
	}
	return all
}

func (p *param) span() string {
	if p.max == maxPage {
		return fmt.Sprintf("Allowed: a whole number from %d", p.min)
	}
	return fmt.Sprintf("Allowed: %d to %d", p.min, p.max)
}

// oneOf returns the documented spelling of v, whatever its case.
func oneOf(v string, values []string) (string, bool) {
	for _, known := range values {
		if strings.EqualFold(v, known) {
			return known, true
		}
	}
	return "", false
}

const momentForm = "Allowed: a time in RFC 3339 with its zone, such as 2026-04-24T00:00:00Z"

// Times are kept as nanoseconds since 1970, which reach from 1678 to 2261.
const firstYear, lastYear = 1678, 2261

// parseMoment reads a time with a zone: without one it would mean another moment
// to each reader. wrong says what is allowed where s is none.
func parseMoment(s string) (t time.Time, wrong string) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		// "+" in a query string means a blank: take 2026-04-24T00:00:00 09:00 as
		// the zone that was meant.
		if i := strings.LastIndexByte(s, ' '); i > 10 {
			t, err = time.Parse(time.RFC3339Nano, s[:i]+"+"+s[i+1:])
		}
	}
	if err != nil {
		return time.Time{}, momentForm
	}
	if t = t.UTC(); t.Year() < firstYear || t.Year() >= lastYear {
		return time.Time{}, fmt.Sprintf("Allowed: years from %d to %d", firstYear, lastYear-1)
	}
	return t, ""
}

// document describes p in OpenAPI.
func (p *param) document() *huma.Param {
	s := &huma.Schema{Type: huma.TypeString, Description: p.doc}
	switch p.kind {
	case enum:
		for _, v := range p.values {
			s.Enum = append(s.Enum, v)
		}
	case number:
		s.Type = huma.TypeInteger
		low, high := float64(p.min), float64(p.max)
		s.Minimum = &low
		if p.max != maxPage {
			s.Maximum = &high
		}
	case moment:
		s.Format = "date-time"
	case text:
		n := maxText
		s.MaxLength = &n
	}
	if p.standard != "" {
		s.Default = p.standard
		if p.kind == number {
			n, _ := strconv.Atoi(p.standard)
			s.Default = n
		}
	}
	if p.many {
		explode := true
		return &huma.Param{
			Name: p.name, In: "query", Description: p.doc + " Several by comma or by repetition.", Explode: &explode,
			Schema: &huma.Schema{Type: huma.TypeArray, Items: s},
		}
	}
	return &huma.Param{Name: p.name, In: "query", Description: p.doc, Schema: s}
}
