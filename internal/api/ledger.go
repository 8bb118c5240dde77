package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/source"
)

type (
	LedgerCounts struct {
		Received    int64            `json:"received" doc:"Records that were acknowledged, or taken in where nothing is acknowledged."`
		Stored      int64            `json:"stored" doc:"In the event store; also what no parser knows."`
		Quarantined int64            `json:"quarantined" doc:"In the event store, with a format that they break."`
		Dropped     int64            `json:"dropped" doc:"By a policy."`
		DroppedBy   map[string]int64 `json:"droppedBy" nullable:"false" doc:"By policy: resend is what had come before under the same id or number."`
		Balanced    bool             `json:"balanced" doc:"received = stored + quarantined + dropped."`

		_ struct{} `additionalProperties:"true"`
	}
	ledgerItem struct {
		Hour   time.Time `json:"hour" doc:"Its beginning, UTC; of arrival."`
		Source string    `json:"source"`
		LedgerCounts

		_ struct{} `additionalProperties:"true"`
	}
	refusalItem struct {
		Door   string `json:"door" example:"syslog-udp"`
		Reason string `json:"reason" example:"quota"`
		Count  int64  `json:"count" doc:"Records; requests where they were not read."`

		_ struct{} `additionalProperties:"true"`
	}
	ledgerOut struct {
		Body struct {
			page[ledgerItem]
			Totals     LedgerCounts  `json:"totals" doc:"Over all pages."`
			Unbalanced int64         `json:"unbalanced" doc:"Lines that do not add up."`
			Refused    []refusalItem `json:"refused" nullable:"false" doc:"Refused, the sender was told. Of the whole server, hence shown to its own tenant only."`
			Lost       []refusalItem `json:"lost" nullable:"false" doc:"Lost before us: what the kernel says it dropped, and input that was torn. Of the whole server, hence shown to its own tenant only."`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) ledger() {
	handle(a, operation{
		id: "getLedger", method: http.MethodGet, path: "/ledger", tag: "Data integrity", summary: "Get the loss ledger", single: true,
		doc: "What became of every record, by source and hour of arrival. A line that is not balanced means that a record went missing: it is also an alert and the metric kyra_ledger_unbalanced.",
		params: append(paging("hour")[:2],
			param{name: "from", doc: "First hour; 24 hours before to when left out.", kind: moment},
			param{name: "to", doc: "End, exclusive; now when left out.", kind: moment},
			param{name: "source", doc: "Filter by source."},
			param{name: "show", doc: "unbalanced: only lines that do not add up.", kind: enum, values: []string{"all", "unbalanced"}, standard: "all"}),
	}, a.getLedger)
}

func (a *api) getLedger(ctx context.Context, c *call, _ *none) (*ledgerOut, error) {
	q, asked := c.query, c.query.paging("hour")
	l := source.LedgerQuery{From: q.moment("from"), To: q.moment("to"), Source: q.one("source"), Unbalanced: q.one("show") == "unbalanced", Page: asked.page, Size: asked.size}
	if l.To.IsZero() {
		l.To = a.Now()
	}
	if l.From.IsZero() {
		l.From = l.To.Add(-24 * time.Hour)
	}
	l.From = l.From.UTC().Truncate(time.Hour) // a part of an hour means the hour
	if l.To.Before(l.From) {
		return nil, invalid("to", "Must not be before from")
	}
	b, err := a.Sources.Balance(ctx, c.Tenant.Number, l)
	if err != nil {
		return nil, err
	}
	out := &ledgerOut{}
	out.Body.page = pageOf(asked, b.Count, b.Lines, func(e *source.Entry) ledgerItem {
		return ledgerItem{Hour: e.Hour, Source: e.Source, LedgerCounts: countsOf(e)}
	}).Body
	out.Body.Totals, out.Body.Unbalanced = countsOf(&b.Total), b.Wrong
	out.Body.Totals.Balanced = b.Wrong == 0
	out.Body.Refused, out.Body.Lost = []refusalItem{}, []refusalItem{}
	if a.ServerTenant == 0 || c.Tenant.Number != a.ServerTenant {
		return out, nil
	}
	refusals, err := a.Sources.Refusals(ctx, l.From, l.To)
	if err != nil {
		return nil, err
	}
	for _, r := range refusals {
		item := refusalItem{Door: r.Door, Reason: r.Reason, Count: r.Records}
		if r.Fate == source.Lost {
			out.Body.Lost = append(out.Body.Lost, item)
		} else {
			out.Body.Refused = append(out.Body.Refused, item)
		}
	}
	return out, nil
}

func countsOf(e *source.Entry) LedgerCounts {
	c := LedgerCounts{Received: e.Received, Stored: e.Stored, Quarantined: e.Quarantined, Dropped: e.Dropped, DroppedBy: e.Drops, Balanced: e.Balanced()}
	if c.DroppedBy == nil {
		c.DroppedBy = map[string]int64{}
	}
	return c
}
