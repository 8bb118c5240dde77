// Package workbench answers what people ask before they trust a rule: is it right
// (Problems), what does it do with these records (Try), why did it fire or not
// (Explain), what would it have given (Backtest, Forecast), and which techniques do
// the rules that can see anything cover (Coverage). It runs the very engine that runs
// live (packages parse and detect) and stores nothing but the results of jobs.
package workbench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Config is what the workbench needs. Events is required.
type Config struct {
	Events eventstore.Store
	Rules  *rule.Service // nil: there is no catalogue, every rule is given as a text
	Log    *slog.Logger
	Now    func() time.Time // nil means time.Now

	// Lists gives a tenant's value lists; nil: there are none.
	Lists func(ctx context.Context, tenant uint32) (map[string][]string, error)
	// Blind tells which rules cannot match what arrives, by id, with the reason; nil:
	// it is not known, and none counts as blind.
	Blind rule.HealthFunc
	// Alerts counts a tenant's alerts since a time by technique; nil: they are not
	// known.
	Alerts func(ctx context.Context, tenant uint32, since time.Time) (map[string]int64, error)

	// ForecastEvents is how many stored events a forecast reads before it takes
	// samples; 0 means 2,000,000.
	ForecastEvents int64
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	pause time.Duration // before a store that went away is asked again
}

// New returns the use cases.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ForecastEvents == 0 {
		c.ForecastEvents = 2_000_000
	}
	return &Service{Config: c, pause: 2 * time.Second}
}

// Kinds of jobs.
const (
	BacktestJob = "backtest"
	ForecastJob = "forecast"
)

// Kinds returns the jobs that the workbench can do.
func (s *Service) Kinds() map[string]job.Kind {
	const longest = 6 * time.Hour
	return map[string]job.Kind{
		BacktestJob: {Work: s.backtestJob, Time: longest},
		ForecastJob: {Work: s.forecastJob, Time: longest},
	}
}

// A Subject is the rule in question: a text, or a rule of the catalogue.
type Subject struct {
	Text string `json:"text,omitempty"`
	ID   string `json:"id,omitempty"`
}

// A Problem is one thing that is wrong with a rule's text.
type Problem struct {
	Line, Column int // from 1; 0: the whole text
	Message      string
}

// A Program is a rule made ready to run: its documents, what they refer to in the
// catalogue, and the exceptions that hold for it.
type Program struct {
	Documents []*sigma.Document // of the rule's own text, as written
	Problems  []Problem         // while there are any it does not run
	// Borrowed names rules of the catalogue that its correlations count.
	Borrowed []string
	Status   rule.Status // of a rule of the catalogue, else ""
	Staged   bool

	set          *detect.Ruleset
	named        []*sigma.Document // Documents, each with an id
	main         string            // id of the document that the rule is called after
	own          map[string]bool   // ids whose findings count
	all          []*sigma.Document // borrowed ones too
	correlations []*sigma.Document // of all
}

// Program makes a rule ready. A text that cannot be used is no error: see Problems.
func (s *Service) Program(ctx context.Context, tenant uint32, subject Subject) (*Program, error) {
	if (subject.Text == "") == (subject.ID == "") {
		return nil, fault.New(fault.Invalid, "give a rule's text or the id of a rule, one of the two")
	}
	p := &Program{own: map[string]bool{}}
	text := subject.Text
	if subject.ID != "" {
		if s.Rules == nil {
			return nil, fault.New(fault.NotFound, "there is no catalogue of rules")
		}
		d, err := s.Rules.Get(ctx, tenant, subject.ID)
		if err != nil {
			return nil, err
		}
		text, p.Status, p.Staged = d.YAML, d.Status, d.Staged
	}
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		p.Problems = []Problem{problemOf(err)}
		return p, nil
	}
	b := builder{service: s, tenant: tenant, program: p, docs: docs}
	if err := b.build(ctx, subject.ID); err != nil {
		return nil, err
	}
	return p, nil
}

func problemOf(err error) Problem {
	if e, ok := errors.AsType[*sigma.Error](err); ok {
		return Problem{e.Line, e.Column, e.Message}
	}
	return Problem{Message: err.Error()}
}

// builder gathers what a program is compiled from.
type builder struct {
	service *Service
	tenant  uint32
	program *Program
	docs    []*sigma.Document // of the text
	rules   []detect.Rule
	active  []rule.Active
	loaded  bool
}

func (b *builder) build(ctx context.Context, id string) error {
	p := b.program
	p.Documents = b.docs
	main := mainDocument(b.docs)
	for i, d := range b.docs {
		if d.ID == "" { // findings tell rules by their ids
			named := *d
			named.ID = fmt.Sprintf("document-%d", i+1)
			if i == main && id != "" {
				named.ID = id
			}
			d = &named
		}
		p.named = append(p.named, d)
		b.rules = append(b.rules, detect.Rule{Document: d, Version: 1})
		if d.Filter == nil {
			p.own[d.ID] = true
		}
		if i == main {
			p.main = d.ID
		}
	}
	if id != "" {
		if err := b.except(ctx, id); err != nil {
			return err
		}
	}
	if err := b.borrow(ctx, id); err != nil {
		return err
	}
	var options detect.Options
	if b.service.Lists != nil {
		var err error
		if options.Lists, err = b.service.Lists(ctx, b.tenant); err != nil {
			return fmt.Errorf("read value lists: %w", err)
		}
	}
	set, found := options.Compile(b.rules)
	p.set = set
	for i := range b.rules {
		d := b.rules[i].Document
		p.all = append(p.all, d)
		if d.Correlation != nil {
			p.correlations = append(p.correlations, d)
		}
	}
	for _, x := range found {
		if x.Index < len(b.docs) { // the rest is of other rules
			p.Problems = append(p.Problems, Problem{b.docs[x.Index].Line, 1, x.Message})
		}
	}
	return nil
}

// mainDocument returns the index of the document that a rule is called after: its
// first correlation, else its first.
func mainDocument(docs []*sigma.Document) int {
	return max(0, slices.IndexFunc(docs, func(d *sigma.Document) bool { return d.Correlation != nil }))
}

func (b *builder) load(ctx context.Context) error {
	if b.loaded || b.service.Rules == nil {
		return nil
	}
	var err error
	b.active, _, err = b.service.Rules.Active(ctx, b.tenant)
	b.loaded = err == nil
	return err
}

// except gives the rule's documents its exceptions.
func (b *builder) except(ctx context.Context, id string) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	i, ok := slices.BinarySearchFunc(b.active, id, func(a rule.Active, id string) int { return strings.Compare(a.ID, id) })
	if !ok {
		return nil
	}
	exceptions := exceptionsOf(&b.active[i])
	for i := range b.rules {
		b.rules[i].Exceptions = exceptions
	}
	return nil
}

func exceptionsOf(a *rule.Active) []detect.Exception {
	var out []detect.Exception
	for _, x := range a.Exceptions {
		docs, err := sigma.Parse([]byte(x.YAML))
		if err != nil || len(docs) != 1 || docs[0].Filter == nil { // it was checked when it was saved
			continue
		}
		until := int64(0)
		if !x.Until.IsZero() {
			until = x.Until.UnixNano()
		}
		out = append(out, detect.Exception{ID: x.ID, Filter: docs[0], Until: until})
	}
	return out
}

// borrow adds the rules of the catalogue that the correlations refer to, theirs too,
// and the filters of the catalogue that may be for one of all these.
func (b *builder) borrow(ctx context.Context, id string) error {
	have := map[string]bool{}
	var wanted []string
	note := func(d *sigma.Document) {
		have[d.ID] = true
		if d.Name != "" {
			have[d.Name] = true
		}
		if d.Correlation != nil {
			wanted = append(wanted, d.Correlation.Rules...)
		}
	}
	for _, d := range b.program.named {
		note(d)
	}
	for len(wanted) > 0 {
		name := wanted[0]
		wanted = wanted[1:]
		if have[name] {
			continue
		}
		have[name] = true
		if err := b.load(ctx); err != nil {
			return err
		}
		for _, d := range b.named(name, id) {
			note(d)
		}
	}
	if err := b.load(ctx); err != nil {
		return err
	}
	for i := range b.active {
		a := &b.active[i]
		if a.ID == id || !mayFilter(a.YAML) {
			continue
		}
		docs, err := sigma.Parse([]byte(a.YAML))
		if err != nil {
			continue
		}
		for _, d := range docs {
			if d.Filter != nil {
				b.rules = append(b.rules, detect.Rule{Document: d, Version: a.Version})
			}
		}
	}
	return nil
}

// mayFilter tells whether a text may hold a filter document: its key stands at the
// begin of a line. Selections are often called so too, and parsing all of them would
// take seconds.
func mayFilter(text string) bool {
	return strings.HasPrefix(text, "filter:") || strings.Contains(text, "\nfilter:")
}

// named adds the documents of the active rule that has one of the name.
func (b *builder) named(name, except string) []*sigma.Document {
	for i := range b.active {
		a := &b.active[i]
		if a.ID == except || !strings.Contains(a.YAML, name) { // parsing all would take seconds
			continue
		}
		docs, err := sigma.Parse([]byte(a.YAML))
		if err != nil || !slices.ContainsFunc(docs, func(d *sigma.Document) bool { return d.ID == name || d.Name == name }) {
			continue
		}
		exceptions := exceptionsOf(a)
		for _, d := range docs {
			if d.Filter == nil {
				b.rules = append(b.rules, detect.Rule{Document: d, Version: a.Version, Origin: a.Origin, Exceptions: exceptions})
			}
		}
		b.program.Borrowed = append(b.program.Borrowed, a.ID)
		return docs
	}
	return nil
}

// Title is what the rule is called.
func (p *Program) Title() string {
	for _, d := range p.named {
		if d.ID == p.main {
			return strings.TrimSpace(d.Title)
		}
	}
	return ""
}

// unusable is the error of a program that cannot run.
func (p *Program) unusable() error {
	if len(p.Problems) == 0 {
		return nil
	}
	x := p.Problems[0]
	if x.Line == 0 {
		return fault.New(fault.Invalid, "%s", x.Message).In("rule")
	}
	return fault.New(fault.Invalid, "line %d, column %d: %s", x.Line, x.Column, x.Message).In("rule")
}

// A player runs a program on events in their order.
type player struct {
	program  *Program
	matcher  *detect.Matcher
	detector *detect.Detector
	hits     []detect.Hit
	nanos    int64 // that the engine took
}

func newPlayer(p *Program) *player {
	return &player{program: p, matcher: p.set.NewMatcher(), detector: detect.New(func(uint32) *detect.Ruleset { return p.set })}
}

// event runs one event and returns the rules that match it, valid until the next.
func (x *player) event(e *event.Event) []detect.Hit {
	x.hits = x.matcher.Match(e, x.hits[:0])
	x.detector.Apply(e, x.hits, nil)
	return x.hits
}

// end judges the windows that have ended by a time, in which nothing can come any more.
func (x *player) end(tenant uint32, at int64) {
	x.detector.Apply(&event.Event{Tenant: tenant, Time: at, Arrived: at}, nil, nil)
	x.detector.Flush()
}

// document returns the document of the rule's own text with an id, or nil.
func (p *Program) document(id string) *sigma.Document {
	for _, d := range p.named {
		if d.ID == id {
			return d
		}
	}
	return nil
}
