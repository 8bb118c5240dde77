package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/quarantine"
)

type (
	quarantineItem struct {
		Source    string             `json:"source" example:"json"`
		Reason    string             `json:"reason" example:"json_cut"`
		Meaning   string             `json:"meaning" doc:"The reason, for people."`
		Count     int64              `json:"count" doc:"Records that are in quarantine."`
		FirstSeen time.Time          `json:"firstSeen" doc:"Arrival."`
		LastSeen  time.Time          `json:"lastSeen" doc:"Arrival."`
		Samples   []quarantineSample `json:"samples" nullable:"false" doc:"The newest that are stored, at most 3."`

		_ struct{} `additionalProperties:"true"`
	}
	quarantineSample struct {
		ID        string    `json:"id" doc:"Of the event: GET /siem/events/{id}."`
		Timestamp time.Time `json:"timestamp"`
		At        string    `json:"at" doc:"Byte of the record where it breaks; empty: not known."`
		Raw       string    `json:"raw" doc:"The begin of the record."`

		_ struct{} `additionalProperties:"true"`
	}
	rerunIn struct {
		Body struct {
			Source string `json:"source,omitempty" doc:"Only of this source."`
			Reason string `json:"reason,omitempty" doc:"Only with this reason."`
			From   string `json:"from,omitempty" format:"date-time" doc:"Arrival, inclusive; 30 days before to when left out."`
			To     string `json:"to,omitempty" format:"date-time" doc:"Arrival, exclusive; now when left out."`
			DryRun bool   `json:"dryRun,omitempty" doc:"Only tell what would succeed, by parser."`
		}
	}
)

func reasonNames() []string {
	var names []string
	for r := range parse.Reasons {
		names = append(names, string(r))
	}
	slices.Sort(names)
	return names
}

func (a *api) quarantine() {
	const tag = "Data integrity"
	handle(a, operation{
		id: "listQuarantine", method: http.MethodGet, path: "/quarantine", tag: tag, summary: "List what is in quarantine, by source and reason",
		doc: "Records that claim a format and break it. They are stored whole, can be searched (parse_error_reason:*) and are seen by detection. Records that no parser knows are not in quarantine.",
		params: append(paging("count"),
			param{name: "source", doc: "Filter by source."},
			param{name: "reason", doc: "Filter by reason.", kind: enum, values: reasonNames()},
			param{name: "from", doc: "Arrival, by whole hours, inclusive.", kind: moment},
			param{name: "to", doc: "Arrival, by whole hours, exclusive.", kind: moment}),
	}, a.listQuarantine)
	handle(a, operation{
		id: "rerunQuarantine", method: http.MethodPost, path: "/quarantine/rerun", tag: tag, summary: "Read the quarantine again", status: http.StatusAccepted,
		doc: "With the parsers and settings of now. What is understood goes through queue and detection again with its original arrival, as one event however often this is asked for; alerts that come of it are real. The answer is a job; its result counts by parser and by reason.",
	}, a.rerunQuarantine)
}

func (a *api) listQuarantine(ctx context.Context, c *call, _ *none) (*pageOut[quarantineItem], error) {
	q, asked := c.query, c.query.paging("count")
	p, err := a.Quarantine.List(ctx, c.Tenant.Number, quarantine.Query{
		From: q.moment("from"), To: q.moment("to"), Source: q.one("source"), Reason: q.one("reason"), Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	out := pageOf(asked, p.Total, p.Groups, func(g *quarantine.Group) quarantineItem {
		return quarantineItem{
			Source: g.Source, Reason: string(g.Reason), Meaning: parse.Reasons[g.Reason], Count: g.Records, FirstSeen: g.First, LastSeen: g.Last, Samples: []quarantineSample{},
		}
	})
	for i := range out.Body.Content {
		item := &out.Body.Content[i]
		if item.Samples, err = a.samplesOf(ctx, c, item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// samplesOf shows some of a group. A store that is busy costs the samples only.
func (a *api) samplesOf(ctx context.Context, c *call, item *quarantineItem) ([]quarantineSample, error) {
	samples := []quarantineSample{}
	found, err := a.searchStore(ctx, eventstore.Request{
		Tenant: c.Tenant.Number, Filter: quarantine.Filter(item.Source, item.Reason), From: eventstore.MinTime, To: eventstore.MaxTime + 1, Limit: 3, NoTotal: true,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		a.log.WarnContext(ctx, "samples of the quarantine cannot be read", "source", item.Source, "reason", item.Reason, "err", err)
		return samples, nil
	}
	for i := range found.Events {
		e := &found.Events[i]
		samples = append(samples, quarantineSample{ID: e.ID.String(), Timestamp: time.Unix(0, e.Time).UTC(), At: e.Get(event.ParseErrorAt), Raw: quarantine.Excerpt(e)})
	}
	return samples, nil
}

func (a *api) rerunQuarantine(ctx context.Context, c *call, in *rerunIn) (*startedOut, error) {
	r := quarantine.RerunRequest{Source: in.Body.Source, Reason: in.Body.Reason, To: a.Now().UTC(), DryRun: in.Body.DryRun}
	var wrong string
	if in.Body.To != "" {
		if r.To, wrong = parseMoment(in.Body.To); wrong != "" {
			return nil, invalid("to", wrong)
		}
	}
	r.From = r.To.AddDate(0, 0, -30)
	if in.Body.From != "" {
		if r.From, wrong = parseMoment(in.Body.From); wrong != "" {
			return nil, invalid("from", wrong)
		}
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: quarantine.RerunJob, Subject: r.Source, Params: r}))
}

// openQuarantine makes what New was not given.
func (c *Config) openQuarantine() {
	if c.Canary == nil {
		c.Canary = canary.New(canary.Config{DB: c.DB, Events: c.Events, Alerts: c.Alerts, Log: c.Log, Now: c.Now})
	}
	if c.Quarantine == nil {
		c.Quarantine = quarantine.New(quarantine.Config{DB: c.DB, Events: c.Events, Sources: c.Sources, Log: c.Log})
	}
	if c.Jobs == nil {
		kinds := c.Workbench.Kinds()
		maps.Copy(kinds, c.Quarantine.Kinds())
		maps.Copy(kinds, c.Requests.Kinds())
		c.Jobs = job.New(c.DB, job.Config{Log: c.Log, Now: c.Now}, kinds)
	}
}
