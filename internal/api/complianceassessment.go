package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

type (
	assessmentBody struct {
		FrameworkCoverage
		Name             string             `json:"name"`
		Edition          string             `json:"edition"`
		Version          string             `json:"version"`
		Profile          string             `json:"profile" enum:"core,full"`
		Strict           bool               `json:"strict"`
		PartialWeight    float64            `json:"partialWeight"`
		Categories       []string           `json:"categories" nullable:"false" doc:"That are assessed; empty: all."`
		NotApplicable    int                `json:"notApplicable"`
		AssessedScore    float64            `json:"assessedScore" doc:"The score over assessed controls only; never the headline."`
		EvidenceCoverage float64            `json:"evidenceCoverage" doc:"Per cent of the controls that have a live result."`
		ReadyToAttest    int                `json:"readyToAttest"`
		Stale            int                `json:"stale" doc:"Controls that rely on evidence that became too old."`
		LastEvaluatedAt  *time.Time         `json:"lastEvaluatedAt" nullable:"true"`
		Domains          []domainCoverage   `json:"domains" nullable:"false"`
		OfficialScore    *officialScore     `json:"officialScore,omitempty" doc:"CMMC: the score of the DoD method."`
		Maturity         *maturityBody      `json:"maturity,omitempty" doc:"TISAX: levels that people attested; absent while there are none."`
		LogRetention     *logRetention      `json:"logRetention,omitempty" doc:"Where the framework asks for a time that logs are kept: how far it is reached."`
		Limits           string             `json:"limits" doc:"What these numbers say and do not say."`
		Changes          []complianceChange `json:"changes" nullable:"false" doc:"The newest ten."`

		_ struct{} `additionalProperties:"true"`
	}
	domainCoverage struct {
		ID            string  `json:"id"`
		Title         string  `json:"title"`
		TotalControls int     `json:"totalControls"`
		Compliant     int     `json:"compliant"`
		Partial       int     `json:"partial"`
		NonCompliant  int     `json:"nonCompliant"`
		NotAssessed   int     `json:"notAssessed"`
		Score         float64 `json:"score"`

		_ struct{} `additionalProperties:"true"`
	}
	officialScore struct {
		Score              int  `json:"score" doc:"Highest less the weight of each requirement that is not met; partial is not met." example:"88"`
		Highest            int  `json:"highest"`
		Lowest             int  `json:"lowest"`
		Met                int  `json:"met"`
		NotMet             int  `json:"notMet"`
		NeededConditional  int  `json:"neededForConditional"`
		Conditional        bool `json:"conditional" doc:"The score reaches what a conditional status needs; open items must be closed within 180 days."`
		SecurityPlan       bool `json:"systemSecurityPlan" doc:"3.12.4 is met; without it there is no assessment."`
		Level1Requirements int  `json:"level1Requirements"`
		Level1Met          int  `json:"level1Met"`

		_ struct{} `additionalProperties:"true"`
	}
	maturityBody struct {
		Target  int      `json:"target"`
		Rated   int      `json:"rated"`
		Total   int      `json:"total"`
		Average float64  `json:"average" doc:"Over what was rated, levels cut at the target."`
		Below   []string `json:"below" nullable:"false" doc:"Controls below the target."`

		_ struct{} `additionalProperties:"true"`
	}
	logRetention struct {
		Control        string     `json:"control" example:"10.5"`
		RequiredDays   int        `json:"requiredDays" example:"365"`
		SearchableDays int        `json:"searchableDays" doc:"That must be at hand." example:"90"`
		PersonalDays   int        `json:"personalDataDays" doc:"That records of systems with personal data are to be kept; 0: no longer than others." example:"730"`
		ConfiguredDays int        `json:"configuredDays" doc:"Everything that is kept can be searched."`
		OldestRecord   *time.Time `json:"oldestRecord" nullable:"true" doc:"Arrival of the oldest record that is kept."`
		HeldDays       int        `json:"heldDays"`
		MissingDays    int        `json:"missingDays" doc:"Until the required days are held."`
		ReachedOn      *string    `json:"reachedOn" nullable:"true" format:"date" doc:"When they will be, if nothing is removed early; null where the configured days do not suffice or nothing is kept."`
		Enough         bool       `json:"enough" doc:"What is configured suffices."`

		_ struct{} `additionalProperties:"true"`
	}
	assessmentOut struct{ Body assessmentBody }

	complianceDay struct {
		Day              string  `json:"day" format:"date" doc:"UTC; how it stood when it was last judged on that day." example:"2026-04-24"`
		TotalControls    int     `json:"totalControls"`
		Compliant        int     `json:"compliant"`
		Partial          int     `json:"partial"`
		NonCompliant     int     `json:"nonCompliant"`
		NotAssessed      int     `json:"notAssessed"`
		NotApplicable    int     `json:"notApplicable"`
		Score            float64 `json:"score"`
		AssessedScore    float64 `json:"assessedScore"`
		EvidenceCoverage float64 `json:"evidenceCoverage"`
		OfficialScore    *int64  `json:"officialScore" nullable:"true"`
		Edition          string  `json:"edition" doc:"Of the catalogue that it was judged by."`
		Strict           bool    `json:"strict"`
		PartialWeight    float64 `json:"partialWeight"`

		_ struct{} `additionalProperties:"true"`
	}
	historyOut struct {
		Body struct {
			Framework string          `json:"framework"`
			Profile   string          `json:"profile"`
			Days      []complianceDay `json:"days" nullable:"false" doc:"The newest first, up to 2,000."`

			_ struct{} `additionalProperties:"true"`
		}
	}

	complianceChange struct {
		ID        string    `json:"id" format:"uuid"`
		Framework string    `json:"framework"`
		Edition   string    `json:"edition"`
		Control   string    `json:"control"`
		At        time.Time `json:"at"`
		From      string    `json:"from"`
		To        string    `json:"to"`
		Code      string    `json:"code"`
		Reason    string    `json:"reason" doc:"How it stands since."`
		Cause     string    `json:"cause" doc:"What brought it about." example:"backup-mon: pass → fail"`

		_ struct{} `additionalProperties:"true"`
	}

	applicabilityItem struct {
		Control       string   `json:"control" example:"A.8.15"`
		Title         string   `json:"title"`
		Domain        string   `json:"domain"`
		Applicable    bool     `json:"applicable"`
		Justification string   `json:"justification" doc:"Of the exclusion, or why the control was chosen."`
		Justified     bool     `json:"justified"`
		Status        string   `json:"status"`
		Implemented   string   `json:"implemented" enum:"yes,partly,no,unknown"`
		Owner         *string  `json:"owner" nullable:"true"`
		ApprovedBy    *string  `json:"approvedBy" nullable:"true" doc:"Of an exclusion."`
		Evidence      []string `json:"evidence" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
	applicabilityOut struct {
		Body struct {
			Framework            string              `json:"framework"`
			Name                 string              `json:"name"`
			Edition              string              `json:"edition"`
			At                   time.Time           `json:"at"`
			Applicable           int                 `json:"applicable"`
			Excluded             int                 `json:"excluded"`
			WithoutJustification int                 `json:"withoutJustification"`
			Controls             []applicabilityItem `json:"controls" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

const limitsOfNumbers = "Status within the monitored scope at the time given. This is not a certificate, and what nothing monitors is not assessed."

func complianceChangeOf(c *compliance.Change, lang string) complianceChange {
	return complianceChange{
		ID: c.ID, Framework: c.Framework, Edition: c.Edition, Control: c.Control, At: c.At, From: string(c.From), To: string(c.To), Code: string(c.Code), Reason: c.ReasonIn(lang), Cause: c.Cause,
	}
}

func (a *api) assessments() {
	period := []param{{name: "from", doc: "Only from then on.", kind: moment}, {name: "to", doc: "Only before then.", kind: moment}}
	handle(a, operation{
		id: "getAssessment", method: http.MethodGet, path: "/compliance/{framework}/assessment", tag: complianceTag, summary: "Get how a framework stands in full",
		doc:    "The coverage with everything beside it: domains, evidence, what is ready to attest, the official score of CMMC, how long logs are kept.",
		params: []param{profileParam, languageParam},
	}, a.getAssessment)
	handle(a, operation{
		id: "getComplianceHistory", method: http.MethodGet, path: "/compliance/{framework}/history", tag: complianceTag, summary: "Get a framework's scores by day",
		doc:    "By default of the last 90 days. Each day carries the settings that it was judged by.",
		params: append([]param{profileParam}, period...),
	}, a.getHistory)
	handle(a, operation{
		id: "listComplianceChanges", method: http.MethodGet, path: "/compliance/{framework}/changes", tag: complianceTag, summary: "List why statuses of controls changed",
		params: append(append(pages(), languageParam, param{name: "control", doc: "Only of this control."}), period...),
	}, func(ctx context.Context, c *call, in *byFrameworkIn) (*pageOut[complianceChange], error) {
		f, err := a.Compliance.Find(ctx, c.Tenant.Number, in.Framework)
		if err != nil {
			return nil, err
		}
		part, lang := sliceOf(c.query), c.reading()
		all, total, err := a.Compliance.Changes(ctx, c.Tenant.Number, compliance.ChangeFilter{Framework: f, Control: c.query.one("control"), From: c.query.moment("from"), To: c.query.moment("to")}, part)
		if err != nil {
			return nil, err
		}
		return pageOf(asked{page: part.Page, size: part.Size}, total, all, func(x *compliance.Change) complianceChange { return complianceChangeOf(x, lang) }), nil
	})
	handle(a, operation{
		id: "getStatementOfApplicability", method: http.MethodGet, path: "/compliance/{framework}/statement-of-applicability", tag: complianceTag, summary: "Get the statement of applicability",
		doc:    "Every control, whether it applies and why. An exclusion is an approved attestation as notApplicable; why a control was chosen is its justification: PATCH /compliance/{framework}/controls/{control}.",
		params: []param{languageParam},
	}, a.getApplicability)
}

func (a *api) getAssessment(ctx context.Context, c *call, in *byFrameworkIn) (*assessmentOut, error) {
	v, err := a.view(ctx, c, in.Framework)
	if err != nil {
		return nil, err
	}
	k, f, s := &v.Coverage, v.Framework, v.Settings
	out := &assessmentOut{Body: assessmentBody{
		FrameworkCoverage: coverageOf(v), Name: f.Name, Edition: f.Edition, Version: f.Version, Profile: string(v.Profile), Strict: s.Strict, PartialWeight: s.PartialWeight,
		Categories: append([]string{}, s.Frameworks[f.ID].Categories...), NotApplicable: k.NotApplicable, AssessedScore: points(k.AssessedScore), EvidenceCoverage: points(k.EvidenceCoverage),
		ReadyToAttest: k.ReadyToAttest, Stale: k.Stale, LastEvaluatedAt: momentOrNull(v.EvaluatedAt), Domains: []domainCoverage{}, Limits: limitsOfNumbers,
	}}
	lang := c.reading()
	for _, d := range v.Domains() {
		out.Body.Domains = append(out.Body.Domains, domainCoverage{
			ID: d.Domain.ID, Title: inLanguage(lang, d.Domain.Title, d.Domain.TitleKo), TotalControls: d.Total, Compliant: d.Compliant, Partial: d.Partial, NonCompliant: d.NonCompliant,
			NotAssessed: d.NotAssessed, Score: points(d.Score),
		})
	}
	if o := v.Official(); o != nil {
		out.Body.OfficialScore = &officialScore{
			Score: o.Score, Highest: o.Highest, Lowest: o.Lowest, Met: o.Met, NotMet: o.NotMet, NeededConditional: o.Needed, Conditional: o.Conditional, SecurityPlan: o.Plan,
			Level1Requirements: o.Level1, Level1Met: o.Level1Met,
		}
	}
	if m := v.Maturity(); m != nil {
		out.Body.Maturity = &maturityBody{Target: m.Target, Rated: m.Rated, Total: m.Total, Average: points(m.Average), Below: m.Below}
	}
	kept, err := a.Compliance.LogRetention(ctx, c.Tenant.Number, v)
	if err != nil {
		return nil, err
	}
	if kept != nil {
		out.Body.LogRetention = logRetentionOf(kept)
	}
	changes, _, err := a.Compliance.Changes(ctx, c.Tenant.Number, compliance.ChangeFilter{Framework: f}, compliance.Slice{Size: 10})
	if err != nil {
		return nil, err
	}
	out.Body.Changes = mapped(changes, func(x *compliance.Change) complianceChange { return complianceChangeOf(x, lang) })
	return out, nil
}

func logRetentionOf(k *compliance.LogRetention) *logRetention {
	out := &logRetention{
		Control: k.Control, RequiredDays: k.RequiredDays, SearchableDays: k.SearchableDays, PersonalDays: k.PersonalDays, ConfiguredDays: k.ConfiguredDays, OldestRecord: momentOrNull(k.Oldest),
		HeldDays: k.HeldDays, MissingDays: k.MissingDays, Enough: k.Enough,
	}
	if !k.ReachedOn.IsZero() {
		out.ReachedOn = new(k.ReachedOn.Format(time.DateOnly))
	}
	return out
}

func (a *api) getHistory(ctx context.Context, c *call, in *byFrameworkIn) (*historyOut, error) {
	v, err := a.view(ctx, c, in.Framework)
	if err != nil {
		return nil, err
	}
	from, to := c.query.moment("from"), c.query.moment("to")
	if to.IsZero() {
		to = a.Now()
	}
	if from.IsZero() {
		from = to.AddDate(0, 0, -90)
	}
	if from.After(to) {
		return nil, invalid("from", "Allowed: a time before to")
	}
	days, err := a.Compliance.History(ctx, c.Tenant.Number, v.Framework, v.Profile, from, to)
	if err != nil {
		return nil, err
	}
	out := &historyOut{}
	out.Body.Framework, out.Body.Profile = v.Framework.ID, string(v.Profile)
	out.Body.Days = mapped(days, func(d *compliance.Day) complianceDay {
		k := &d.Coverage
		return complianceDay{
			Day: d.Day.Format(time.DateOnly), TotalControls: k.Total, Compliant: k.Compliant, Partial: k.Partial, NonCompliant: k.NonCompliant, NotAssessed: k.NotAssessed, NotApplicable: k.NotApplicable,
			Score: points(k.Score), AssessedScore: points(k.AssessedScore), EvidenceCoverage: points(k.EvidenceCoverage), OfficialScore: d.Official, Edition: d.Edition, Strict: d.Strict,
			PartialWeight: points(d.Weight),
		}
	})
	return out, nil
}

func (a *api) getApplicability(ctx context.Context, c *call, in *byFrameworkIn) (*applicabilityOut, error) {
	f, err := a.Compliance.Find(ctx, c.Tenant.Number, in.Framework)
	if err != nil {
		return nil, err
	}
	v, err := a.Compliance.View(ctx, c.Tenant.Number, f, compliance.Full, a.Now())
	if err != nil {
		return nil, err
	}
	out := &applicabilityOut{}
	b := &out.Body
	b.Framework, b.Name, b.Edition, b.At, b.Controls = f.ID, f.Name, f.Edition, a.Now().UTC(), []applicabilityItem{}
	lang := c.reading()
	for i := range v.Controls {
		x := &v.Controls[i]
		item := applicabilityItem{
			Control: x.Control.ID, Title: inLanguage(lang, x.Control.Title, x.Control.TitleKo), Domain: x.Control.Domain, Applicable: true, Justification: x.Record.Justification,
			Status: string(x.Status), Implemented: "unknown", Owner: orNull(x.Record.Owner), Evidence: x.Evidence(),
		}
		switch x.Status {
		case compliance.Compliant:
			item.Implemented = "yes"
		case compliance.Partial:
			item.Implemented = "partly"
		case compliance.NonCompliant:
			item.Implemented = "no"
		case compliance.NotApplicable:
			item.Applicable, item.Implemented, item.Justification, item.ApprovedBy = false, "no", x.Attestation.Statement, orNull(x.Attestation.Reviewer)
		}
		item.Justified = item.Justification != ""
		if item.Applicable {
			b.Applicable++
		} else {
			b.Excluded++
		}
		if !item.Justified {
			b.WithoutJustification++
		}
		b.Controls = append(b.Controls, item)
	}
	return out, nil
}
