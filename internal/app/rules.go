package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/pipeline"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/rules"
)

// newRules returns the catalogue with the built-in rules of this version in it.
func newRules(ctx context.Context, db *sqldb.DB, log *slog.Logger) (*rule.Service, error) {
	service := rule.New(db, checkRule)
	var builtin []rule.Builtin
	err := fs.WalkDir(rules.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(rules.FS, path)
		if err != nil {
			return err
		}
		meta, err := checkRule(text)
		if err != nil {
			return fmt.Errorf("built-in rule %s: %w", path, err)
		}
		builtin = append(builtin, rule.Builtin{Meta: meta, YAML: string(text)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	changed, err := service.Sync(ctx, builtin)
	if err != nil {
		return nil, err
	}
	if changed > 0 {
		log.InfoContext(ctx, "built-in rules are up to date", "rules", len(builtin), "changed", changed)
	}
	return service, nil
}

// checkRule reads the YAML of one rule: a detection rule, or a correlation with
// the rules that it counts. What is wrong is a fault with line and column.
func checkRule(text []byte) (rule.Meta, error) {
	docs, err := sigma.Parse(text)
	if e, ok := errors.AsType[*sigma.Error](err); ok {
		return rule.Meta{}, fault.New(fault.Invalid, "line %d, column %d: %s", e.Line, e.Column, e.Message).In("yaml")
	}
	if err != nil {
		return rule.Meta{}, fault.New(fault.Invalid, "%s", err.Error()).In("yaml")
	}
	list := make([]detect.Rule, len(docs))
	for i, d := range docs {
		list[i] = detect.Rule{Document: d, Version: 1}
	}
	if _, problems := detect.Compile(list); len(problems) > 0 {
		return rule.Meta{}, fault.New(fault.Invalid, "rule %s: %s", problems[0].Rule, problems[0].Message).In("yaml")
	}
	d := mainDocument(docs)
	kind := "detection"
	if d.Correlation != nil {
		kind = "correlation"
	}
	return rule.Meta{
		ID: d.ID, Name: d.Title, Description: d.Description, Author: d.Author, Severity: severityOf(d.Level), Type: kind,
		Source: sourceOf(d, docs), Tactics: d.Tactics(), Techniques: d.Techniques(),
	}, nil
}

// mainDocument is what the rule is called after.
func mainDocument(docs []*sigma.Document) *sigma.Document {
	for _, d := range docs {
		if d.Correlation != nil {
			return d
		}
	}
	return docs[0]
}

func severityOf(level string) string {
	switch level {
	case "critical", "high", "medium", "low":
		return level
	}
	return "info" // Sigma's informational, and none
}

// sourceOf tells which product a rule looks at, as far as it says so.
func sourceOf(d *sigma.Document, docs []*sigma.Document) string {
	if d.Kyra.Source != "" {
		return d.Kyra.Source
	}
	for _, d := range docs {
		for _, name := range []string{d.LogSource.Service, d.LogSource.Product, d.LogSource.Category} {
			if name != "" {
				return name
			}
		}
	}
	return ""
}

// rulesets holds the compiled rules of each tenant and keeps them up to date.
type rulesets struct {
	rules *rule.Service
	log   *slog.Logger

	mu       sync.RWMutex
	tenants  map[uint32]*compiled
	shared   map[string]*detect.Ruleset // by the identity of the rules in it: most tenants have the same
	compiles sync.Mutex
}

type compiled struct {
	set        *detect.Ruleset
	generation uint64
}

func newRulesets(rules *rule.Service, log *slog.Logger) *rulesets {
	return &rulesets{rules: rules, log: log, tenants: map[uint32]*compiled{}, shared: map[string]*detect.Ruleset{}}
}

// get returns the tenant's compiled rules; the first call for a tenant compiles them.
func (r *rulesets) get(ctx context.Context, tenant uint32) (*detect.Ruleset, error) {
	r.mu.RLock()
	c := r.tenants[tenant]
	r.mu.RUnlock()
	if c != nil {
		return c.set, nil
	}
	return r.load(ctx, tenant)
}

// run looks for changed rules each second until ctx is done.
func (r *rulesets) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r.mu.RLock()
		known := make(map[uint32]uint64, len(r.tenants))
		for t, c := range r.tenants {
			known[t] = c.generation
		}
		r.mu.RUnlock()
		for t, generation := range known {
			now, err := r.rules.Generation(ctx, t)
			if err == nil && now != generation {
				_, err = r.load(ctx, t)
			}
			if err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "changed rules cannot be read: the old ones stay", "tenant", t, "err", err)
			}
		}
	}
}

// load compiles what is active and swaps it in.
func (r *rulesets) load(ctx context.Context, tenant uint32) (*detect.Ruleset, error) {
	r.compiles.Lock()
	defer r.compiles.Unlock()
	active, generation, err := r.rules.Active(ctx, tenant)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(active))
	for i, a := range active {
		names[i] = fmt.Sprintf("%s@%d", a.ID, a.Version)
		if !a.Builtin {
			names[i] += fmt.Sprintf("/%d", tenant)
		}
	}
	slices.Sort(names)
	identity := strings.Join(names, " ")
	r.mu.RLock()
	set := r.shared[identity]
	r.mu.RUnlock()
	if set == nil {
		set = r.compile(ctx, active)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tenants[tenant] = &compiled{set, generation}
	used := map[*detect.Ruleset]bool{}
	for _, c := range r.tenants {
		used[c.set] = true
	}
	for name, s := range r.shared {
		if !used[s] {
			delete(r.shared, name)
		}
	}
	r.shared[identity] = set
	return set, nil
}

func (r *rulesets) compile(ctx context.Context, active []rule.Active) *detect.Ruleset {
	var list []detect.Rule
	for _, a := range active {
		docs, err := sigma.Parse([]byte(a.YAML))
		if err != nil { // it was checked when it was saved: an older version took it
			r.log.ErrorContext(ctx, "rule cannot be read: left out", "rule", a.ID, "err", err)
			continue
		}
		for _, d := range docs {
			list = append(list, detect.Rule{Document: d, Version: a.Version})
		}
	}
	set, problems := detect.Compile(list)
	for _, p := range problems {
		r.log.WarnContext(ctx, "rule is left out", "rule", p.Rule, "reason", p.Message)
	}
	return set
}

// recorder writes findings as alerts, incidents and counters of their rules.
func recorder(alerts *alert.Service, incidents *incident.Service, rules *rule.Service) pipeline.Recorder {
	return func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
		outcomes, err := alerts.Record(ctx, tx, now, findings)
		if err != nil {
			return err
		}
		if err := incidents.FromAlerts(ctx, tx, now, outcomes); err != nil {
			return err
		}
		var matches []rule.Match
		at := map[string]int{}
		for i := range findings {
			f := &findings[i]
			key := fmt.Sprintf("%d/%s", f.Tenant, f.Rule.ID)
			n, ok := at[key]
			if !ok {
				n = len(matches)
				at[key] = n
				matches = append(matches, rule.Match{Tenant: f.Tenant, RuleID: f.Rule.ID})
			}
			matches[n].Count += f.Count
		}
		return rules.RecordMatches(ctx, tx, now, matches)
	}
}
