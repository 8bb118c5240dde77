package api

import (
	"time"

	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/risk"
)

// alertTriage is what a queue shows beside the documented keys of a list, so that it
// need not ask for every alert of a page by itself.
type alertTriage struct {
	RuleID      string       `json:"ruleId"`
	RuleName    string       `json:"ruleName"`
	Occurrences int64        `json:"occurrences" doc:"Events that made it."`
	FirstSeen   time.Time    `json:"firstSeen" doc:"Event time of the first."`
	LastSeen    time.Time    `json:"lastSeen" doc:"Event time of the last."`
	UpdatedAt   time.Time    `json:"updatedAt"`
	AssignedTo  *string      `json:"assignedTo" nullable:"true"`
	IncidentID  *string      `json:"incidentId" nullable:"true"`
	Verdict     *string      `json:"verdict" nullable:"true" doc:"What triage found."`
	Storm       bool         `json:"storm,omitempty" doc:"It stands for many entities: its rule raised too many alerts in an hour."`
	Entities    []entityItem `json:"entities" nullable:"false"`
	Priority    priorityItem `json:"priority"`

	_ struct{} `additionalProperties:"true"`
}

// priorityItem says what to look at first, and why.
type priorityItem struct {
	Score int64          `json:"score" doc:"0 to 100."`
	Parts []priorityPart `json:"parts" nullable:"false" doc:"What counts most first."`

	_ struct{} `additionalProperties:"true"`
}

type priorityPart struct {
	Name   string `json:"name" enum:"severity,confidence,risk,worth,waiting" doc:"confidence: how often its rule was right; risk: of what it names; worth: of the asset or account; waiting: for somebody to take it."`
	Points int64  `json:"points" doc:"Negative where it lowers."`
	Reason string `json:"reason"`

	_ struct{} `additionalProperties:"true"`
}

// byPriority is the sort field that is no column.
const byPriority = "priority"

var includeTriage = param{name: "include", doc: "triage adds to each item what a queue shows.", kind: enum, values: []string{"triage"}, many: true}

// addTriage fills items, which are those of the weighed alerts in the same order.
func addTriage(items []AlertItem, w *risk.Weighed) {
	for i := range w.Alerts {
		d, weighed := &w.Alerts[i], &w.Priorities[i]
		priority := priorityItem{Score: weighed.Score, Parts: make([]priorityPart, len(weighed.Parts))}
		for j, p := range weighed.Parts {
			priority.Parts[j] = priorityPart{Name: p.Name, Points: p.Points, Reason: p.Reason}
		}
		items[i].Triage = &alertTriage{
			Priority: priority,
			RuleID:   d.Rule.ID, RuleName: d.Rule.Name, Occurrences: d.Occurrences, FirstSeen: d.FirstSeen, LastSeen: d.LastSeen, UpdatedAt: d.UpdatedAt,
			AssignedTo: orNull(d.AssignedTo), IncidentID: orNull(d.IncidentID), Verdict: orNull(d.Verdict), Storm: d.Storm, Entities: entitiesOf(w.Entities[d.ID]),
		}
	}
}

// incidentTriage is what a board of incidents shows beside the documented keys.
type incidentTriage struct {
	Origin     string     `json:"origin" enum:"auto,escalated,manual"`
	SLADueAt   time.Time  `json:"slaDueAt"`
	OverdueAt  *time.Time `json:"overdueAt" nullable:"true" doc:"When its due time was noticed to have passed."`
	ClosedAt   *time.Time `json:"closedAt" nullable:"true"`
	MergedInto *string    `json:"mergedInto" nullable:"true" doc:"The incident that this one was merged into."`
	UpdatedAt  time.Time  `json:"updatedAt"`

	_ struct{} `additionalProperties:"true"`
}

func incidentTriageOf(in *incident.Incident) *incidentTriage {
	return &incidentTriage{
		Origin: string(in.Origin), SLADueAt: in.SLADueAt, OverdueAt: in.OverdueAt, ClosedAt: in.ClosedAt, MergedInto: orNull(in.MergedInto), UpdatedAt: in.UpdatedAt,
	}
}
