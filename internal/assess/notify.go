package assess

import (
	"context"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/incident"
)

// incidentNotify holds notices against the limits of the laws that people marked incidents
// with. An incident that nobody marked says nothing: whether it is reportable, a person
// decides.
func incidentNotify(ctx context.Context, q *inquiry) (*finding, error) {
	from := q.now.Add(-incidentSpan)
	deadline, pii := q.p.Hours("deadlineHours"), q.p.Hours("piiDeadlineHours")
	q.note("clocks of incidents marked as reportable, aware from %s to %s, not withdrawn; limits that people set themselves count at most %s, of personal data %s (0: no bound)", from.Format("2006-01-02"), q.now.Format("2006-01-02"), deadline, pii)
	n, err := incident.New(q.DB, nil, incident.SLA{}).NoticeFigures(ctx, q.tenant, from, q.now, q.now, deadline, pii)
	if err != nil {
		return nil, err
	}
	return judgeNotices(n, q), nil
}

func judgeNotices(n *incident.NoticeFigures, q *inquiry) *finding {
	f := &finding{
		population: "notices that laws ask for, of incidents that were marked as reportable within a year", from: q.now.Add(-incidentSpan), to: q.now, resources: []string{"clocks of incidents"},
		threshold: "every notice within the limit of its law AND a draft of each that is still to be given", size: n.Notices,
	}
	list := &table{}
	var late, bare []string
	for i := range n.Clocks {
		c := &n.Clocks[i]
		state := c.State(q.now)
		list.add(c.ID, map[string]any{
			"incident": c.Incident, "law": text(c.Law), "awareAt": c.AwareAt, "dueAt": c.DueAt, "state": state, "draftedAt": c.DraftedAt, "notifiedAt": c.NotifiedAt, "notifiedTo": text(c.NotifiedTo),
		})
		switch {
		case state == incident.Late || state == incident.TooLate:
			late = append(late, c.Law)
		case state == incident.Running && c.DraftedAt == nil:
			bare = append(bare, c.Law)
		}
	}
	f.facts = map[string]any{"notices": list, "incidents": n.Incidents}
	f.value, f.unit = new(float64(n.Late)), "count"
	switch {
	case n.Notices == 0:
		f.value = nil
		return f.nothing("No incident was marked as reportable within a year: mark those that are with POST /incidents/{id}/reportable.")
	case n.Late > 0:
		f.outcome = compliance.Fail
		f.reason = say("%d of %d notices are late or were given late: give and record those that are missing (%s), and say in the case why.", n.Late, n.Notices, few(late))
	case n.WithoutDraft > 0:
		f.outcome = compliance.Partly
		f.reason = say("%d of %d notices are still to be given and have no draft: make one with POST /incidents/{id}/reportable/{clock}/notice (%s).", n.WithoutDraft, n.Notices, few(bare))
	case n.InTime == 0:
		f.value = nil
		return f.nothing("%d notices are still to be given, and their time is not over: give and record them.", n.Running)
	default:
		f.outcome = compliance.Pass
		f.reason = say("%d notices were given in time, and %d are still within it.", n.InTime, n.Running)
	}
	return f
}
