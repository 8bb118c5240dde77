package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// ControlItem is a control of a list.
type ControlItem struct {
	ID             string                   `json:"id" doc:"As the framework writes it." example:"2.9.4"`
	Title          string                   `json:"title"`
	Domain         string                   `json:"domain" doc:"Id of its domain." example:"2.9"`
	Status         string                   `json:"status" enum:"compliant,partial,nonCompliant,notAssessed,notApplicable"`
	Mode           string                   `json:"mode" enum:"auto,assist,manual" doc:"auto: checks alone set the status; assist: a person must attest before it is compliant; manual: a person attests."`
	Owner          *string                  `json:"owner" nullable:"true"`
	Evidence       []string                 `json:"evidence" nullable:"false" doc:"Ids: GET /compliance/evidence/{id}."`
	Checks         []controlCheck           `json:"checks" nullable:"false"`
	LastAssessedAt *time.Time               `json:"lastAssessedAt" nullable:"true" doc:"Time of the newest result or attestation that counts."`
	Framework      string                   `json:"framework" example:"ISMSP"`
	DomainTitle    string                   `json:"domainTitle"`
	StatusCode     string                   `json:"statusCode" doc:"Why, for machines." example:"someFail"`
	StatusReason   string                   `json:"statusReason" doc:"Why, for people."`
	StatusSince    *time.Time               `json:"statusSince" nullable:"true"`
	Core           bool                     `json:"core"`
	Category       *string                  `json:"category" nullable:"true" doc:"A part of the framework that an assessment may leave out."`
	Stale          bool                     `json:"stale" doc:"It relies on evidence that became too old."`
	ReadyToAttest  bool                     `json:"readyToAttest" doc:"Every check passes; only a person's word is missing."`
	DueAt          *time.Time               `json:"dueAt" nullable:"true"`
	Attestation    nullAttestation          `json:"attestation" doc:"The approved one, also when it has expired; null for none."`
	Exceptions     []ComplianceExceptionRef `json:"exceptions" nullable:"false" doc:"That hold now."`

	_ struct{} `additionalProperties:"true"`
}

// controlCheck is a check of a control with its latest result.
type controlCheck struct {
	ID          string     `json:"id" example:"log-retention"`
	Variant     string     `json:"variant" doc:"The check with what this control asks of it." example:"log-retention?piiMinDays=730"`
	Title       string     `json:"title"`
	Result      string     `json:"result" enum:"pass,partial,fail,noData" doc:"That counts: noData where it is stale."`
	Value       *float64   `json:"value" nullable:"true"`
	Unit        string     `json:"unit"`
	Threshold   string     `json:"threshold"`
	Reason      string     `json:"reason" doc:"What was found and what to do."`
	EvaluatedAt *time.Time `json:"evaluatedAt" nullable:"true"`
	Stale       bool       `json:"stale"`
	Excepted    bool       `json:"excepted" doc:"An exception accepts that it does not pass."`
	EvidenceID  *string    `json:"evidenceId" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

// AttestationRef is an attestation where its control is shown.
type AttestationRef struct {
	ID        string    `json:"id" format:"uuid"`
	Status    string    `json:"status"`
	Statement string    `json:"statement"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expiresAt"`
	Expired   bool      `json:"expired"`

	_ struct{} `additionalProperties:"true"`
}

// nullAttestation is an attestation, or null.
type nullAttestation struct{ *AttestationRef }

// Schema implements huma.SchemaProvider.
func (nullAttestation) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{r.Schema(reflect.TypeFor[AttestationRef](), true, ""), {Type: "null"}}}
}

// MarshalJSON implements json.Marshaler.
func (n nullAttestation) MarshalJSON() ([]byte, error) { return json.Marshal(n.AttestationRef) }

// UnmarshalJSON implements json.Unmarshaler.
func (n *nullAttestation) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &n.AttestationRef) }

// ComplianceExceptionRef is an exception where its control is shown.
type ComplianceExceptionRef struct {
	ID           string    `json:"id" format:"uuid"`
	Checks       []string  `json:"checks" nullable:"false" doc:"Empty: all of the control's."`
	Owner        string    `json:"owner"`
	Reason       string    `json:"reason"`
	Compensation string    `json:"compensation"`
	EndsAt       time.Time `json:"endsAt"`

	_ struct{} `additionalProperties:"true"`
}

// standingIn is a control to be shown in a language.
type standingIn struct {
	*compliance.Standing
	lang string
}

func (a *api) controlOf(x *standingIn) ControlItem {
	k := x.Control
	out := ControlItem{
		ID: k.ID, Title: inLanguage(x.lang, k.Title, k.TitleKo), Domain: k.Domain, Status: string(x.Status), Mode: string(k.Mode), Owner: orNull(x.Record.Owner), Evidence: x.Evidence(),
		Checks: make([]controlCheck, len(x.Findings)), LastAssessedAt: momentOrNull(x.Assessed), Framework: x.Framework.ID, StatusCode: string(x.Why.Code), StatusReason: x.Why.In(x.lang),
		StatusSince: momentOrNull(x.Since), Core: k.Core, Category: orNull(k.Category), Stale: x.Stale, ReadyToAttest: x.Ready, DueAt: x.Record.DueAt, Exceptions: make([]ComplianceExceptionRef, len(x.Exceptions)),
	}
	if d := x.Framework.Domain(k.Domain); d != nil {
		out.DomainTitle = inLanguage(x.lang, d.Title, d.TitleKo)
	}
	for i := range x.Findings {
		out.Checks[i] = a.controlCheckOf(&x.Findings[i], x.lang)
	}
	if t := x.Attestation; t != nil {
		out.Attestation.AttestationRef = &AttestationRef{ID: t.ID, Status: string(t.Status), Statement: t.Statement, By: t.By, At: t.At, ExpiresAt: t.ExpiresAt, Expired: !a.Now().Before(t.ExpiresAt)}
	}
	for i, e := range x.Exceptions {
		out.Exceptions[i] = ComplianceExceptionRef{ID: e.ID, Checks: e.Checks, Owner: e.Owner, Reason: e.Reason, Compensation: e.Compensation, EndsAt: e.EndsAt}
	}
	return out
}

func (a *api) controlCheckOf(f *compliance.Finding, lang string) controlCheck {
	k := a.Compliance.Catalogue.Check(f.Link.Check)
	out := controlCheck{ID: f.Link.Check, Variant: f.Link.Key, Title: inLanguage(lang, k.Title, k.TitleKo), Result: string(f.Outcome), Stale: f.Stale, Excepted: f.Excepted}
	if r := f.Result; r != nil {
		out.Value, out.Unit, out.Threshold, out.Reason, out.EvaluatedAt, out.EvidenceID = r.Value, r.Unit, r.Threshold, r.ReasonIn(lang), &r.CollectedAt, orNull(r.EvidenceID)
	}
	return out
}

func controlFilters() []param {
	return []param{
		profileParam, languageParam,
		{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(compliance.Statuses), many: true},
		{name: "mode", doc: "Filter by mode.", kind: enum, values: asTexts(compliance.Modes), many: true},
		{name: "domain", doc: "Filter by domain.", many: true},
		{name: "category", doc: "Filter by category.", many: true},
		{name: "check", doc: "Only controls that rely on one of these checks.", many: true},
		{name: "search", doc: "Part of the id or a title, whatever the case."},
		{name: "stale", doc: "Only those that rely on evidence that became too old, or that do not.", kind: enum, values: []string{"true", "false"}},
		{name: "ready", doc: "Only those that wait for nothing but a person's word, or that do not.", kind: enum, values: []string{"true", "false"}},
	}
}

// chooseControls returns the controls of v that the filters choose.
func chooseControls(q given, v *compliance.View) []*compliance.Standing {
	one := func(name, value string) bool { all := q.all(name); return len(all) == 0 || slices.Contains(all, value) }
	yes := func(name string, value bool) bool { t := q.one(name); return t == "" || (t == "true") == value }
	var out []*compliance.Standing
	for i := range v.Controls {
		x := &v.Controls[i]
		k := x.Control
		if !one("status", string(x.Status)) || !one("mode", string(k.Mode)) || !one("domain", k.Domain) || !one("category", k.Category) || !yes("stale", x.Stale) || !yes("ready", x.Ready) {
			continue
		}
		if checks := q.all("check"); len(checks) > 0 && !slices.ContainsFunc(k.Checks, func(l compliance.Link) bool { return slices.Contains(checks, l.Check) }) {
			continue
		}
		if s := q.one("search"); s != "" && !contains(s, k.ID, k.Title, k.TitleKo) {
			continue
		}
		out = append(out, x)
	}
	return out
}

type (
	byControlIn struct {
		Framework string `path:"framework" example:"ISO27001"`
		Control   string `path:"control" doc:"As the framework writes it." example:"2.9.4"`
	}
	controlDetail struct {
		ControlItem
		TitleEn       string              `json:"titleEn"`
		TitleKo       *string             `json:"titleKo" nullable:"true"`
		StrictMode    string              `json:"strictMode" enum:"auto,assist,manual" doc:"Its mode in a strict assessment."`
		Weight        *int                `json:"weight" nullable:"true" doc:"CMMC: what is taken off the official score while it is not met."`
		Justification string              `json:"justification" doc:"Why it was chosen, for the statement of applicability."`
		Notes         string              `json:"notes"`
		Asked         []askedCheck        `json:"asked" nullable:"false" doc:"What the control asks of each check, and how it was found out."`
		Pending       *AttestationItem    `json:"pendingAttestation,omitempty" doc:"That waits for a reviewer."`
		Attestations  []AttestationItem   `json:"attestations" nullable:"false" doc:"The newest 20."`
		Changes       []complianceChange  `json:"changes" nullable:"false" doc:"The newest 20 of its status, with what brought them about."`
		SameEvidence  map[string][]string `json:"sameEvidence" nullable:"false" doc:"Controls of other frameworks that rely on one of its checks."`
		Version       int64               `json:"version"`
		UpdatedAt     *time.Time          `json:"updatedAt" nullable:"true"`
		UpdatedBy     *string             `json:"updatedBy" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	askedCheck struct {
		ID          string           `json:"id"`
		Measures    string           `json:"measures"`
		Params      map[string]any   `json:"params" nullable:"false"`
		Absence     string           `json:"absence" enum:"noData,fail" doc:"What a missing source means here."`
		Method      string           `json:"method" doc:"The query itself."`
		Resources   []string         `json:"resources" nullable:"false"`
		Population  *checkPopulation `json:"population,omitempty"`
		PeriodFrom  *time.Time       `json:"periodFrom" nullable:"true"`
		PeriodTo    *time.Time       `json:"periodTo" nullable:"true"`
		EffectiveAt *time.Time       `json:"effectiveAt" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	checkPopulation struct {
		Definition string `json:"definition"`
		Size       int64  `json:"size"`
		SampleSize int64  `json:"sampleSize"`

		_ struct{} `additionalProperties:"true"`
	}
	controlOut struct {
		Revision int64 `header:"X-Revision"`
		Body     controlDetail
	}
	patchControlIn struct {
		Framework string `path:"framework" example:"ISO27001"`
		Control   string `path:"control" example:"A.8.15"`
		Body      struct {
			Owner         *string  `json:"owner,omitempty" doc:"Who answers for it, up to 200 characters."`
			DueAt         nullTime `json:"dueAt,omitzero" doc:"By when it is to be settled; null: no date."`
			Justification *string  `json:"justification,omitempty" doc:"Why it was chosen, up to 10,000 characters."`
			Notes         *string  `json:"notes,omitempty" doc:"Up to 10,000 characters."`
		}
	}
)

func (a *api) controls() {
	handle(a, operation{
		id: "listControls", method: http.MethodGet, path: "/compliance/{framework}/controls", tag: complianceTag, summary: "Get controls with status",
		doc:    "In the framework's own order.",
		params: append(pages(), controlFilters()...),
	}, func(ctx context.Context, c *call, in *byFrameworkIn) (*pageOut[ControlItem], error) {
		v, err := a.view(ctx, c, in.Framework)
		if err != nil {
			return nil, err
		}
		all := chooseControls(c.query, v)
		k, part := slice(c.query, all)
		lang := c.reading()
		return pageOf(k, int64(len(all)), part, func(x **compliance.Standing) ControlItem { return a.controlOf(&standingIn{*x, lang}) }), nil
	})
	handle(a, operation{
		id: "getControl", method: http.MethodGet, path: "/compliance/{framework}/controls/{control}", tag: complianceTag, summary: "Get a control with how it was judged", single: true,
		params: []param{languageParam},
	}, a.getControl)
	handle(a, operation{
		id: "updateControl", method: http.MethodPatch, path: "/compliance/{framework}/controls/{control}", tag: complianceTag, summary: "Name a control's owner, due date, justification or notes", single: true,
		doc: "How it stands is not changed so: attest it, or record an exception.",
	}, a.patchControl)
}

func (a *api) getControl(ctx context.Context, c *call, in *byControlIn) (*controlOut, error) {
	f, err := a.Compliance.Find(ctx, c.Tenant.Number, in.Framework)
	if err != nil {
		return nil, err
	}
	views, err := a.Compliance.View(ctx, c.Tenant.Number, f, compliance.Full, a.Now())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(views.All, func(x compliance.Standing) bool { return x.Control.ID == in.Control })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "no such control")
	}
	x := &views.All[i]
	k, r := x.Control, &x.Record
	out := controlDetail{
		ControlItem: a.controlOf(&standingIn{x, c.reading()}), TitleEn: k.Title, TitleKo: orNull(k.TitleKo), StrictMode: string(k.StrictMode), Justification: r.Justification, Notes: r.Notes,
		Asked: make([]askedCheck, len(x.Findings)), SameEvidence: map[string][]string{}, Version: r.Version, UpdatedAt: momentOrNull(r.UpdatedAt), UpdatedBy: orNull(r.UpdatedBy),
	}
	if k.Weight > 0 {
		out.Weight = &k.Weight
	}
	for i := range x.Findings {
		out.Asked[i] = a.askedOf(&x.Findings[i])
	}
	frameworks, err := a.Compliance.Frameworks(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	for check, by := range a.Compliance.Catalogue.Crosswalk(frameworks) {
		if !slices.ContainsFunc(k.Checks, func(l compliance.Link) bool { return l.Check == check }) {
			continue
		}
		for id, controls := range by {
			if id != f.ID {
				out.SameEvidence[id] = append(out.SameEvidence[id], controls...)
			}
		}
	}
	for id, controls := range out.SameEvidence {
		slices.Sort(controls)
		out.SameEvidence[id] = slices.Compact(controls)
	}
	if x.Pending != nil {
		out.Pending = new(attestationOf(x.Pending))
	}
	const newest = 20
	attestations, _, err := a.Compliance.Attestations(ctx, c.Tenant.Number, compliance.AttestationFilter{Framework: f, Control: k.ID}, compliance.Slice{Size: newest})
	if err != nil {
		return nil, err
	}
	out.Attestations = mapped(attestations, attestationOf)
	changes, _, err := a.Compliance.Changes(ctx, c.Tenant.Number, compliance.ChangeFilter{Framework: f, Control: k.ID}, compliance.Slice{Size: newest})
	if err != nil {
		return nil, err
	}
	out.Changes = mapped(changes, func(x *compliance.Change) complianceChange { return complianceChangeOf(x, c.reading()) })
	return &controlOut{Revision: r.Version, Body: out}, nil
}

// mapped is items in their wire form, never nil.
func mapped[D, T any](items []D, wire func(*D) T) []T {
	out := make([]T, len(items))
	for i := range items {
		out[i] = wire(&items[i])
	}
	return out
}

func (a *api) askedOf(f *compliance.Finding) askedCheck {
	check := a.Compliance.Catalogue.Check(f.Link.Check)
	out := askedCheck{ID: check.ID, Measures: check.Measures, Params: f.Link.Params, Absence: string(f.Link.Absence), Resources: []string{}}
	if out.Params == nil {
		out.Params = map[string]any{}
	}
	if r := f.Result; r != nil {
		out.Method, out.Resources = r.Method, append(out.Resources, r.Resources...)
		out.Population = &checkPopulation{Definition: r.Population.Definition, Size: r.Population.Size, SampleSize: r.Population.Sample}
		out.PeriodFrom, out.PeriodTo, out.EffectiveAt = &r.From, &r.To, &r.EffectiveAt
	}
	return out
}

func (a *api) patchControl(ctx context.Context, c *call, in *patchControlIn) (*controlOut, error) {
	b := &in.Body
	if b.Owner == nil && !b.DueAt.set && b.Justification == nil && b.Notes == nil {
		return nil, badRequest("Missing change", "Give at least one of owner, dueAt, justification, notes")
	}
	f, err := a.Compliance.Find(ctx, c.Tenant.Number, in.Framework)
	if err != nil {
		return nil, err
	}
	_, err = a.Compliance.Note(ctx, c.Tenant.Number, c.Actor, f, in.Control, c.version, func(r *compliance.Record) {
		set(&r.Owner, b.Owner)
		set(&r.Justification, b.Justification)
		set(&r.Notes, b.Notes)
		if b.DueAt.set {
			r.DueAt = b.DueAt.at
		}
	})
	if err != nil {
		return nil, c.condition(err)
	}
	return a.getControl(ctx, c, &byControlIn{in.Framework, in.Control})
}
