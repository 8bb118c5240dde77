package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/canary"
)

type (
	canaryItem struct {
		ID      string     `json:"id" format:"uuid" doc:"The event's field canary_run."`
		State   string     `json:"state" enum:"running,ok,lost,aborted" doc:"aborted: the server was stopped before it was sent."`
		Reason  string     `json:"reason" doc:"Why it is lost."`
		SentAt  time.Time  `json:"sentAt"`
		Legs    canaryLegs `json:"legs" doc:"Milliseconds from sent; null: it did not get there, or not yet."`
		Missing []string   `json:"missing" nullable:"false" doc:"Legs that it should have gone and did not."`
		EventID *string    `json:"eventId" nullable:"true"`
		AlertID *string    `json:"alertId" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	canaryLegs struct {
		Acknowledged *float64 `json:"acknowledged" nullable:"true" doc:"The queue has it on disk."`
		Stored       *float64 `json:"stored" nullable:"true" doc:"Search finds it."`
		Detected     *float64 `json:"detected" nullable:"true" doc:"Its rule matched."`
		Alerted      *float64 `json:"alerted" nullable:"true" doc:"Its alert can be read."`
		Delivered    *float64 `json:"delivered" nullable:"true" doc:"Every webhook that subscribes canary has taken it; null also where none does."`

		_ struct{} `additionalProperties:"true"`
	}
	canaryOut struct {
		Body struct {
			page[canaryItem]
			Every int64 `json:"every" doc:"Seconds between two; 0: off (canary.every)."`
			Sees  bool  `json:"sees" doc:"The last one that ended came out."`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) canary() {
	handle(a, operation{
		id: "listCanaries", method: http.MethodGet, path: "/canary", tag: "Data integrity", summary: "List test events, the newest first", single: true,
		doc:    "A harmless event of KYRA's own goes through queue, detection, alert and notice every few minutes. One that does not come out is an alert. The runs of 30 days are kept.",
		params: paging("sentAt")[:2],
	}, a.listCanaries)
}

func (a *api) listCanaries(ctx context.Context, c *call, _ *none) (*canaryOut, error) {
	asked := c.query.paging("sentAt")
	runs, total, err := a.Canary.List(ctx, c.Tenant.Number, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	out := &canaryOut{}
	out.Body.page = pageOf(asked, total, runs, canaryOf).Body
	out.Body.Every = int64(a.Canary.Every / time.Second)
	last := runs
	if asked.page > 0 {
		if last, _, err = a.Canary.List(ctx, c.Tenant.Number, 0, 20); err != nil {
			return nil, err
		}
	}
	for i := range last {
		if s := last[i].State; s == canary.OK || s == canary.Lost {
			out.Body.Sees = s == canary.OK
			break
		}
	}
	return out, nil
}

func canaryOf(r *canary.Run) canaryItem {
	after := func(t *time.Time) *float64 {
		if t == nil {
			return nil
		}
		ms := float64(t.Sub(r.Sent).Microseconds()) / 1000
		return &ms
	}
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	item := canaryItem{
		ID: r.ID, State: string(r.State), Reason: r.Reason, SentAt: r.Sent, Missing: []string{}, EventID: text(r.Event), AlertID: text(r.Alert),
		Legs: canaryLegs{Acknowledged: after(r.Acked), Stored: after(r.Stored), Detected: after(r.Detected), Alerted: after(r.Alerted), Delivered: after(r.Delivered)},
	}
	if r.State != canary.Running {
		item.Missing = r.Missing()
	}
	return item
}
