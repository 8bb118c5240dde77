package api

import (
	"context"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
)

// foldedItem tells of a storm: an alert that stands for many entities of its rule.
type foldedItem struct {
	Limit    int64        `json:"limit" doc:"Alerts of the rule in an hour, beyond which the storm began."`
	From     time.Time    `json:"from" doc:"When it began, in server time."`
	Until    time.Time    `json:"until" doc:"From then on new entities have alerts of their own again, unless the storm goes on."`
	Entities int64        `json:"entities" doc:"How many it took. Each of them is found by ?entity=."`
	Top      []foldedPart `json:"topEntities" nullable:"false" doc:"Those with the most events, at most 20."`

	_ struct{} `additionalProperties:"true"`
}

type foldedPart struct {
	Entity      string    `json:"entity" example:"src_ip=10.0.1.55"`
	Occurrences int64     `json:"occurrences"`
	FirstSeen   time.Time `json:"firstSeen"`
	LastSeen    time.Time `json:"lastSeen"`

	_ struct{} `additionalProperties:"true"`
}

func foldedOf(s *alert.Storm) *foldedItem {
	if s == nil {
		return nil
	}
	out := &foldedItem{Limit: s.Limit, From: s.Began, Until: s.Until, Entities: s.Entities, Top: make([]foldedPart, len(s.Top))}
	for i, e := range s.Top {
		out.Top[i] = foldedPart{Entity: e.Key, Occurrences: e.Occurrences, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen}
	}
	return out
}

type alertEventsOut struct {
	Body struct {
		Events     []eventItem `json:"events" nullable:"false" doc:"Stored events of this page, in the order in which the alert took them."`
		Missing    []string    `json:"missing" nullable:"false" doc:"Ids of events of this page that are no longer stored."`
		Total      int64       `json:"total" doc:"Events that the alert refers to."`
		NextCursor *string     `json:"nextCursor" nullable:"true" doc:"For the next page; null on the last."`

		_ struct{} `additionalProperties:"true"`
	}
}

// alertEvents lists every event that made an alert.
func (a *api) alertEvents(ctx context.Context, c *call, in *byID) (*alertEventsOut, error) {
	page, err := a.Alerts.References(ctx, c.Tenant.Number, in.ID, c.query.one("cursor"), c.query.number("size"))
	if err != nil {
		return nil, err
	}
	out := &alertEventsOut{}
	b := &out.Body
	b.Events, b.Missing, b.Total, b.NextCursor = []eventItem{}, []string{}, page.Total, orNull(page.Next)
	const atOnce = 100
	for ids := range slices.Chunk(page.Events, atOnce) {
		found, err := a.eventsByID(ctx, c.Tenant.Number, ids, page.First, page.Last)
		if err != nil {
			return nil, err
		}
		stored := map[string]eventItem{}
		for _, e := range found {
			stored[e.ID.String()] = e
		}
		for _, id := range ids {
			if e, ok := stored[id.String()]; ok {
				b.Events = append(b.Events, e)
			} else {
				b.Missing = append(b.Missing, id.String())
			}
		}
	}
	return out, nil
}
