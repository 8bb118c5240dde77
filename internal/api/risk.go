package api

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/risk"
)

// RiskItem is an entity and its score as the list shows it.
type RiskItem struct {
	ID            string    `json:"id" format:"uuid"`
	EntityType    string    `json:"entityType" enum:"asset,identity,address"`
	Entity        string    `json:"entity" doc:"Name, account or address, as the newest alert writes it." example:"web-01"`
	Score         float64   `json:"score" doc:"0 to 100, two decimals, as it was at computedAt." example:"39.35"`
	Level         string    `json:"level" enum:"critical,high,medium,low,none"`
	Trend         float64   `json:"trend" doc:"Against the end of the day before, UTC."`
	Contributions int64     `json:"contributions" doc:"Alerts that were weighed, up to 1,000."`
	LastSeen      time.Time `json:"lastSeen" doc:"Event time of its newest alert."`
	ComputedAt    time.Time `json:"computedAt"`
	Watched       bool      `json:"watched"`

	_ struct{} `additionalProperties:"true"`
}

func riskOf(e *risk.Entity) RiskItem {
	return RiskItem{
		ID: e.ID, EntityType: string(e.Kind), Entity: e.Label, Score: points(e.Score), Level: e.Level, Trend: points(e.Trend), Contributions: e.Contributions,
		LastSeen: e.LastSeen, ComputedAt: e.ComputedAt, Watched: e.Watched,
	}
}

// points is what people read of hundredths.
func points(hundredths int64) float64 { return float64(hundredths) / 100 }

type (
	riskDetail struct {
		RiskItem
		Notes       string     `json:"notes"`
		TotalWeight float64    `json:"totalWeight" doc:"Of all contributions: score = 100 × (1 − e^(−totalWeight ÷ scale))."`
		Worth       riskWorth  `json:"worth" doc:"What every weight was multiplied by."`
		Explained   []riskPart `json:"explained" nullable:"false" doc:"The contributions with most points, up to 100. Their points and those of others add up to the score."`
		Others      riskOthers `json:"others"`
		History     []riskDay  `json:"history" nullable:"false" doc:"By day, UTC, the newest first, up to 400."`
		Version     int64      `json:"version"`
		UpdatedBy   *string    `json:"updatedBy" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	riskWorth struct {
		Factor float64 `json:"factor"`
		Reason string  `json:"reason" doc:"Empty for an ordinary entity." example:"criticality high"`
		Link   *string `json:"link" nullable:"true" doc:"Path of the object that says so."`

		_ struct{} `additionalProperties:"true"`
	}
	riskPart struct {
		Kind        string      `json:"kind" enum:"alert,indicator" doc:"indicator: a sighting of threat intelligence."`
		AlertID     string      `json:"alertId" format:"uuid"`
		Link        string      `json:"link" doc:"Path of the alert."`
		Title       string      `json:"title"`
		RuleID      string      `json:"ruleId"`
		RuleName    string      `json:"ruleName"`
		Severity    string      `json:"severity"`
		Status      string      `json:"status"`
		Verdict     *string     `json:"verdict" nullable:"true"`
		Occurrences int64       `json:"occurrences"`
		LastSeen    time.Time   `json:"lastSeen" doc:"Event time of its last event."`
		AgeHours    float64     `json:"ageHours" doc:"At computedAt."`
		Points      float64     `json:"points" doc:"Of the score."`
		Weight      float64     `json:"weight" doc:"The product of factors and worth."`
		Factors     riskFactors `json:"factors"`

		_ struct{} `additionalProperties:"true"`
	}
	riskFactors struct {
		Severity    float64 `json:"severity"`
		Confidence  float64 `json:"confidence" doc:"Of the rule: (true positives + 2) ÷ (true positives + false positives + 2)."`
		Verdict     float64 `json:"verdict"`
		Occurrences float64 `json:"occurrences" doc:"Each doubling adds the same."`
		Indicator   float64 `json:"indicator"`
		Decay       float64 `json:"decay" doc:"Half after each half-life."`

		_ struct{} `additionalProperties:"true"`
	}
	riskOthers struct {
		Count  int64   `json:"count"`
		Points float64 `json:"points"`

		_ struct{} `additionalProperties:"true"`
	}
	riskDay struct {
		Day     string  `json:"day" format:"date" example:"2026-04-24"`
		Highest float64 `json:"highest"`
		Last    float64 `json:"last"`

		_ struct{} `additionalProperties:"true"`
	}
	riskOut struct {
		Revision int64 `header:"X-Revision"`
		Body     riskDetail
	}
	patchRiskIn struct {
		ID   string `path:"id"`
		Body struct {
			Watched *bool   `json:"watched,omitempty"`
			Notes   *string `json:"notes,omitempty" doc:"Up to 10,000 characters."`
		}
	}
	riskVerdicts struct {
		Undecided    *float64 `json:"undecided,omitempty"`
		Resolved     *float64 `json:"resolved,omitempty" doc:"Resolved without a verdict."`
		TruePositive *float64 `json:"truePositive,omitempty"`
		Inconclusive *float64 `json:"inconclusive,omitempty"`
		Benign       *float64 `json:"benign,omitempty"`
	}
	riskLevels struct {
		Medium   *int `json:"medium,omitempty"`
		High     *int `json:"high,omitempty"`
		Critical *int `json:"critical,omitempty"`
	}
	riskRule struct {
		ID          string   `json:"id,omitempty" doc:"Absent for a new rule."`
		Name        string   `json:"name"`
		Enabled     *bool    `json:"enabled,omitempty" doc:"true, when left out."`
		When        string   `json:"when" enum:"reaches,rises" doc:"reaches: the score reaches score from below; rises: by score within hours."`
		Score       int      `json:"score" doc:"1 to 100."`
		Hours       int      `json:"hours,omitempty" doc:"1 to 168, of a rise."`
		EntityTypes []string `json:"entityTypes,omitempty" nullable:"false" doc:"Absent or empty: all."`
		Severity    string   `json:"severity" doc:"Of the alert."`
		OnlyWatched bool     `json:"onlyWatched,omitempty"`
	}
	patchRiskSettingsIn struct {
		Body struct {
			HalfLifeHours *float64           `json:"halfLifeHours,omitempty" doc:"After which an alert weighs half; 1 to 8,760."`
			Severity      map[string]float64 `json:"severity,omitempty" doc:"Weight of an alert; severities left out stay as they are."`
			Verdict       *riskVerdicts      `json:"verdict,omitempty" doc:"Factors; a false positive counts nothing."`
			Occurrences   *float64           `json:"occurrences,omitempty" doc:"What each doubling of occurrences adds to the factor, 0 to 1."`
			Indicator     *float64           `json:"indicator,omitempty" doc:"Factor of a sighting of an indicator, 0 to 10."`
			Scale         *float64           `json:"scale,omitempty" doc:"Total weight at which the score is 63."`
			Levels        *riskLevels        `json:"levels,omitempty" doc:"Scores from which on a level holds."`
			Rules         *[]riskRule        `json:"rules,omitempty" doc:"Replaces all rules, up to 50."`
		}
	}
	riskSettingsOut struct {
		Revision int64 `header:"X-Revision"`
		Body     riskSettings
	}
	riskSettings struct {
		HalfLifeHours float64            `json:"halfLifeHours"`
		Severity      map[string]float64 `json:"severity" nullable:"false"`
		Verdict       riskVerdicts       `json:"verdict"`
		Occurrences   float64            `json:"occurrences"`
		Indicator     float64            `json:"indicator"`
		Scale         float64            `json:"scale"`
		Levels        riskLevels         `json:"levels"`
		Rules         []riskRule         `json:"rules" nullable:"false"`
		UpdatedAt     *time.Time         `json:"updatedAt" nullable:"true" doc:"null: nothing was ever changed."`
		UpdatedBy     *string            `json:"updatedBy" nullable:"true"`
		Version       int64              `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	riskRecomputeOut struct {
		Body struct {
			Note string `json:"note"`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

// openRisk gives c a service that shows what others computed, where it has none.
func (c *Config) openRisk() {
	if c.Risk == nil {
		c.Risk = risk.New(risk.Config{DB: c.DB, Alerts: c.Alerts, Log: c.Log, Now: c.Now})
	}
}

func riskFilters() []param {
	return []param{
		{name: "entityType", doc: "Filter by what it is.", kind: enum, values: asTexts(risk.Kinds), many: true},
		{name: "level", doc: "Filter by level.", kind: enum, values: risk.Levels, many: true},
		{name: "minScore", doc: "Only scores of at least this.", kind: number, min: 0, max: 100},
		{name: "search", doc: "Part of the name, whatever the case."},
		{name: "watched", doc: "Only those that are watched, or that are not.", kind: enum, values: []string{"true", "false"}},
	}
}

func riskFilter(q given) risk.Filter {
	f := risk.Filter{Kinds: words[risk.Kind](q.all("entityType")), Levels: q.all("level"), MinScore: int64(q.number("minScore")) * 100, Search: q.one("search")}
	if w := q.one("watched"); w != "" {
		f.Watched = new(w == "true")
	}
	return f
}

func (a *api) risk() {
	const tag = "Risk"
	handle(a, operation{
		id: "listRisk", method: http.MethodGet, path: "/risk-intelligence", tag: tag, summary: "List entities by risk",
		doc:    "Every asset, identity and address that an alert of the last 180 days names has a score from 0 to 100.",
		params: append(paging(risk.Sorts...), riskFilters()...),
	}, a.listRisk)
	handle(a, operation{
		id: "getRiskSettings", method: http.MethodGet, path: "/risk-intelligence/settings", tag: tag, summary: "Get what weighs how much", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*riskSettingsOut, error) {
		return outOfRiskSettings(a.Risk.Settings(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "updateRiskSettings", method: http.MethodPatch, path: "/risk-intelligence/settings", tag: tag, summary: "Change what weighs how much", single: true,
		doc: "Every score is computed anew within seconds. Risk rules raise alerts of their own, which never feed a score.",
	}, a.patchRiskSettings)
	handle(a, operation{
		id: "recomputeRisk", method: http.MethodPost, path: "/risk-intelligence/recompute", tag: tag, summary: "Look at every alert anew", status: http.StatusAccepted,
		doc: "Scores follow alerts by themselves; this gives the same numbers from scratch.",
	}, func(ctx context.Context, c *call, _ *none) (*riskRecomputeOut, error) {
		out := &riskRecomputeOut{}
		out.Body.Note = "Every alert is looked at anew; scores change as that goes on"
		return out, a.Risk.Recompute(ctx, c.Tenant.Number, c.Actor)
	})
	handle(a, operation{
		id: "getRisk", method: http.MethodGet, path: "/risk-intelligence/{id}", uuid: true, tag: tag, summary: "Get an entity's score with what makes it", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*riskOut, error) {
		return outOfRisk(a.Risk.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateRisk", method: http.MethodPatch, path: "/risk-intelligence/{id}", uuid: true, tag: tag, summary: "Watch an entity or note something about it", single: true,
	}, a.patchRisk)
}

func (a *api) listRisk(ctx context.Context, c *call, _ *none) (*pageOut[RiskItem], error) {
	asked := c.query.paging(risk.Sorts[0])
	p, err := a.Risk.List(ctx, c.Tenant.Number, risk.Query{Filter: riskFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, p.Total, p.Entities, riskOf), nil
}

func outOfRisk(d *risk.Detail, err error) (*riskOut, error) {
	if err != nil {
		return nil, err
	}
	out := riskDetail{
		RiskItem: riskOf(&d.Entity), Notes: d.Notes, TotalWeight: d.Total, Worth: riskWorth{Factor: d.Worth.Factor, Reason: d.Worth.Reason},
		Explained: make([]riskPart, len(d.Parts)), Others: riskOthers{d.Others.Count, points(d.Others.Points), struct{}{}}, History: make([]riskDay, len(d.History)),
		Version: d.Version, UpdatedBy: orNull(d.UpdatedBy),
	}
	if d.Worth.Object != "" {
		out.Worth.Link = new(base + d.Worth.Object)
	}
	for i := range d.Parts {
		p := &d.Parts[i]
		kind := "alert"
		if p.Hit {
			kind = "indicator"
		}
		out.Explained[i] = riskPart{
			Kind: kind, AlertID: p.AlertID, Link: base + "/alerts/" + p.AlertID, Title: p.Title, RuleID: p.RuleID, RuleName: p.RuleName, Severity: p.Severity, Status: string(p.Status),
			Verdict: orNull(p.Verdict), Occurrences: p.Occurrences, LastSeen: p.At, AgeHours: p.Age.Hours(), Points: points(p.Points), Weight: p.Weight,
			Factors: riskFactors{Severity: p.Base, Confidence: p.Confidence, Verdict: p.Factor, Occurrences: p.Repeats, Indicator: p.Indicator, Decay: p.Decay},
		}
	}
	for i, h := range d.History {
		out.History[i] = riskDay{Day: h.Day.Format(time.DateOnly), Highest: points(h.Highest), Last: points(h.Last)}
	}
	return &riskOut{Revision: d.Version, Body: out}, nil
}

func (a *api) patchRisk(ctx context.Context, c *call, in *patchRiskIn) (*riskOut, error) {
	d, err := a.Risk.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, risk.Patch{Watched: in.Body.Watched, Notes: in.Body.Notes, Version: c.version})
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfRisk(d, nil)
}

func outOfRiskSettings(s *risk.Settings, err error) (*riskSettingsOut, error) {
	if err != nil {
		return nil, err
	}
	v, l := &s.Verdict, &s.Levels
	out := riskSettings{
		HalfLifeHours: s.HalfLifeHours, Severity: map[string]float64{},
		Verdict:     riskVerdicts{&v.Undecided, &v.Resolved, &v.TruePositive, &v.Inconclusive, &v.Benign},
		Occurrences: s.Repeats, Indicator: s.Indicator, Scale: s.Scale, Levels: riskLevels{&l.Medium, &l.High, &l.Critical},
		Rules: make([]riskRule, len(s.Rules)), UpdatedBy: orNull(s.UpdatedBy), Version: s.Version,
	}
	for _, sev := range event.Severities {
		out.Severity[sev] = s.Severity[sev]
	}
	for i := range s.Rules {
		r := &s.Rules[i]
		out.Rules[i] = riskRule{r.ID, r.Name, &r.Enabled, r.When, r.Score, r.Hours, asTexts(r.Kinds), r.Severity, r.Watched}
	}
	if s.Version > 0 {
		out.UpdatedAt = &s.UpdatedAt
	}
	return &riskSettingsOut{Revision: s.Version, Body: out}, nil
}

func (a *api) patchRiskSettings(ctx context.Context, c *call, in *patchRiskSettingsIn) (*riskSettingsOut, error) {
	b := &in.Body
	s, err := a.Risk.Change(ctx, c.Tenant.Number, c.Actor, c.version, func(s *risk.Settings) {
		set(&s.HalfLifeHours, b.HalfLifeHours)
		maps.Copy(s.Severity, b.Severity)
		if v := b.Verdict; v != nil {
			set(&s.Verdict.Undecided, v.Undecided)
			set(&s.Verdict.Resolved, v.Resolved)
			set(&s.Verdict.TruePositive, v.TruePositive)
			set(&s.Verdict.Inconclusive, v.Inconclusive)
			set(&s.Verdict.Benign, v.Benign)
		}
		set(&s.Repeats, b.Occurrences)
		set(&s.Indicator, b.Indicator)
		set(&s.Scale, b.Scale)
		if l := b.Levels; l != nil {
			set(&s.Levels.Medium, l.Medium)
			set(&s.Levels.High, l.High)
			set(&s.Levels.Critical, l.Critical)
		}
		if b.Rules != nil {
			s.Rules = make([]risk.Rule, len(*b.Rules))
			for i, r := range *b.Rules {
				s.Rules[i] = risk.Rule{
					ID: r.ID, Name: r.Name, Enabled: r.Enabled == nil || *r.Enabled, When: r.When, Score: r.Score, Hours: r.Hours,
					Kinds: words[risk.Kind](r.EntityTypes), Severity: r.Severity, Watched: r.OnlyWatched,
				}
			}
		}
	})
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfRiskSettings(s, nil)
}
