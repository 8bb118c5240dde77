package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/retention"
)

type retentionOut struct {
	Body struct {
		EventDays int        `json:"eventDays" doc:"How long events are kept, counted from arrival."`
		Events    int64      `json:"events" doc:"That are kept now and can be searched."`
		Oldest    *time.Time `json:"oldest" nullable:"true" doc:"Day of arrival of the oldest record that is archived."`
		Held      bool       `json:"held" doc:"A legal hold keeps everything, whatever the term."`
		Alerts    string     `json:"alerts" enum:"forever" doc:"Alerts and incidents are never removed by age."`
		AuditLog  string     `json:"auditLog" enum:"forever" doc:"The audit log is append-only."`
		Evidence  string     `json:"evidence" enum:"forever" doc:"Evidence of compliance is append-only."`
		AppliedAt *time.Time `json:"appliedAt" nullable:"true" doc:"When the terms were last applied to the end, which happens each hour."`
		EarlyAt   *time.Time `json:"earlyAt" nullable:"true" doc:"When events last went before their term, for want of room."`
		Days      int        `json:"days" doc:"The term that was asked about."`
		Removes   int64      `json:"removes" doc:"Events that this term would remove now, were it applied; nothing is removed by asking."`

		_ struct{} `additionalProperties:"true"`
	}
}

func (a *api) retention() {
	handle(a, operation{
		id: "getRetention", method: http.MethodGet, path: "/tenant/retention", tag: "Tenant", summary: "Get how long things are kept, and what another term would remove",
		params: []param{{name: "days", doc: "A term to try; the present one when left out.", kind: number, min: 0, max: 36500, standard: "0"}},
	}, a.getRetention)
}

func (a *api) getRetention(ctx context.Context, c *call, _ *none) (*retentionOut, error) {
	out := &retentionOut{}
	b := &out.Body
	b.EventDays, b.Days = c.Tenant.RetentionDays, c.query.number("days")
	b.Alerts, b.AuditLog, b.Evidence = "forever", "forever", "forever"
	if b.Days == 0 {
		b.Days = b.EventDays
	}
	all, before, err := retention.Count(ctx, a.searchStore, c.Tenant.Number, a.Now().AddDate(0, 0, -b.Days))
	if err != nil {
		return nil, err
	}
	b.Events, b.Removes = int64(all), int64(before) //nolint:gosec // far from the end of the type
	held, err := a.Requests.Holding(ctx)
	if err != nil {
		return nil, err
	}
	if b.Held = held[c.Tenant.Number]; b.Held {
		b.Removes = 0
	}
	applied, err := retention.LastApplied(ctx, a.DB)
	if err != nil {
		return nil, err
	}
	b.AppliedAt, b.EarlyAt = momentOrNull(applied.At), momentOrNull(applied.EarlyAt)
	if a.Compliance.Kept != nil {
		k, err := a.Compliance.Kept(ctx, c.Tenant.Number)
		if err != nil {
			return nil, err
		}
		b.Oldest = momentOrNull(k.Oldest)
	}
	return out, nil
}
