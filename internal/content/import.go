package content

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sight"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Options are the choices of an import. Zero fields are good.
type Options struct {
	Pack    string // name; "" is that of the folder or archive
	Source  string // URI of the pack; "" is SigmaHQ's for a tree laid out so
	License string // of rules that name none; "" is what the pack's licence file says

	Status     rule.Status // of new rules; "" is active
	Staged     bool
	MinLevel   string // rules below are left out
	OnConflict rule.Resolution
	Prune      bool
	DryRun     bool
}

// A Report tells what an import did, or would do.
type Report struct {
	Pack, Source, License string
	Format                string
	DryRun                bool
	Files                 int

	// Loaded counts the rules that are in the catalogue now: the sum of the five
	// beside it.
	Loaded, Created, Updated, Unchanged, Edited, Conflicting int

	Skipped []Skipped
	Refused []Refusal   // in order of file and line
	Blind   []BlindRule // loaded, but unable to match anything that arrives
	Lists   []Wanted    // value lists that rules wait for, by name
	Changed []Changed   // updated
	Clashes []Clash     // conflicts
	Gone    []rule.Gone

	left []string // files of which a rule was left out: they are not gone
}

// Skipped counts rules that were left out as asked or as is usual.
type Skipped struct {
	Reason string
	Count  int
}

// A BlindRule is a rule that cannot match, and why.
type BlindRule struct{ ID, Name, File, Reason string }

// Wanted is a value list that is absent or empty, and how many rules need it.
type Wanted struct {
	Name  string
	Rules int
}

// Changed names a rule that was updated.
type Changed struct{ ID, Name, File string }

// A Clash is a rule that was changed both here and where it comes from: what was
// changed on each side, as unified differences.
type Clash struct {
	ID, Name, File string
	Ours, Theirs   string
}

// An Importer brings rules into catalogues.
type Importer struct {
	Rules *rule.Service
	Sight *sight.Service
}

// Import brings the rules of t into the tenant's catalogue.
func (im *Importer) Import(ctx context.Context, tenant uint32, actor string, t *Tree, f Format, o Options) (*Report, error) {
	if o.MinLevel != "" && levelRank(o.MinLevel) < 0 {
		return nil, fault.New(fault.Invalid, "Allowed: informational, low, medium, high, critical").In("minLevel")
	}
	if len(t.Files) == 0 && len(t.Refused) == 0 {
		return nil, fault.New(fault.Invalid, "There is no file of rules in it: names end in %s", strings.Join(f.Suffixes, " or "))
	}
	o.Pack = cmp.Or(o.Pack, t.Name, "imported")
	if t.looksLikeSigmaHQ() {
		o.Source, o.License = cmp.Or(o.Source, sigmaHQ), cmp.Or(o.License, DRL)
	}
	o.License = cmp.Or(spdx(o.License), t.License)
	report := &Report{Pack: o.Pack, Source: o.Source, License: o.License, Format: f.Name, DryRun: o.DryRun, Files: len(t.Files)}
	candidates, refused := f.Convert(t.Files)
	report.Refused = append(slices.Clone(t.Refused), refused...)
	candidates = report.pick(candidates, &o)
	if len(candidates) > maxRules {
		return nil, fault.New(fault.TooLarge, "more than %d rules: import a part of them", maxRules)
	}
	in := rule.Import{
		Pack: o.Pack, Status: o.Status, Staged: o.Staged, OnConflict: o.OnConflict, Prune: o.Prune, DryRun: o.DryRun,
		Whole: !t.single, Present: report.present(),
	}
	for i := range candidates {
		c := &candidates[i]
		in.Rules = append(in.Rules, rule.Imported{Meta: c.Meta, YAML: c.Text, File: c.File})
	}
	result, err := im.Rules.Import(ctx, tenant, actor, in)
	if err != nil {
		return nil, err
	}
	report.take(candidates, result)
	if err := im.judge(ctx, tenant, report, candidates, result); err != nil {
		return nil, err
	}
	report.sort()
	return report, nil
}

// Why rules are left out.
const (
	leftStatus = "status deprecated or unsupported"
	leftLevel  = "level below the least one asked for"
)

// pick completes the candidates and takes out what is not to be loaded.
func (r *Report) pick(all []Candidate, o *Options) []Candidate {
	left := map[string]int{}
	byName := map[string]*sigma.Document{}
	var good []Candidate
	for i := range all {
		c := &all[i]
		if bad := c.complete(o.Pack); bad != nil {
			r.Refused = append(r.Refused, *bad)
			continue
		}
		for _, d := range c.docs {
			byName[d.ID], byName[d.Name] = d, d
		}
		good = append(good, *c)
	}
	out := good[:0]
	for _, c := range good {
		main := sigma.Main(c.docs)
		switch {
		case main.Status == "deprecated" || main.Status == "unsupported":
			left[leftStatus]++
			r.left = append(r.left, c.File)
			continue
		case o.MinLevel != "" && levelRank(c.Meta.Severity) < levelRank(o.MinLevel):
			left[leftLevel]++
			r.left = append(r.left, c.File)
			continue
		}
		if reason := cannotRun(c.docs, byName); reason != "" {
			line, reason := place(&c, reason)
			r.Refused = append(r.Refused, Refusal{File: c.File, Line: line, Column: 1, ID: c.Meta.ID, Name: c.Meta.Name, Reason: reason})
			continue
		}
		c.Meta.License = cmp.Or(c.Meta.License, o.License)
		c.Meta.Origin = originOf(o.Source, o.Pack, c.File)
		out = append(out, c)
	}
	for _, reason := range []string{leftStatus, leftLevel} {
		if left[reason] > 0 {
			r.Skipped = append(r.Skipped, Skipped{reason, left[reason]})
		}
	}
	return out
}

// cannotRun has the engine look at correlations, filters and texts of several documents;
// others were checked by reading them. What a list or another rule that comes later
// can mend is no fault: the rule is blind until then.
func cannotRun(docs []*sigma.Document, byName map[string]*sigma.Document) string {
	if len(docs) == 1 && docs[0].Correlation == nil && docs[0].Filter == nil {
		return ""
	}
	var list []detect.Rule
	add := func(d *sigma.Document) { list = append(list, detect.Rule{Document: d, Version: 1}) }
	for _, d := range docs {
		add(d)
	}
	for at := 0; at < len(list) && len(list) < maxTogether; at++ {
		c := list[at].Document.Correlation
		if c == nil {
			continue
		}
		for _, name := range c.Rules {
			if d := byName[name]; d != nil && !slices.ContainsFunc(list, func(r detect.Rule) bool { return r.Document == d }) {
				add(d)
			}
		}
	}
	_, problems := detect.Compile(list)
	for _, p := range problems {
		switch {
		case p.Index >= len(docs), p.Kind == detect.NeedsList:
		case p.Kind == detect.Unresolved && (docs[p.Index].Filter != nil || len(rule.Referred(docs)) > 0):
		default:
			return p.Message
		}
	}
	return ""
}

// place takes the line out of what the engine says and finds it in the file.
func place(c *Candidate, reason string) (int, string) {
	var n int
	if _, err := fmt.Sscanf(reason, "line %d: ", &n); err != nil {
		return c.Line, reason
	}
	_, reason, _ = strings.Cut(reason, ": ")
	if len(c.docs) > 1 { // it counts from one of them
		return c.Line, reason
	}
	return c.Line - c.docs[0].Line + n, reason
}

const maxTogether = 500 // rules that one correlation may lead to

// originOf is the URI of a rule.
func originOf(source, pack, file string) string {
	escaped := (&url.URL{Path: file}).EscapedPath()
	switch {
	case source == "":
		return "file:" + url.PathEscape(pack) + "/" + escaped
	case strings.HasPrefix(source, "https://github.com/") && strings.Count(strings.Trim(source[len("https://github.com/"):], "/"), "/") == 1:
		return strings.TrimSuffix(strings.TrimRight(source, "/"), ".git") + "/blob/HEAD/" + escaped
	}
	return source + "#" + escaped
}

func (r *Report) present() map[string]bool {
	out := map[string]bool{}
	for _, f := range r.left {
		out[f] = true
	}
	for _, x := range r.Refused {
		out[x.File] = true
	}
	return out
}

// take counts what became of the candidates.
func (r *Report) take(candidates []Candidate, result *rule.ImportResult) {
	r.Gone = result.Gone
	for i := range candidates {
		c, o := &candidates[i], &result.Outcomes[i]
		switch o.Happening {
		case rule.Refused:
			r.Refused = append(r.Refused, Refusal{File: c.File, Line: c.Line, Column: 1, ID: c.Meta.ID, Name: c.Meta.Name, Reason: o.Reason})
			continue
		case rule.Created:
			r.Created++
		case rule.Updated:
			r.Updated++
			r.Changed = append(r.Changed, Changed{c.Meta.ID, c.Meta.Name, c.File})
		case rule.Unchanged:
			r.Unchanged++
		case rule.Edited:
			r.Edited++
		case rule.Conflict:
			r.Conflicting++
			r.Clashes = append(r.Clashes, Clash{c.Meta.ID, c.Meta.Name, c.File, o.Ours, o.Theirs})
		}
		r.Loaded++
	}
}

// judge finds the loaded rules that are blind.
func (im *Importer) judge(ctx context.Context, tenant uint32, r *Report, candidates []Candidate, result *rule.ImportResult) error {
	texts := make([][]*sigma.Document, len(candidates))
	for i := range candidates {
		texts[i] = candidates[i].docs
	}
	verdicts, err := im.Sight.Judge(ctx, tenant, texts)
	if err != nil {
		return fmt.Errorf("find blind rules: %w", err)
	}
	wanted := map[string]int{}
	for i, v := range verdicts {
		if !v.Blind || result.Outcomes[i].Happening == rule.Refused {
			continue
		}
		c := &candidates[i]
		r.Blind = append(r.Blind, BlindRule{c.Meta.ID, c.Meta.Name, c.File, v.Reason})
		for _, l := range v.Lists {
			wanted[l]++
		}
	}
	for name, n := range wanted {
		r.Lists = append(r.Lists, Wanted{name, n})
	}
	return nil
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Refused, func(a, b Refusal) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	slices.SortFunc(r.Lists, func(a, b Wanted) int { return cmp.Compare(a.Name, b.Name) })
}

// levelRank orders levels; -1 for none.
func levelRank(level string) int {
	if level == "info" {
		level = "informational"
	}
	return slices.Index([]string{"informational", "low", "medium", "high", "critical"}, strings.ToLower(level))
}
