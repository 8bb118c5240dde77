package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
)

type changeItem struct {
	Seq    int64     `json:"seq"`
	Kind   string    `json:"kind" doc:"What was changed: alert, incident, rule, webhook, key and so on."`
	ID     string    `json:"id" doc:"Of the object; empty where the change is of none in particular."`
	Action string    `json:"action" doc:"create, update and so on."`
	Actor  string    `json:"actor"`
	At     time.Time `json:"at"`

	_ struct{} `additionalProperties:"true"`
}

type changesOut struct {
	Body struct {
		Changes []changeItem `json:"changes" nullable:"false" doc:"In the order in which they happened."`
		Next    int64        `json:"next" doc:"Give it as after to go on."`
		More    bool         `json:"more" doc:"There are more already."`

		_ struct{} `additionalProperties:"true"`
	}
}

func (a *api) changes() {
	handle(a, operation{
		id: "listChanges", method: http.MethodGet, path: "/changes", tag: "Changes", summary: "Follow what changes",
		doc: "Every change of an object by a person, a key or KYRA itself, once, in order and without gaps: read, keep next, and ask again with after=next. " +
			"after=0 begins at the beginning; without after, the answer is empty and next is the present end. " +
			"That an alert grows is no change here: list alerts with updatedSince for that.",
		params: []param{
			{name: "after", doc: "The next of the answer before; -1: none, only where the end is.", kind: number, min: -1, max: maxPage, standard: "-1"},
			{name: "limit", doc: "Changes at a time.", kind: number, min: 1, max: 1000, standard: "100"},
			{name: "kind", doc: "Only of these kinds.", many: true},
		},
	}, a.listChanges)
}

func (a *api) listChanges(ctx context.Context, c *call, _ *none) (*changesOut, error) {
	out := &changesOut{}
	b := &out.Body
	b.Changes = []changeItem{}
	if c.query.number("after") < 0 {
		end, _, err := audit.Head(ctx, a.DB, c.Tenant.Number)
		b.Next = end
		return out, err
	}
	limit, kinds := c.query.number("limit"), c.query.all("kind")
	b.Next = int64(c.query.number("after"))
	entries, err := audit.After(ctx, a.DB, c.Tenant.Number, b.Next, limit+1)
	if err != nil {
		return nil, err
	}
	if b.More = len(entries) > limit; b.More {
		entries = entries[:limit]
	}
	for i := range entries {
		e := &entries[i]
		b.Next = e.Seq
		kind, action, _ := strings.Cut(e.Action, ".")
		if len(kinds) > 0 && !slices.ContainsFunc(kinds, func(k string) bool { return strings.EqualFold(k, kind) }) {
			continue
		}
		for _, id := range objectsOf(e) {
			b.Changes = append(b.Changes, changeItem{Seq: e.Seq, Kind: kind, ID: id, Action: action, Actor: e.Actor, At: e.At})
		}
	}
	return out, nil
}

// objectsOf returns what an entry is about: alerts are made many at a time.
func objectsOf(e *audit.Stored) []string {
	var many struct {
		IDs []string `json:"ids"`
	}
	if e.Object == "" && json.Unmarshal(e.Detail, &many) == nil && len(many.IDs) > 0 {
		return many.IDs
	}
	return []string{e.Object}
}
