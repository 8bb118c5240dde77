package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// CheckItem is a check of the list.
type CheckItem struct {
	ID          string            `json:"id" example:"log-retention"`
	Title       string            `json:"title"`
	Group       string            `json:"group"`
	Tier        string            `json:"tier" enum:"core,extended"`
	Result      string            `json:"result" enum:"pass,partial,fail,noData" doc:"The worst of its variants; noData only where none has data."`
	Measures    string            `json:"measures"`
	Evidence    string            `json:"evidence" doc:"What its artifact shows."`
	Sources     []string          `json:"sources" nullable:"false"`
	Params      map[string]any    `json:"params" nullable:"false"`
	Thresholds  map[string]string `json:"thresholds" nullable:"false"`
	Absence     string            `json:"absence" enum:"noData,fail" doc:"What a missing source means unless a control says otherwise."`
	Cadence     string            `json:"cadence" enum:"hourly,daily,weekly" doc:"A result is stale after twice that."`
	Version     int               `json:"version"`
	Frameworks  int               `json:"frameworks" doc:"That rely on it."`
	Controls    int               `json:"controls" doc:"Of all frameworks that rely on it."`
	EvaluatedAt *time.Time        `json:"evaluatedAt" nullable:"true"`
	Variants    []checkVariant    `json:"variants" nullable:"false" doc:"The check with what controls ask of it; each is evaluated once."`

	_ struct{} `additionalProperties:"true"`
}

type checkVariant struct {
	Key         string         `json:"key" example:"log-retention?piiMinDays=730"`
	Own         map[string]any `json:"own" nullable:"false" doc:"Parameters that differ from the check's."`
	Result      string         `json:"result" enum:"pass,partial,fail,noData"`
	Value       *float64       `json:"value" nullable:"true"`
	Unit        string         `json:"unit"`
	Threshold   string         `json:"threshold"`
	Reason      string         `json:"reason"`
	EvaluatedAt *time.Time     `json:"evaluatedAt" nullable:"true"`
	Stale       bool           `json:"stale"`
	EvidenceID  *string        `json:"evidenceId" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

type (
	checkDetail struct {
		CheckItem
		Crosswalk []crosswalkFramework `json:"crosswalk" nullable:"false"`
		History   []checkDay           `json:"history" nullable:"false" doc:"By variant and day, UTC, the newest first."`

		_ struct{} `additionalProperties:"true"`
	}
	checkDay struct {
		Day     string   `json:"day" format:"date"`
		Variant string   `json:"variant"`
		Last    string   `json:"last" enum:"pass,partial,fail,noData"`
		Worst   string   `json:"worst" enum:"pass,partial,fail,noData"`
		Value   *float64 `json:"value" nullable:"true"`
		Runs    int64    `json:"runs"`

		_ struct{} `additionalProperties:"true"`
	}
	checkOut  struct{ Body checkDetail }
	byCheckIn struct {
		Check string `path:"check" example:"log-retention"`
	}

	crosswalkItem struct {
		Check      string               `json:"check"`
		Title      string               `json:"title"`
		Group      string               `json:"group"`
		Result     string               `json:"result" enum:"pass,partial,fail,noData"`
		Controls   int                  `json:"controls"`
		Frameworks []crosswalkFramework `json:"frameworks" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
	crosswalkFramework struct {
		Framework string             `json:"framework" example:"PCIDSS"`
		Name      string             `json:"name"`
		Controls  []crosswalkControl `json:"controls" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
	crosswalkControl struct {
		ID     string `json:"id"`
		Title  string `json:"title"`
		Status string `json:"status"`

		_ struct{} `additionalProperties:"true"`
	}

	gainItem struct {
		Check      string          `json:"check"`
		Title      string          `json:"title"`
		Group      string          `json:"group"`
		Result     string          `json:"result" enum:"partial,fail,noData"`
		Reason     string          `json:"reason" doc:"What was found and what to do."`
		Summary    string          `json:"summary" doc:"Controls that would be better or ready to attest, by framework." example:"+3 ISMS-P, +2 PCI DSS"`
		Controls   int             `json:"controls" doc:"Whose status would be better, over all frameworks."`
		Ready      int             `json:"ready" doc:"That would wait for nothing but a person's word."`
		Frameworks []frameworkGain `json:"frameworks" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
	frameworkGain struct {
		Framework string   `json:"framework"`
		Name      string   `json:"name"`
		Better    []string `json:"better" nullable:"false"`
		Ready     []string `json:"ready" nullable:"false"`
		Compliant int      `json:"compliant" doc:"More compliant controls."`
		Score     float64  `json:"score" doc:"By how much the score would change. It falls where a partial control would then wait for a person."`

		_ struct{} `additionalProperties:"true"`
	}
)

func (a *api) checks() {
	handle(a, operation{
		id: "listChecks", method: http.MethodGet, path: "/compliance/checks", tag: complianceTag, summary: "List checks with their results",
		params: append(pages(), languageParam,
			param{name: "group", doc: "Filter by group.", many: true},
			param{name: "result", doc: "Filter by result.", kind: enum, values: asTexts(compliance.Outcomes), many: true},
			param{name: "tier", doc: "Filter by tier.", kind: enum, values: []string{"core", "extended"}},
			param{name: "search", doc: "Part of the id or the title, whatever the case."}),
	}, a.listChecks)
	handle(a, operation{
		id: "getCheck", method: http.MethodGet, path: "/compliance/checks/{check}", tag: complianceTag, summary: "Get a check with its history and the controls that rely on it", single: true,
		params: []param{languageParam},
	}, a.getCheck)
	handle(a, operation{
		id: "getCrosswalk", method: http.MethodGet, path: "/compliance/crosswalk", tag: complianceTag, summary: "List which controls of each framework rely on a check",
		doc:    "One result serves every control that names its check. The check that most controls rely on comes first.",
		params: append(pages(), languageParam, param{name: "check", doc: "Only these checks.", many: true}, param{name: "framework", doc: "Only controls of these frameworks.", many: true}),
	}, a.crosswalk)
	handle(a, operation{
		id: "listGains", method: http.MethodGet, path: "/compliance/gains", tag: complianceTag, summary: "List what one fix would improve",
		doc:    "For every check that does not pass: the controls that would stand better if it did, over all frameworks, the greatest gain first.",
		params: append(pages(), languageParam, profileParam),
	}, a.gains)
}

func cadenceText(d time.Duration) string {
	switch d {
	case time.Hour:
		return "hourly"
	case 24 * time.Hour:
		return "daily"
	}
	return "weekly"
}

// checkTable is what the list of checks is made from.
type checkTable struct {
	views    []*compliance.View
	variants map[string][]compliance.Variant
	walk     map[string]map[string][]string
	results  map[string]*compliance.Result
}

func (a *api) checkTable(ctx context.Context, c *call, p compliance.Profile) (*checkTable, error) {
	t := &checkTable{variants: map[string][]compliance.Variant{}}
	var err error
	if t.views, err = a.Compliance.Views(ctx, c.Tenant.Number, p, a.Now()); err != nil {
		return nil, err
	}
	frameworks := make([]*compliance.Framework, len(t.views))
	for i, v := range t.views {
		frameworks[i] = v.Framework
	}
	for _, v := range a.Compliance.Catalogue.Variants(frameworks) {
		t.variants[v.Check] = append(t.variants[v.Check], v)
	}
	t.walk = a.Compliance.Catalogue.Crosswalk(frameworks)
	t.results, err = a.Compliance.Results(ctx, c.Tenant.Number)
	return t, err
}

func (a *api) checkOf(t *checkTable, k *compliance.Check, lang string) CheckItem {
	out := CheckItem{
		ID: k.ID, Title: inLanguage(lang, k.Title, k.TitleKo), Group: k.Group, Tier: string(k.Tier), Result: string(compliance.NoData), Measures: k.Measures, Evidence: k.Evidence, Sources: k.Sources, Params: k.Params,
		Thresholds: k.Thresholds, Absence: string(k.Absence), Cadence: cadenceText(k.Cadence), Version: k.Version, Frameworks: len(t.walk[k.ID]), Variants: []checkVariant{},
	}
	if out.Params == nil {
		out.Params = map[string]any{}
	}
	for _, controls := range t.walk[k.ID] {
		out.Controls += len(controls)
	}
	worst := -1
	for i := range t.variants[k.ID] {
		v := &t.variants[k.ID][i]
		item := checkVariant{Key: v.Key(), Own: v.Own, Result: string(compliance.NoData)}
		if r := t.results[v.Key()]; r != nil {
			item.Value, item.Unit, item.Threshold, item.Reason, item.EvaluatedAt, item.EvidenceID = r.Value, r.Unit, r.Threshold, r.ReasonIn(lang), &r.CollectedAt, orNull(r.EvidenceID)
			if item.Stale = a.Compliance.Stale(r, a.Now()); !item.Stale {
				item.Result = string(r.Outcome)
			}
			if out.EvaluatedAt == nil || r.CollectedAt.After(*out.EvaluatedAt) {
				out.EvaluatedAt = &r.CollectedAt
			}
		}
		if rank := slices.Index([]string{"pass", "partial", "fail"}, item.Result); rank > worst {
			worst, out.Result = rank, item.Result
		}
		out.Variants = append(out.Variants, item)
	}
	return out
}

func (a *api) listChecks(ctx context.Context, c *call, _ *none) (*pageOut[CheckItem], error) {
	t, err := a.checkTable(ctx, c, compliance.Full)
	if err != nil {
		return nil, err
	}
	var all []CheckItem
	for i := range a.Compliance.Catalogue.Checks {
		item := a.checkOf(t, &a.Compliance.Catalogue.Checks[i], c.reading())
		one := func(name, value string) bool {
			given := c.query.all(name)
			return len(given) == 0 || slices.Contains(given, value)
		}
		if one("group", item.Group) && one("result", item.Result) && one("tier", item.Tier) && contains(c.query.one("search"), item.ID, item.Title) {
			all = append(all, item)
		}
	}
	k, part := slice(c.query, all)
	return pageOf(k, int64(len(all)), part, func(x *CheckItem) CheckItem { return *x }), nil
}

func (a *api) getCheck(ctx context.Context, c *call, in *byCheckIn) (*checkOut, error) {
	k := a.Compliance.Catalogue.Check(in.Check)
	if k == nil {
		return nil, fault.New(fault.NotFound, "no such check")
	}
	t, err := a.checkTable(ctx, c, compliance.Full)
	if err != nil {
		return nil, err
	}
	out := &checkOut{checkDetail{CheckItem: a.checkOf(t, k, c.reading()), Crosswalk: t.crosswalkOf(k.ID, c.reading(), nil)}}
	now := a.Now()
	days, err := a.Compliance.Outcomes(ctx, c.Tenant.Number, k.ID, now.AddDate(-1, 0, 0), now)
	if err != nil {
		return nil, err
	}
	out.Body.History = mapped(days, func(d *compliance.OutcomeDay) checkDay {
		return checkDay{Day: d.Day.Format(time.DateOnly), Variant: d.Variant, Last: string(d.Last), Worst: string(d.Worst), Value: d.Value, Runs: d.Runs}
	})
	return out, nil
}

// crosswalkOf lists the controls that rely on a check, of the frameworks (nil: all).
func (t *checkTable) crosswalkOf(check, lang string, only []*compliance.Framework) []crosswalkFramework {
	out := []crosswalkFramework{}
	for _, v := range t.views {
		f := v.Framework
		ids := t.walk[check][f.ID]
		if len(ids) == 0 || only != nil && !slices.Contains(only, f) {
			continue
		}
		item := crosswalkFramework{Framework: f.ID, Name: f.Name, Controls: []crosswalkControl{}}
		for i := range v.All {
			if k := v.All[i].Control; slices.Contains(ids, k.ID) {
				item.Controls = append(item.Controls, crosswalkControl{ID: k.ID, Title: inLanguage(lang, k.Title, k.TitleKo), Status: string(v.All[i].Status)})
			}
		}
		out = append(out, item)
	}
	return out
}

func (a *api) crosswalk(ctx context.Context, c *call, _ *none) (*pageOut[crosswalkItem], error) {
	t, err := a.checkTable(ctx, c, compliance.Full)
	if err != nil {
		return nil, err
	}
	var only []*compliance.Framework
	for _, name := range c.query.all("framework") {
		f, err := a.Compliance.Find(ctx, c.Tenant.Number, name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "There is no framework %q", name).In("framework")
		}
		only = append(only, f)
	}
	lang := c.reading()
	var all []crosswalkItem
	for i := range a.Compliance.Catalogue.Checks {
		k := &a.Compliance.Catalogue.Checks[i]
		if given := c.query.all("check"); len(given) > 0 && !slices.Contains(given, k.ID) {
			continue
		}
		item := crosswalkItem{Check: k.ID, Title: inLanguage(lang, k.Title, k.TitleKo), Group: k.Group, Result: a.checkOf(t, k, lang).Result, Frameworks: t.crosswalkOf(k.ID, lang, only)}
		for _, f := range item.Frameworks {
			item.Controls += len(f.Controls)
		}
		if item.Controls > 0 {
			all = append(all, item)
		}
	}
	slices.SortStableFunc(all, func(x, y crosswalkItem) int { return y.Controls - x.Controls })
	k, part := slice(c.query, all)
	return pageOf(k, int64(len(all)), part, func(x *crosswalkItem) crosswalkItem { return *x }), nil
}

func (a *api) gains(ctx context.Context, c *call, _ *none) (*pageOut[gainItem], error) {
	all, err := a.Compliance.Gains(ctx, c.Tenant.Number, compliance.Profile(c.query.one("profile")), a.Now())
	if err != nil {
		return nil, err
	}
	lang := c.reading()
	k, part := slice(c.query, all)
	return pageOf(k, int64(len(all)), part, func(g *compliance.Gain) gainItem {
		out := gainItem{
			Check: g.Check.ID, Title: inLanguage(lang, g.Check.Title, g.Check.TitleKo), Group: g.Check.Group, Result: string(g.Outcome), Summary: g.String(), Controls: g.Controls, Ready: g.Ready,
			Frameworks: make([]frameworkGain, len(g.By)),
		}
		if g.Result != nil {
			out.Reason = g.Result.ReasonIn(lang)
		}
		for i, f := range g.By {
			out.Frameworks[i] = frameworkGain{Framework: f.Framework.ID, Name: f.Framework.Name, Better: f.Better, Ready: f.Ready, Compliant: f.Compliant, Score: points(f.Score)}
		}
		return out
	}), nil
}
