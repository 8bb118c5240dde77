package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/rule"
)

type (
	// ExceptionScope says which events an exception takes. Exactly one key is set.
	ExceptionScope struct {
		Entity *exceptionEntity    `json:"entity,omitempty" doc:"Events about one entity."`
		Fields map[string][]string `json:"fields,omitempty" doc:"Each field has one of its values, literally and in any case."`
		Filter string              `json:"filter,omitempty" doc:"Sigma: searches and a condition that holds for what is taken, or a whole filter document."`
	}
	exceptionEntity struct {
		Type  string `json:"type,omitempty" doc:"As alerts name it: ip, user, host, domain, hash, file, process. It chooses the fields where field is not given." example:"ip"`
		Field string `json:"field,omitempty" doc:"The only field that is asked." example:"src_ip"`
		Value string `json:"value" doc:"Literally and in any case; of addresses a network too." example:"10.0.1.55"`
	}
	exceptionItem struct {
		ID        string         `json:"id"`
		RuleID    string         `json:"ruleId"`
		RuleName  string         `json:"ruleName" doc:"Empty where the rule is gone."`
		Kind      string         `json:"kind" enum:"entity,fields,filter"`
		Scope     ExceptionScope `json:"scope"`
		Sigma     string         `json:"sigma" doc:"The Sigma filter that the scope comes to."`
		Reason    string         `json:"reason"`
		Owner     string         `json:"owner" doc:"Who answers for it."`
		CreatedBy string         `json:"createdBy"`
		CreatedAt time.Time      `json:"createdAt"`
		UpdatedAt time.Time      `json:"updatedAt"`
		ExpiresAt *time.Time     `json:"expiresAt" nullable:"true" doc:"null: never."`
		State     string         `json:"state" enum:"active,expired"`
		Hits      int64          `json:"hits" doc:"Events that it silenced."`
		LastHitAt *time.Time     `json:"lastHitAt" nullable:"true" doc:"Event time of the last of them."`
		Version   int64          `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	exceptionOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     exceptionItem
	}
	createExceptionIn struct {
		ID   string `path:"id"`
		Body struct {
			Scope     ExceptionScope `json:"scope"`
			Reason    string         `json:"reason" doc:"Why; up to 1,000 characters."`
			Owner     string         `json:"owner,omitempty" doc:"Who answers for it; you, when left out."`
			ExpiresAt *time.Time     `json:"expiresAt,omitempty" nullable:"true" doc:"At most 10 years from now; never, when left out."`
		}
	}
	patchExceptionIn struct {
		ID   string `path:"id"`
		Body struct {
			Scope     *ExceptionScope `json:"scope,omitempty"`
			Reason    string          `json:"reason,omitempty"`
			Owner     string          `json:"owner,omitempty"`
			ExpiresAt nullTime        `json:"expiresAt,omitzero" doc:"null: never."`
		}
	}
	previewIn struct {
		ID   string `path:"id"`
		Body struct {
			Scope ExceptionScope `json:"scope"`
		}
	}
	previewOut struct {
		Body struct {
			Sigma          string          `json:"sigma" doc:"The Sigma filter that the scope comes to."`
			Allowed        bool            `json:"allowed" doc:"No alert that is marked true positive would be hidden."`
			Alerts         int64           `json:"alerts" doc:"Of the rule, in all."`
			Examined       int             `json:"examined" doc:"Those that are marked true positive, at most the newest 500, and the newest 200, as far as there is time."`
			Hidden         int             `json:"hidden" doc:"Examined alerts that would not be there."`
			Reduced        int             `json:"reduced" doc:"That would have fewer events."`
			Events         int64           `json:"events" doc:"Stored events of the examined alerts, of each at most 50, or 100 where it is marked true positive."`
			EventsSilenced int64           `json:"eventsSilenced"`
			Silenced       []silencedAlert `json:"silenced" nullable:"false" doc:"Alerts hidden or reduced: true positives first, then the newest."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	silencedAlert struct {
		ID             string    `json:"id"`
		Title          string    `json:"title"`
		Severity       string    `json:"severity"`
		Status         string    `json:"status"`
		Verdict        *string   `json:"verdict" nullable:"true"`
		CreatedAt      time.Time `json:"createdAt"`
		Hidden         bool      `json:"hidden" doc:"It would not be there; else it would have fewer events."`
		Events         int64     `json:"events"`
		EventsSilenced int64     `json:"eventsSilenced"`
		Basis          string    `json:"basis" enum:"events,entities" doc:"entities: its events are no longer stored."`

		_ struct{} `additionalProperties:"true"`
	}
)

func (a *api) exceptions() {
	const tag = "Detection rules"
	filters := []param{
		{name: "kind", doc: "Filter by kind of scope.", kind: enum, values: rule.Kinds},
		{name: "state", doc: "Filter by state; expiring: active with at most 7 days to go.", kind: enum, values: rule.ExceptionStates},
		{name: "owner", doc: "Filter by owner."},
		{name: "search", doc: "Search in reason, owner and scope."},
	}
	handle(a, operation{
		id: "listExceptions", method: http.MethodGet, path: "/siem/exceptions", tag: tag, summary: "List exceptions of all rules",
		params: append(append(paging(rule.ExceptionSorts...), filters...), param{name: "ruleId", doc: "Filter by rule."}),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[exceptionItem], error) {
		return a.listExceptions(ctx, c, c.query.one("ruleId"))
	})
	handle(a, operation{
		id: "listRuleExceptions", method: http.MethodGet, path: "/siem/rules/{id}/exceptions", tag: tag, summary: "List exceptions of a rule",
		params: append(paging(rule.ExceptionSorts...), filters...),
	}, func(ctx context.Context, c *call, in *byID) (*pageOut[exceptionItem], error) {
		return a.listExceptions(ctx, c, in.ID)
	})
	handle(a, operation{
		id: "createException", method: http.MethodPost, path: "/siem/rules/{id}/exceptions", tag: tag, summary: "Add an exception to a rule", status: http.StatusCreated,
		doc: "Events that it takes raise no alert of this rule and feed none of its correlations. Refused with 409 where it would hide an alert that is marked true positive.",
	}, a.createException)
	handle(a, operation{
		id: "previewException", method: http.MethodPost, path: "/siem/rules/{id}/exceptions/preview", tag: tag, summary: "See what an exception would silence", safe: true,
		doc: "The rule's alerts are raised again from their stored events, with and without the exception; nothing is kept.",
	}, a.previewException)
	handle(a, operation{
		id: "getException", method: http.MethodGet, path: "/siem/exceptions/{id}", tag: tag, summary: "Get an exception", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*exceptionOut, error) {
		return outOfException(a.Rules.GetException(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateException", method: http.MethodPatch, path: "/siem/exceptions/{id}", tag: tag, summary: "Change an exception", single: true, uuid: true,
		doc: "A new scope or end is refused with 409 where it would hide an alert that is marked true positive.",
	}, a.patchException)
	handle(a, operation{
		id: "deleteException", method: http.MethodDelete, path: "/siem/exceptions/{id}", tag: tag, summary: "Remove an exception", status: http.StatusNoContent, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Rules.DeleteException(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
}

func (a *api) listExceptions(ctx context.Context, c *call, ruleID string) (*pageOut[exceptionItem], error) {
	q, asked := c.query, c.query.paging(rule.ExceptionSorts[0])
	page, total, err := a.Rules.ListExceptions(ctx, c.Tenant.Number, rule.ExceptionQuery{
		RuleID: ruleID, Kind: q.one("kind"), State: q.one("state"), Owner: q.one("owner"), Search: q.one("search"),
		Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, page, exceptionOf), nil
}

func (s *ExceptionScope) scope() *rule.Scope {
	out := &rule.Scope{Fields: s.Fields, Filter: s.Filter}
	if e := s.Entity; e != nil {
		out.Entity = &rule.EntityScope{Type: e.Type, Field: e.Field, Value: e.Value}
	}
	return out
}

func exceptionOf(x *rule.Exception) exceptionItem {
	item := exceptionItem{
		ID: x.ID, RuleID: x.RuleID, RuleName: x.RuleName, Kind: x.Scope.Kind(), Scope: ExceptionScope{Fields: x.Scope.Fields, Filter: x.Scope.Filter}, Sigma: x.Sigma,
		Reason: x.Reason, Owner: x.Owner, CreatedBy: x.CreatedBy, CreatedAt: x.CreatedAt, UpdatedAt: x.UpdatedAt, ExpiresAt: x.ExpiresAt,
		State: "active", Hits: x.Hits, LastHitAt: x.LastHitAt, Version: x.Version,
	}
	if e := x.Scope.Entity; e != nil {
		item.Scope.Entity = &exceptionEntity{Type: e.Type, Field: e.Field, Value: e.Value}
	}
	if x.Expired {
		item.State = "expired"
	}
	return item
}

func outOfException(x *rule.Exception, err error) (*exceptionOut, error) {
	if err != nil {
		return nil, err
	}
	return &exceptionOut{Revision: x.Version, Body: exceptionOf(x)}, nil
}

func (a *api) createException(ctx context.Context, c *call, in *createExceptionIn) (*exceptionOut, error) {
	b := &in.Body
	out, err := outOfException(a.Rules.CreateException(ctx, c.Tenant.Number, c.Actor, in.ID, rule.ExceptionDraft{
		Scope: b.Scope.scope(), Reason: b.Reason, Owner: b.Owner, ExpiresAt: b.ExpiresAt,
	}))
	if err != nil {
		return nil, err
	}
	out.Location = base + "/siem/exceptions/" + out.Body.ID
	return out, nil
}

func (a *api) patchException(ctx context.Context, c *call, in *patchExceptionIn) (*exceptionOut, error) {
	b := &in.Body
	draft := rule.ExceptionDraft{Reason: b.Reason, Owner: b.Owner, ExpiresAt: b.ExpiresAt.at, Forever: b.ExpiresAt.set && b.ExpiresAt.at == nil, Version: c.version}
	if b.Scope != nil {
		draft.Scope = b.Scope.scope()
	}
	out, err := outOfException(a.Rules.ChangeException(ctx, c.Tenant.Number, c.Actor, in.ID, draft))
	if err != nil {
		return nil, c.condition(err)
	}
	return out, nil
}

func (a *api) previewException(ctx context.Context, c *call, in *previewIn) (*previewOut, error) {
	p, err := a.Rules.PreviewException(ctx, c.Tenant.Number, in.ID, *in.Body.Scope.scope())
	if err != nil {
		return nil, err
	}
	out := &previewOut{}
	b := &out.Body
	b.Sigma, b.Allowed, b.Alerts, b.Examined, b.Hidden, b.Reduced, b.Events, b.EventsSilenced = p.Sigma, true, p.Alerts, p.Examined, p.Hidden, p.Reduced, p.Events, p.EventsSilenced
	b.Silenced = make([]silencedAlert, len(p.List))
	for i, x := range p.List {
		b.Silenced[i] = silencedAlert{
			ID: x.ID, Title: x.Title, Severity: x.Severity, Status: x.Status, Verdict: orNull(x.Verdict), CreatedAt: x.CreatedAt,
			Hidden: x.Hidden, Events: x.Events, EventsSilenced: x.EventsSilenced, Basis: "events",
		}
		if x.ByEntities {
			b.Silenced[i].Basis = "entities"
		}
		b.Allowed = b.Allowed && (!x.TruePositive || !x.Hidden)
	}
	return out, nil
}

// nullTime tells an absent key, null and a time apart.
type nullTime struct {
	set bool // the key is there
	at  *time.Time
}

// Schema implements huma.SchemaProvider.
func (nullTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Nullable: true}
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *nullTime) UnmarshalJSON(b []byte) error {
	n.set = true
	var text *string
	if err := json.Unmarshal(b, &text); err != nil || text == nil {
		return err
	}
	at, wrong := parseMoment(*text)
	if wrong != "" {
		return errors.New(wrong)
	}
	n.at = &at
	return nil
}
