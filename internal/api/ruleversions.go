package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
)

type (
	// RuleVersion is one version of a list.
	RuleVersion struct {
		Version int64     `json:"version"`
		At      time.Time `json:"at"`
		Actor   string    `json:"actor" doc:"Who made it."`
		Reason  string    `json:"reason" doc:"Why; empty where nothing was said."`

		_ struct{} `additionalProperties:"true"`
	}
	ruleVersionDetail struct {
		RuleVersion
		YAML string `json:"yaml"`

		_ struct{} `additionalProperties:"true"`
	}
	// VersionPath names a version of a rule.
	VersionPath struct {
		ID      string `path:"id"`
		Version string `path:"version" doc:"A number from 1."`
	}
	ruleVersionOut struct{ Body ruleVersionDetail }
	ruleDiffOut    struct {
		Body struct {
			From int64  `json:"from" doc:"0: no text at all."`
			To   int64  `json:"to"`
			Diff string `json:"diff" doc:"A unified diff; empty where the texts are the same."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	restoreIn struct {
		VersionPath
		Body *struct {
			Reason string `json:"reason,omitempty" doc:"Up to 1,000 characters."`
		} `required:"false"`
	}
	ruleHistoryItem struct {
		At     time.Time       `json:"at"`
		Actor  string          `json:"actor"`
		Action string          `json:"action" example:"rule.status"`
		Detail json.RawMessage `json:"detail" doc:"Particulars, among them reason where one was given."`

		_ struct{} `additionalProperties:"true"`
	}
	stagedOut struct {
		Body struct {
			Staged  bool        `json:"staged" doc:"It is staged now."`
			Since   time.Time   `json:"since" doc:"Its text or stage last changed: counting began anew."`
			Count   int64       `json:"count" doc:"Events of all findings."`
			Alerts  int64       `json:"alerts" doc:"That it would have raised, findings of one key within 24 hours of event time making one."`
			Keys    int64       `json:"keys" doc:"Entities told apart, at most 500."`
			Unkept  int64       `json:"unkept" doc:"Events of further entities: they are in count, and no alerts are counted of them."`
			First   *time.Time  `json:"first" nullable:"true"`
			Last    *time.Time  `json:"last" nullable:"true"`
			ByDay   []stagedDay `json:"byDay" nullable:"false" doc:"By event time, UTC, the oldest first, at most 60."`
			ByKey   []stagedKey `json:"byEntity" nullable:"false" doc:"Most events first, at most 100."`
			Samples []eventItem `json:"samples" nullable:"false" doc:"Stored events of the first entities, the oldest first, at most 20."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	stagedDay struct {
		Day    string `json:"day" example:"2026-04-22"`
		Count  int64  `json:"count"`
		Alerts int64  `json:"alerts"`

		_ struct{} `additionalProperties:"true"`
	}
	stagedKey struct {
		Key    string    `json:"key" doc:"What tells entities of one rule apart." example:"src_ip=10.0.1.55"`
		Count  int64     `json:"count"`
		Alerts int64     `json:"alerts"`
		First  time.Time `json:"first"`
		Last   time.Time `json:"last"`
		Events []string  `json:"eventIds" nullable:"false" doc:"The newest, at most 10."`

		_ struct{} `additionalProperties:"true"`
	}
)

// plainPaging is for lists in one order.
func plainPaging() []param { return paging("")[:2] }

func (a *api) ruleVersions() {
	const tag = "Detection rules"
	handle(a, operation{
		id: "listRuleVersions", method: http.MethodGet, path: "/siem/rules/{id}/versions", tag: tag, summary: "List the versions of a rule", params: plainPaging(),
		doc: "Every text that the rule had, with who made it, when and why, the newest first.",
	}, a.listVersions)
	handle(a, operation{
		id: "getRuleVersion", method: http.MethodGet, path: "/siem/rules/{id}/versions/{version}", tag: tag, summary: "Get a version of a rule with its text",
	}, a.getVersion)
	handle(a, operation{
		id: "compareRuleVersions", method: http.MethodGet, path: "/siem/rules/{id}/versions/{version}/diff", tag: tag, summary: "Compare a version with another",
		params: []param{{name: "from", doc: "The version to compare with; the one before by default.", kind: number, max: maxPage, standard: "0"}},
	}, a.compareVersions)
	handle(a, operation{
		id: "restoreRuleVersion", method: http.MethodPost, path: "/siem/rules/{id}/versions/{version}/restore", tag: tag, summary: "Make a former text the newest version",
	}, a.restoreVersion)
	handle(a, operation{
		id: "listRuleHistory", method: http.MethodGet, path: "/siem/rules/{id}/history", tag: tag, summary: "List what was done to a rule", params: plainPaging(),
		doc: "Your tenant's changes of text, status, stage, severity and exceptions, from the audit log, the newest first.",
	}, a.ruleHistory)
	handle(a, operation{
		id: "getStagedRule", method: http.MethodGet, path: "/siem/rules/{id}/staged", tag: tag, summary: "See what a staged rule would have raised",
	}, a.stagedRule)
}

func (a *api) listVersions(ctx context.Context, c *call, in *byID) (*pageOut[RuleVersion], error) {
	asked := c.query.paging("")
	versions, total, err := a.Rules.Versions(ctx, c.Tenant.Number, in.ID, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, versions, versionOf), nil
}

func versionOf(v *rule.Version) RuleVersion {
	return RuleVersion{Version: v.Version, At: v.At, Actor: v.Actor, Reason: v.Reason}
}

// number reads the version; what is none is answered as an unknown one.
func (p *VersionPath) number() (int64, error) {
	n, err := strconv.ParseInt(p.Version, 10, 64)
	if err != nil || n < 1 {
		return 0, notFound()
	}
	return n, nil
}

func (a *api) getVersion(ctx context.Context, c *call, in *VersionPath) (*ruleVersionOut, error) {
	n, err := in.number()
	if err != nil {
		return nil, err
	}
	v, err := a.Rules.GetVersion(ctx, c.Tenant.Number, in.ID, n)
	if err != nil {
		return nil, err
	}
	return &ruleVersionOut{ruleVersionDetail{RuleVersion: versionOf(v), YAML: v.YAML}}, nil
}

func (a *api) compareVersions(ctx context.Context, c *call, in *VersionPath) (*ruleDiffOut, error) {
	n, err := in.number()
	if err != nil {
		return nil, err
	}
	out := &ruleDiffOut{}
	out.Body.From, out.Body.To = int64(c.query.number("from")), n
	if out.Body.From == 0 {
		out.Body.From = n - 1
	}
	out.Body.Diff, err = a.Rules.Diff(ctx, c.Tenant.Number, in.ID, out.Body.From, n)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (a *api) restoreVersion(ctx context.Context, c *call, in *restoreIn) (*ruleOut, error) {
	n, err := in.number()
	if err != nil {
		return nil, err
	}
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	out, err := a.outOfRule(ctx, c)(a.Rules.Restore(ctx, c.Tenant.Number, c.Actor, in.ID, n, reason))
	if err != nil {
		return nil, ruleFault(err)
	}
	return out, nil
}

func (a *api) ruleHistory(ctx context.Context, c *call, in *byID) (*pageOut[ruleHistoryItem], error) {
	if _, err := a.Rules.Get(ctx, c.Tenant.Number, in.ID); err != nil {
		return nil, err
	}
	asked := c.query.paging("")
	entries, total, err := audit.List(ctx, a.DB, c.Tenant.Number, audit.Filter{Object: in.ID, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, entries, func(e *audit.Stored) ruleHistoryItem {
		return ruleHistoryItem{At: e.At, Actor: e.Actor, Action: e.Action, Detail: e.Detail}
	}), nil
}

func (a *api) stagedRule(ctx context.Context, c *call, in *byID) (*stagedOut, error) {
	r, err := a.Rules.StagedReport(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	out := &stagedOut{}
	b := &out.Body
	b.Staged, b.Since, b.Count, b.Alerts, b.Keys, b.Unkept, b.First, b.Last = r.Staged, r.Since, r.Count, r.Alerts, r.Keys, r.Unkept, r.First, r.Last
	b.ByDay, b.ByKey = make([]stagedDay, len(r.Days)), make([]stagedKey, len(r.ByKey))
	for i, d := range r.Days {
		b.ByDay[i] = stagedDay{Day: d.Day.Format(time.DateOnly), Count: d.Count, Alerts: d.Alerts}
	}
	const maxSamples = 20
	var ids []event.ID
	var first, last time.Time
	for i, k := range r.ByKey {
		b.ByKey[i] = stagedKey{Key: k.Key, Count: k.Count, Alerts: k.Alerts, First: k.First, Last: k.Last, Events: make([]string, len(k.Events))}
		for j, id := range k.Events {
			b.ByKey[i].Events[j] = id.String()
		}
		if room := maxSamples - len(ids); room > 0 && len(k.Events) > 0 {
			if len(ids) == 0 || k.First.Before(first) {
				first = k.First
			}
			if k.Last.After(last) {
				last = k.Last
			}
			ids = append(ids, k.Events[:min(room, len(k.Events))]...)
		}
	}
	b.Samples, err = a.eventsByID(ctx, c.Tenant.Number, ids, first, last)
	if err != nil {
		return nil, err
	}
	return out, nil
}
