package workbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Window says what a correlation counts around an event, and what it lacks.
type Window struct {
	Correlation string        `json:"correlation"` // id
	Title       string        `json:"title"`
	Type        string        `json:"type"`
	Rule        string        `json:"rule"` // id of the rule that takes the event
	Group       []GroupValue  `json:"group"`
	Timespan    string        `json:"timespan"`
	Condition   string        `json:"condition"` // such as "gte 5"
	From        time.Time     `json:"from"`      // exclusive
	To          time.Time     `json:"to"`        // inclusive
	Measured    float64       `json:"measured"`  // what the condition compares
	Fired       bool          `json:"fired"`     // the engine reports the event
	FiredAt     *time.Time    `json:"firedAt" nullable:"true"`
	Events      []WindowEvent `json:"events"` // those in the window, the first of them
	Counted     int           `json:"counted"`
	SeenRules   []string      `json:"seenRules"`   // of a temporal one: titles
	AbsentRules []string      `json:"absentRules"` // likewise
	Reason      string        `json:"reason"`
	Note        string        `json:"note"` // what was not looked at
}

// GroupValue is one field of the group.
type GroupValue struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// A WindowEvent is one event that the correlation counts.
type WindowEvent struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Rule   string    `json:"rule"` // title
	Value  string    `json:"value"`
	Weight int64     `json:"weight"`
	This   bool      `json:"this"` // it is the event that is explained
}

// Bounds of what explaining a window reads and shows.
const (
	maxReplay       = 200_000 // events
	maxWindowEvents = 20_000  // that are counted
	maxWindowShown  = 100
)

// lateness is how far before a window events are run too: one that fires must have
// been able to.
const lateness = 10 * time.Minute

type counted struct {
	id     event.ID
	at     int64
	rule   string // id
	value  string
	number float64
	weight int64
}

// window runs the stored events of the event's group through the engine, with the
// event itself among them, stored or not.
// It also tells the correlations that report the event.
func (s *Service) window(ctx context.Context, tenant uint32, p *Program, c *detect.Counted, e *event.Event) (*Window, map[string]bool, error) {
	d := p.correlation(c.Correlation)
	k := d.Correlation
	w := &Window{
		Correlation: d.ID, Title: strings.TrimSpace(d.Title), Type: k.Type, Rule: c.Rule, Group: []GroupValue{}, Timespan: span(k.Timespan),
		Condition: strings.TrimSpace(k.Condition.Op + " " + number(k.Condition.Value)), Events: []WindowEvent{}, SeenRules: []string{}, AbsentRules: []string{},
		From: time.Unix(0, e.Time).Add(-k.Timespan).UTC(), To: time.Unix(0, e.Time).UTC(),
	}
	if k.Condition.Op == "" {
		w.Condition = ""
	}
	for _, g := range c.Group {
		w.Group = append(w.Group, GroupValue{g.Name, g.Value})
	}
	switch taken := c.Taken(); {
	case !c.GroupComplete:
		i := slices.IndexFunc(c.Group, func(g detect.GroupValue) bool { return g.Value == "" })
		w.Reason = fmt.Sprintf("the event matches, but %s does not count it: it has no field %s to group by", quote(w.Title), c.Group[i].Name)
		return w, nil, nil
	case taken != nil:
		w.Reason = fmt.Sprintf("the event matches, but the exception %s keeps it from %s", quote(taken.ID), quote(w.Title))
		return w, nil, nil
	}
	r := &replay{program: p, correlation: c.Correlation, key: c.Key(), this: e, player: newPlayer(p), window: w, reported: map[string]bool{}}
	from, to := e.Time-int64(k.Timespan)-int64(lateness), e.Time+int64(k.Timespan)
	if err := s.replay(ctx, tenant, r, c, from, to); err != nil {
		return nil, nil, err
	}
	r.judge(p, d, e)
	return w, r.reported, nil
}

// correlation returns a correlation of the program, borrowed ones too.
func (p *Program) correlation(id string) *sigma.Document {
	for _, d := range p.correlations {
		if d.ID == id {
			return d
		}
	}
	return nil
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// A replay runs events of one group.
type replay struct {
	program     *Program
	correlation string
	key         string
	this        *event.Event
	given       bool // this has been run
	read        int
	player      *player
	window      *Window
	counted     []counted
	reported    map[string]bool // correlations that report this
}

var errEnough = errors.New("enough was read")

func (s *Service) replay(ctx context.Context, tenant uint32, r *replay, c *detect.Counted, from, to int64) error {
	filter := r.program.set.Narrow()
	for _, g := range c.Group {
		var names []query.Node
		for _, name := range g.Names {
			f := query.NewField(name)
			if f.Text() || f.Time() { // words are looked for in these
				names = nil
				break
			}
			names = append(names, query.Equal{Field: f, Value: g.Value})
		}
		switch len(names) {
		case 0:
		case 1:
			filter = both(filter, names[0])
		default:
			filter = both(filter, query.Or{Nodes: names})
		}
	}
	from, to = eventstore.Clamp(from, to)
	err := s.Events.Walk(ctx, eventstore.WalkRequest{Tenant: tenant, Filter: filter, From: from, To: to}, func(events []event.Event) error {
		for i := range events {
			e := &events[i]
			if e.ID == r.this.ID && e.Time == r.this.Time {
				continue // it is run from what was given
			}
			if !r.given && e.Time > r.this.Time {
				r.run(r.this)
			}
			if r.read++; r.read > maxReplay {
				return errEnough
			}
			e.Arrived = e.Time
			r.run(e)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		r.window.Note = fmt.Sprintf("only the first %d events of the group from %s on were run", maxReplay, time.Unix(0, from).UTC().Format(time.RFC3339))
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read the events of the window: %w", err)
	}
	if !r.given {
		r.run(r.this)
	}
	r.player.end(tenant, to)
	r.player.detector.EndBatch(func(f *alert.Finding) { r.finding(f, to) })
	return nil
}

func (r *replay) run(e *event.Event) {
	if e == r.this {
		r.given = true
		now := *e
		now.Arrived = now.Time
		e = &now
	}
	for _, h := range r.player.event(e) {
		if h.Excepted(e) || len(r.counted) >= maxWindowEvents {
			continue
		}
		for _, c := range r.program.set.Counts(h, e) {
			if c.Correlation != r.correlation || !c.GroupComplete || c.Key() != r.key || c.Taken() != nil {
				continue
			}
			x := counted{id: e.ID, at: e.Time, rule: c.Rule, value: strings.Join(c.Values, ", "), weight: detect.Weight(e), number: math.NaN()}
			if len(c.Values) == 1 {
				if n, ok := sigma.Number(c.Values[0]); ok {
					x.number = n
				}
			}
			r.counted = append(r.counted, x)
		}
	}
	r.player.detector.EndBatch(func(f *alert.Finding) { r.finding(f, e.Time) })
}

// finding notes that the engine reports the event.
func (r *replay) finding(f *alert.Finding, at int64) {
	if !slices.Contains(f.Events, r.this.ID) {
		return
	}
	r.reported[f.Rule.ID] = true
	if f.Rule.ID == r.correlation && !r.window.Fired {
		t := time.Unix(0, at).UTC()
		r.window.Fired, r.window.FiredAt = true, &t
	}
}

// judge chooses the window around the event that comes nearest to firing, and says
// what it lacks.
func (r *replay) judge(p *Program, d *sigma.Document, e *event.Event) {
	w, k := r.window, d.Correlation
	slices.SortStableFunc(r.counted, func(a, b counted) int { return cmp.Compare(a.at, b.at) })
	rising := k.Type == sigma.Temporal || k.Type == sigma.TemporalOrdered || k.Condition.Op == "gte" || k.Condition.Op == "gt"
	best, measured := []counted(nil), math.Inf(-1)
	for _, last := range r.counted {
		if last.at < e.Time || last.at >= e.Time+int64(k.Timespan) || !rising && last.at > e.Time {
			continue
		}
		var in []counted
		for _, x := range r.counted {
			if x.at > last.at-int64(k.Timespan) && x.at <= last.at {
				in = append(in, x)
			}
		}
		if m := p.measure(k, in); m > measured {
			best, measured = in, m
			w.To = time.Unix(0, last.at).UTC()
			w.From = w.To.Add(-k.Timespan)
		}
	}
	if len(best) == 0 || math.IsInf(measured, 0) || math.IsNaN(measured) {
		measured = 0
	}
	w.Measured, w.Counted = measured, len(best)
	for _, x := range best[:min(len(best), maxWindowShown)] {
		w.Events = append(w.Events, WindowEvent{
			ID: x.id.String(), Time: time.Unix(0, x.at).UTC(), Rule: p.titleOf(x.rule), Value: shorten(x.value), Weight: x.weight, This: x.id == e.ID && x.at == e.Time,
		})
	}
	for _, name := range k.Rules {
		id, title := p.resolve(name)
		if slices.ContainsFunc(best, func(x counted) bool { return x.rule == id }) {
			w.SeenRules = append(w.SeenRules, title)
		} else {
			w.AbsentRules = append(w.AbsentRules, title)
		}
	}
	if len(k.Rules) == 1 {
		w.SeenRules, w.AbsentRules = []string{}, []string{}
	}
	if over := p.silencing(d); over != nil && !w.Fired && rising && (k.Condition.Op == "" && len(w.AbsentRules) == 0 || k.Condition.Op != "" && k.Condition.Holds(measured)) {
		w.Fired = true // the engine says nothing of it: another correlation counts it
		w.Reason = w.sentence(k) + fmt.Sprintf("; it raises nothing by itself, but counts for %s", quote(strings.TrimSpace(over.Title)))
		return
	}
	w.Reason = w.sentence(k)
}

// silencing returns the correlation that counts d and keeps it from reporting by
// itself, or nil.
func (p *Program) silencing(d *sigma.Document) *sigma.Document {
	for _, o := range p.correlations {
		if k := o.Correlation; !k.Generate && slices.ContainsFunc(k.Rules, func(n string) bool { return n != "" && (n == d.ID || n == d.Name) }) {
			return o
		}
	}
	return nil
}

func (w *Window) sentence(k *sigma.Correlation) string {
	var group []string
	for _, g := range w.Group {
		group = append(group, g.Field+" "+show(g.Value))
	}
	of := ""
	if len(group) > 0 {
		of = " of " + strings.Join(group, " and ")
	}
	have := fmt.Sprintf("within %s%s %s", w.Timespan, of, w.found(k))
	if w.Fired {
		return fmt.Sprintf("%s fires: %s", quote(w.Title), have)
	}
	switch {
	case k.Type == sigma.Temporal && len(w.AbsentRules) > 0:
		return fmt.Sprintf("%s waits for %s: %s", quote(w.Title), few(w.AbsentRules, " and "), have)
	case k.Type == sigma.TemporalOrdered:
		return fmt.Sprintf("%s wants its rules in order: %s", quote(w.Title), have)
	case k.Condition.Op == "gte" || k.Condition.Op == "gt":
		lack := k.Condition.Value - w.Measured
		if k.Condition.Op == "gt" && lack == math.Trunc(lack) {
			lack++
		}
		return fmt.Sprintf("%s is %s short: %s, and it fires at %s", quote(w.Title), number(lack), have, w.Condition)
	}
	return fmt.Sprintf("%s does not report it: %s, and it fires at %s", quote(w.Title), have, w.Condition)
}

// found says what the window holds.
func (w *Window) found(k *sigma.Correlation) string {
	n := number(math.Round(w.Measured*1000) / 1000)
	field := strings.Join(k.Condition.Field, " and ")
	switch k.Type {
	case sigma.EventCount:
		return n + " events count"
	case sigma.ValueCount:
		return fmt.Sprintf("there are %s different values of %s", n, field)
	case sigma.Temporal, sigma.TemporalOrdered:
		return fmt.Sprintf("%s of %d rules matched", n, len(k.Rules))
	}
	return fmt.Sprintf("the %s of %s is %s", strings.TrimPrefix(k.Type, "value_"), field, n)
}

// measure is what a correlation's condition compares, of the events in a window.
func (p *Program) measure(k *sigma.Correlation, in []counted) float64 {
	switch k.Type {
	case sigma.EventCount:
		sum := int64(0)
		for i, x := range in {
			if !slices.ContainsFunc(in[:i], func(y counted) bool { return y.id == x.id && y.at == x.at }) { // an event counts once
				sum += x.weight
			}
		}
		return float64(sum)
	case sigma.ValueCount:
		values := map[string]bool{}
		for _, x := range in {
			values[x.value] = true
		}
		return float64(len(values))
	case sigma.Temporal:
		rules := map[string]bool{}
		for _, x := range in {
			rules[x.rule] = true
		}
		return float64(len(rules))
	case sigma.TemporalOrdered:
		next := 0
		for _, x := range in {
			if next < len(k.Rules) {
				if id, _ := p.resolve(k.Rules[next]); id == x.rule {
					next++
				}
			}
		}
		return float64(next)
	}
	var numbers []float64
	sum := 0.0
	for _, x := range in {
		if !math.IsNaN(x.number) {
			numbers = append(numbers, x.number)
			sum += x.number
		}
	}
	switch {
	case k.Type == sigma.ValueSum:
		return sum
	case len(numbers) == 0:
		return math.NaN()
	case k.Type == sigma.ValueAvg:
		return sum / float64(len(numbers))
	}
	slices.Sort(numbers)
	if k.Type == sigma.ValueMedian {
		return (numbers[(len(numbers)-1)/2] + numbers[len(numbers)/2]) / 2
	}
	rank := int(math.Ceil(k.Condition.Percentile / 100 * float64(len(numbers))))
	return numbers[max(1, rank)-1]
}

// resolve returns id and title of the rule that a correlation names.
func (p *Program) resolve(name string) (id, title string) {
	for _, d := range p.all {
		if d.ID == name || d.Name == name {
			return d.ID, strings.TrimSpace(d.Title)
		}
	}
	return name, name
}

func (p *Program) titleOf(id string) string {
	_, title := p.resolve(id)
	return title
}
