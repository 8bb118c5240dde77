package workbench

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
)

// Bounds of what a result carries, and of what counting it holds.
const (
	maxTop     = 20     // hosts and users that are named
	maxCounted = 20_000 // that are told apart
	maxSamples = 50     // events
	maxAlerts  = 20     // alerts that are shown
	maxOpen    = 50_000 // rule and key pairs whose last alert is remembered
	maxShown   = 20     // event ids of one alert
	maxMessage = 300    // characters of a sample's message
)

// A BacktestResult is what a rule gave on stored events.
type BacktestResult struct {
	Rule RuleName  `json:"rule"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`

	EventsRead int64 `json:"eventsRead"`
	Matches    int64 `json:"matches"`  // events that a rule of the text matches; of a correlation those that it counts
	Excepted   int64 `json:"excepted"` // matches that an exception took away, not among Matches
	Alerts     int64 `json:"alerts"`

	ByDay  []DayCount   `json:"byDay"`
	ByHost []ValueCount `json:"byHost"`
	ByUser []ValueCount `json:"byUser"`
	// MoreHosts and MoreUsers count matches of those that ByHost and ByUser leave out.
	MoreHosts int64 `json:"moreHosts"`
	MoreUsers int64 `json:"moreUsers"`

	Samples      []MatchSample `json:"samples"`
	AlertSamples []AlertSample `json:"alertSamples"`
	Cost         RunCost       `json:"cost"`

	// Partial says what was not read; "" means all was.
	Partial string `json:"partial"`
	// Estimate says how the numbers were reckoned where only samples were read.
	Estimate *Estimate `json:"estimate,omitempty"`
	Borrowed []string  `json:"borrowed"` // rules of the catalogue that it counts
	Notes    []string  `json:"notes"`
}

// RuleName names the rule that was run.
type RuleName struct {
	ID    string `json:"id"` // of the catalogue; "" for a text
	Title string `json:"title"`
}

// A DayCount is what fell on one day of event time, UTC.
type DayCount struct {
	Day     string `json:"day"` // 2026-04-22
	Matches int64  `json:"matches"`
	Alerts  int64  `json:"alerts"` // that began on it
}

// A ValueCount is a value and how many matches have it.
type ValueCount struct {
	Value   string `json:"value"`
	Matches int64  `json:"matches"`
}

// A MatchSample is one event that matched.
type MatchSample struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Rules   []string  `json:"rules"` // titles
	Host    string    `json:"host"`
	User    string    `json:"user"`
	Message string    `json:"message"` // shortened
}

// An AlertSample is one alert that the rule would have raised.
type AlertSample struct {
	Title     string    `json:"title"`
	Severity  string    `json:"severity"`
	Key       string    `json:"key"`
	Count     int64     `json:"count"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	Entities  []string  `json:"entities"` // "user root"
	Events    []string  `json:"events"`   // ids, the first of them
}

// RunCost is what running the rule took.
type RunCost struct {
	Evaluations     uint64 `json:"evaluations"` // events of its log source
	Nanoseconds     int64  `json:"nanoseconds"` // that the engine took for all events read
	PerEventNanos   int64  `json:"perEventNanos"`
	ReadNanoseconds int64  `json:"readNanoseconds"` // that the store took to hand them over
}

// An Estimate says how numbers were reckoned from samples: Share of the time was
// read, and matches and alerts are those found, divided by it.
type Estimate struct {
	Share        float64 `json:"share"`
	Slices       int     `json:"slices"`
	FoundMatches int64   `json:"foundMatches"`
	FoundAlerts  int64   `json:"foundAlerts"`
	Method       string  `json:"method"`
}

// A tally counts what a player finds, in bounded memory.
type tally struct {
	result *BacktestResult
	days   map[string]*DayCount
	hosts  counter
	users  counter
	thin   int64 // every so many matches one is kept as a sample
	alerts map[alertKey]*openAlert
	shown  []*openAlert
	clear  bool // alerts were forgotten
}

type alertKey struct{ rule, key string }

type openAlert struct {
	first, last int64
	sample      *AlertSample // nil beyond the first few
}

func newTally() *tally {
	return &tally{
		result: &BacktestResult{Samples: []MatchSample{}, AlertSamples: []AlertSample{}, ByHost: []ValueCount{}, ByUser: []ValueCount{}, ByDay: []DayCount{}, Borrowed: []string{}, Notes: []string{}},
		days:   map[string]*DayCount{}, hosts: counter{}, users: counter{}, thin: 1, alerts: map[alertKey]*openAlert{},
	}
}

func (t *tally) day(ns int64) *DayCount {
	name := time.Unix(0, ns).UTC().Format(time.DateOnly)
	d := t.days[name]
	if d == nil {
		d = &DayCount{Day: name}
		t.days[name] = d
	}
	return d
}

// match counts an event that rules match.
func (t *tally) match(e *event.Event, hits []detect.Hit) {
	var titles []string
	excepted := false
	for _, h := range hits {
		if h.Excepted(e) {
			excepted = true
			continue
		}
		titles = append(titles, strings.TrimSpace(h.Document().Title))
	}
	if len(titles) == 0 {
		if excepted {
			t.result.Excepted++
		}
		return
	}
	t.result.Matches++
	t.day(e.Time).Matches++
	t.hosts.add(e.Get(event.Host))
	t.users.add(e.Get(event.User))
	if t.result.Matches%t.thin != 0 {
		return
	}
	if len(t.result.Samples) == maxSamples { // keep every second: they spread over all
		kept := t.result.Samples[:0]
		for i := 1; i < maxSamples; i += 2 {
			kept = append(kept, t.result.Samples[i])
		}
		t.result.Samples, t.thin = kept, 2*t.thin
		if t.result.Matches%t.thin != 0 {
			return
		}
	}
	message, ok := e.Lookup(event.Message)
	if !ok {
		message = e.Raw
	}
	t.result.Samples = append(t.result.Samples, MatchSample{
		ID: e.ID.String(), Time: time.Unix(0, e.Time).UTC(), Rules: titles, Host: shorten(e.Get(event.Host)), User: shorten(e.Get(event.User)), Message: shorten(message),
	})
}

// shorten cuts a text to what results carry, in memory of its own.
func shorten(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*maxMessage)], "\uFFFD")
	if r := []rune(s); len(r) > maxMessage {
		return string(r[:maxMessage]) + "…"
	}
	return strings.Clone(s)
}

// finding joins a finding into an alert as recording does: findings of one rule and
// key within a day of event time are one.
func (t *tally) finding(f *alert.Finding) {
	key := alertKey{f.Rule.ID, f.Key}
	a := t.alerts[key]
	const within = int64(24 * time.Hour)
	if a != nil && max(f.First, a.first)-min(f.First, a.first) < within {
		a.first, a.last = min(a.first, f.First), max(a.last, f.Last)
		if a.sample != nil {
			a.sample.join(f)
		}
		return
	}
	t.result.Alerts++
	t.day(f.First).Alerts++
	a = &openAlert{first: f.First, last: f.Last}
	if len(t.shown) < maxAlerts {
		a.sample = &AlertSample{Title: f.Title, Severity: f.Severity, Key: f.Key, FirstSeen: time.Unix(0, f.First).UTC(), Entities: []string{}, Events: []string{}}
		a.sample.join(f)
		t.shown = append(t.shown, a)
	}
	if len(t.alerts) >= maxOpen {
		maps.DeleteFunc(t.alerts, func(_ alertKey, o *openAlert) bool { return f.First-o.first >= within })
		if len(t.alerts) >= maxOpen {
			clear(t.alerts)
			t.clear = true
		}
	}
	t.alerts[key] = a
}

func (s *AlertSample) join(f *alert.Finding) {
	s.Count += f.Count
	if first := time.Unix(0, f.First).UTC(); first.Before(s.FirstSeen) {
		s.FirstSeen = first
	}
	if last := time.Unix(0, f.Last).UTC(); last.After(s.LastSeen) {
		s.LastSeen = last
	}
	for _, e := range f.Entities {
		if text := e.Type + " " + shorten(e.Value); len(s.Entities) < maxShown && !slices.Contains(s.Entities, text) {
			s.Entities = append(s.Entities, text)
		}
	}
	for _, id := range f.Events {
		if len(s.Events) == maxShown {
			break
		}
		s.Events = append(s.Events, id.String())
	}
}

// done returns the result.
func (t *tally) done() *BacktestResult {
	r := t.result
	for _, name := range slices.Sorted(maps.Keys(t.days)) {
		r.ByDay = append(r.ByDay, *t.days[name])
	}
	r.ByHost, r.MoreHosts = t.hosts.top()
	r.ByUser, r.MoreUsers = t.users.top()
	for _, a := range t.shown {
		r.AlertSamples = append(r.AlertSamples, *a.sample)
	}
	if t.clear {
		r.Notes = append(r.Notes, "there are too many different alerts to tell all apart: their number may be too high")
	}
	return r
}

// A counter counts values; beyond maxCounted different ones the rest count together.
type counter map[string]int64

// others is the key of the rest: no value is so long.
var others = strings.Repeat("…", maxMessage+2)

func (c counter) add(v string) {
	if v == "" {
		return
	}
	if n, ok := c[v]; ok {
		c[v] = n + 1
		return
	}
	v = shorten(v)
	if _, ok := c[v]; !ok && len(c) >= maxCounted {
		v = others
	}
	c[v]++
}

// top returns the most frequent values and how often the others occurred.
func (c counter) top() ([]ValueCount, int64) {
	all, more := []ValueCount{}, c[others]
	for v, n := range c {
		if v != others {
			all = append(all, ValueCount{v, n})
		}
	}
	slices.SortFunc(all, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Matches, a.Matches), strings.Compare(a.Value, b.Value))
	})
	for _, x := range all[min(len(all), maxTop):] {
		more += x.Matches
	}
	return all[:min(len(all), maxTop)], more
}
