package api

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// openCompliance gives c a service that judges what others found, where it has none.
func (c *Config) openCompliance() {
	if c.Compliance == nil {
		c.Compliance = compliance.New(compliance.Config{DB: c.DB, Log: c.Log, Now: c.Now})
	}
}

const complianceTag = "Compliance"

// FrameworkItem is a framework of the list.
type FrameworkItem struct {
	ID               string     `json:"id" example:"ISMSP"`
	Name             string     `json:"name" example:"ISMS-P"`
	Version          string     `json:"version"`
	TotalControls    int        `json:"totalControls" doc:"In the profile, without what is not applicable." example:"31"`
	Score            float64    `json:"score" example:"77.42"`
	NameKo           *string    `json:"nameKo" nullable:"true"`
	Authority        string     `json:"authority"`
	Edition          string     `json:"edition" example:"2023-10"`
	Editions         []string   `json:"editions" nullable:"false" doc:"That are loaded; PATCH /compliance/settings chooses one."`
	Profile          string     `json:"profile" enum:"core,full"`
	Compliant        int        `json:"compliant"`
	Partial          int        `json:"partial"`
	NonCompliant     int        `json:"nonCompliant"`
	NotAssessed      int        `json:"notAssessed"`
	NotApplicable    int        `json:"notApplicable"`
	EvidenceCoverage float64    `json:"evidenceCoverage" doc:"Per cent of the controls that have a live result."`
	ReadyToAttest    int        `json:"readyToAttest" doc:"Controls of which every check passes and only a person's word is missing."`
	LastEvaluatedAt  *time.Time `json:"lastEvaluatedAt" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) frameworkOf(v *compliance.View) FrameworkItem {
	f, c := v.Framework, &v.Coverage
	out := FrameworkItem{
		ID: f.ID, Name: f.Name, Version: f.Version, TotalControls: c.Total, Score: points(c.Score), NameKo: orNull(f.NameKo), Authority: f.Authority, Edition: f.Edition, Editions: []string{},
		Profile: string(v.Profile), Compliant: c.Compliant, Partial: c.Partial, NonCompliant: c.NonCompliant, NotAssessed: c.NotAssessed, NotApplicable: c.NotApplicable,
		EvidenceCoverage: points(c.EvidenceCoverage), ReadyToAttest: c.ReadyToAttest, LastEvaluatedAt: momentOrNull(v.EvaluatedAt),
	}
	for _, e := range a.Compliance.Catalogue.Editions(f.ID) {
		out.Editions = append(out.Editions, e.Edition)
	}
	return out
}

func momentOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type (
	byFrameworkIn struct {
		Framework string `path:"framework" doc:"ISMSP, ISO27001, SOC2, PCIDSS, TISAX, CMMC, GDPR, CCPA, NISTCSF, in any case and spelling (isms-p, iso-27001); with another edition: TISAX@6.0." example:"ISMSP"`
	}
	frameworksOut struct {
		Total int             `header:"X-Total-Count"`
		Body  []FrameworkItem `nullable:"false"`
	}
	// FrameworkCoverage has the documented keys and no other; what else there is to tell is in
	// the assessment.
	FrameworkCoverage struct {
		Framework     string  `json:"framework" example:"ISMSP"`
		TotalControls int     `json:"totalControls" example:"31"`
		Compliant     int     `json:"compliant" example:"24"`
		Partial       int     `json:"partial" example:"0"`
		NonCompliant  int     `json:"nonCompliant" example:"0"`
		NotAssessed   int     `json:"notAssessed" example:"7"`
		Score         float64 `json:"score" doc:"100 × (compliant + weight × partial) ÷ totalControls; the weight is 0.5 unless the settings say otherwise." example:"77.42"`
	}
	frameworkCoverageOut struct{ Body FrameworkCoverage }
	collectIn            struct {
		Body *struct {
			Frameworks []string `json:"frameworks,omitempty" nullable:"false" doc:"Absent or empty: all."`
			Controls   []string `json:"controls,omitempty" nullable:"false" doc:"Ids of controls of those frameworks."`
			Checks     []string `json:"checks,omitempty" nullable:"false" doc:"Ids of checks."`
		}
	}
)

// The parameters that choose how much of a framework is shown, and in which language.
var (
	profileParam  = param{name: "profile", doc: "core: what telemetry can speak about; full: every control. By default as the settings say, which is core at first.", kind: enum, values: asTexts(compliance.Profiles)}
	languageParam = param{name: "lang", doc: "Of titles and reasons; by default the first of Accept-Language that there is. Titles are English where reasons are Japanese.", kind: enum, values: []string{"en", "ko", "ja"}}
	documentParam = param{name: "lang", doc: "Of the document; by default the first of Accept-Language that there is.", kind: enum, values: []string{"en", "ko"}}
)

func (a *api) compliance() {
	handle(a, operation{
		id: "listFrameworks", method: http.MethodGet, path: "/compliance/frameworks", tag: complianceTag, summary: "List frameworks",
		doc:    "A bare array of all frameworks in their documented order, each with its score.",
		params: []param{profileParam},
	}, a.listFrameworks)
	handle(a, operation{
		id: "getCoverage", method: http.MethodGet, path: "/compliance/{framework}/coverage", tag: complianceTag, summary: "Get framework coverage",
		doc:    "The four counts add up to totalControls; what is not applicable has left it. GET /compliance/{framework}/assessment tells more.",
		params: []param{profileParam},
	}, a.getCoverage)
	handle(a, operation{
		id: "collectEvidence", method: http.MethodPost, path: "/compliance/evidence/collect", tag: complianceTag, summary: "Auto-collect evidence", status: http.StatusAccepted,
		doc: "Evaluates the checks that were chosen, all without a body, once for all frameworks. The answer is a job: GET /jobs/{id} tells its progress and what was found.",
	}, func(ctx context.Context, c *call, in *collectIn) (*startedOut, error) {
		var chosen compliance.Selection
		if in.Body != nil {
			chosen = compliance.Selection{Frameworks: in.Body.Frameworks, Controls: in.Body.Controls, Checks: in.Body.Checks}
		}
		if _, err := a.Compliance.Select(ctx, c.Tenant.Number, chosen); err != nil {
			return nil, err
		}
		if a.CollectEvidence == nil {
			return nil, fault.New(fault.Unavailable, "this server collects no evidence")
		}
		return started(a.CollectEvidence(ctx, c.Tenant.Number, c.Actor, chosen))
	})
	a.controls()
	a.assessments()
	a.checks()
	a.attestations()
	a.complianceExceptions()
	a.complianceSettings()
}

func (a *api) listFrameworks(ctx context.Context, c *call, _ *none) (*frameworksOut, error) {
	all, err := a.Compliance.Views(ctx, c.Tenant.Number, compliance.Profile(c.query.one("profile")), a.Now())
	if err != nil {
		return nil, err
	}
	out := &frameworksOut{Total: len(all), Body: make([]FrameworkItem, len(all))}
	for i, v := range all {
		out.Body[i] = a.frameworkOf(v)
	}
	return out, nil
}

// view judges the framework of the path.
func (a *api) view(ctx context.Context, c *call, framework string) (*compliance.View, error) {
	f, err := a.Compliance.Find(ctx, c.Tenant.Number, framework)
	if err != nil {
		return nil, err
	}
	return a.Compliance.View(ctx, c.Tenant.Number, f, compliance.Profile(c.query.one("profile")), a.Now())
}

func (a *api) getCoverage(ctx context.Context, c *call, in *byFrameworkIn) (*frameworkCoverageOut, error) {
	v, err := a.view(ctx, c, in.Framework)
	if err != nil {
		return nil, err
	}
	return &frameworkCoverageOut{coverageOf(v)}, nil
}

func coverageOf(v *compliance.View) FrameworkCoverage {
	k := &v.Coverage
	return FrameworkCoverage{
		Framework: v.Framework.ID, TotalControls: k.Total, Compliant: k.Compliant, Partial: k.Partial, NonCompliant: k.NonCompliant, NotAssessed: k.NotAssessed, Score: points(k.Score),
	}
}

var (
	documents = language.NewMatcher([]language.Tag{language.English, language.Korean})
	readings  = language.NewMatcher([]language.Tag{language.English, language.Korean, language.Japanese})
)

// language is what the caller wants documents in: "en" or "ko".
func (c *call) language() string { return c.among(documents, "en", "ko") }

// reading is what the caller wants titles and reasons in: "en", "ko" or "ja".
func (c *call) reading() string { return c.among(readings, "en", "ko", "ja") }

// among is what the caller asks for of the languages of the matcher, by the parameter or by
// the header.
func (c *call) among(m language.Matcher, names ...string) string {
	if l := c.query.one("lang"); l != "" {
		return l
	}
	wanted, _, err := language.ParseAcceptLanguage(c.languages)
	if err != nil {
		return names[0]
	}
	if _, i, sure := m.Match(wanted...); sure >= language.High {
		return names[i]
	}
	return names[0]
}

// inLanguage is the title in the language where there is one.
func inLanguage(lang, en, ko string) string {
	if lang == "ko" {
		return cmp.Or(ko, en)
	}
	return en
}

// pages are the parameters of a list that has one order.
func pages() []param { return paging("")[:2] }

// slice is the page of items that was asked for.
func slice[T any](q given, items []T) (asked, []T) {
	k := asked{page: q.number("page"), size: q.number("size")}
	from := min(k.page*k.size, len(items))
	return k, items[from:min(from+k.size, len(items))]
}

func sliceOf(q given) compliance.Slice {
	return compliance.Slice{Page: q.number("page"), Size: q.number("size")}
}

// contains tells whether one of the texts has the words, whatever the case.
func contains(words string, texts ...string) bool {
	words = strings.ToLower(words)
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), words) })
}

// streamControls yields every control of every framework that was chosen, for the export.
func (a *api) streamControls(ctx context.Context, c *call) iter.Seq2[standingIn, error] {
	return func(yield func(standingIn, error) bool) {
		names := c.query.all("framework")
		var views []*compliance.View
		var err error
		if len(names) == 0 {
			views, err = a.Compliance.Views(ctx, c.Tenant.Number, compliance.Profile(c.query.one("profile")), a.Now())
		}
		for _, name := range names {
			v, failed := a.view(ctx, c, name)
			if failed != nil {
				err = fault.New(fault.Invalid, "There is no framework %q", name).In("framework")
				break
			}
			if !slices.ContainsFunc(views, func(w *compliance.View) bool { return w.Framework == v.Framework }) {
				views = append(views, v)
			}
		}
		if err != nil {
			yield(standingIn{}, err)
			return
		}
		lang := c.reading()
		for _, v := range views {
			for _, x := range chooseControls(c.query, v) {
				if !yield(standingIn{x, lang}, nil) {
					return
				}
			}
		}
	}
}
