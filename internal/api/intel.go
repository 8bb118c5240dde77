package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/job"
)

const intelTag = "Threat intelligence"

type (
	// IndicatorItem is one indicator.
	IndicatorItem struct {
		ID          string     `json:"id" format:"uuid"`
		Type        string     `json:"type" enum:"ipv4,ipv6,cidr,domain,url,md5,sha1,sha256,email,ja3"`
		Value       string     `json:"value" doc:"In its one form." example:"203.0.113.7"`
		Source      string     `json:"source" doc:"The feed's name, or what a person wrote." example:"Feodo Tracker"`
		Confidence  int        `json:"confidence" doc:"0 to 100."`
		Severity    string     `json:"severity" enum:"critical,high,medium,low,info"`
		Tags        []string   `json:"tags" nullable:"false"`
		Description string     `json:"description"`
		Active      bool       `json:"active" doc:"It matches events that arrive now."`
		ValidFrom   time.Time  `json:"validFrom"`
		ValidUntil  *time.Time `json:"validUntil" nullable:"true" doc:"null: for ever, or while its feed names it."`
		FirstSeen   time.Time  `json:"firstSeen" doc:"By the source."`
		LastSeen    time.Time  `json:"lastSeen" doc:"By the source."`
		Sightings   int64      `json:"sightings" doc:"Events here that carry it."`
		LastSighted *time.Time `json:"lastSighted" nullable:"true" doc:"Event time."`
		FeedID      string     `json:"feedId" doc:"Empty where no feed brought it."`
		CreatedAt   time.Time  `json:"createdAt"`
		CreatedBy   string     `json:"createdBy"`
		UpdatedAt   time.Time  `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	indicatorDraft struct {
		Type        word     `json:"type,omitzero" enum:"ipv4,ipv6,cidr,domain,url,md5,sha1,sha256,email,ja3" doc:"Found out when left out."`
		Value       string   `json:"value" doc:"In any form: defanged, with Unicode, in any case." example:"hxxp://evil[.]example/a"`
		Source      string   `json:"source,omitempty" doc:"manual when left out."`
		Confidence  *int     `json:"confidence,omitempty" doc:"0 to 100; 75 when left out."`
		Severity    word     `json:"severity,omitzero" enum:"critical,high,medium,low,info" doc:"medium when left out."`
		Tags        []string `json:"tags,omitempty" nullable:"false"`
		Description string   `json:"description,omitempty"`
		ValidFrom   string   `json:"validFrom,omitempty" doc:"RFC 3339; now when left out."`
		ValidUntil  string   `json:"validUntil,omitempty" doc:"RFC 3339; for ever when left out."`
	}
	indicatorOut struct {
		Revision int64 `header:"X-Revision"`
		Body     IndicatorItem
	}
	newIndicatorOut struct {
		Status   int
		Location string `header:"Location"`
		Body     IndicatorItem
	}
	createIndicatorIn struct{ Body indicatorDraft }
	bulkIndicatorsIn  struct {
		Body struct {
			Indicators []indicatorDraft `json:"indicators" nullable:"false" minItems:"1" maxItems:"1000"`
		}
	}
	bulkIndicatorsOut struct {
		Body struct {
			Created   int                   `json:"created"`
			Updated   int                   `json:"updated"`
			Unchanged int                   `json:"unchanged"`
			Failed    int                   `json:"failed"`
			Results   []bulkIndicatorResult `json:"results" nullable:"false" doc:"One for each, in their order."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	bulkIndicatorResult struct {
		Status  string `json:"status" enum:"created,updated,unchanged,failed"`
		ID      string `json:"id"`
		Value   string `json:"value"`
		Message string `json:"message" doc:"What is wrong; empty where nothing is."`

		_ struct{} `additionalProperties:"true"`
	}
	patchIndicatorIn struct {
		ID   string `path:"id"`
		Body struct {
			Confidence  *int     `json:"confidence,omitempty"`
			Severity    word     `json:"severity,omitzero" enum:"critical,high,medium,low,info"`
			Tags        []string `json:"tags,omitempty" nullable:"false"`
			Description *string  `json:"description,omitempty"`
			ValidUntil  nullText `json:"validUntil,omitzero" doc:"RFC 3339; null: for ever."`
			Active      *bool    `json:"active,omitempty" doc:"false: it matches nothing, whatever its feed says."`
		}
	}
	lookupOut struct {
		Body struct {
			Type    string          `json:"type"`
			Value   string          `json:"value" doc:"In its one form."`
			Matches bool            `json:"matches" doc:"An event with it would be matched now."`
			Allowed *AllowedItem    `json:"allowed,omitempty" doc:"The entry of the allow-list that keeps it from matching, where there is one."`
			Content []IndicatorItem `json:"content" nullable:"false" doc:"The value itself, networks that hold it, domains above it; also those that are not active. At most 100."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	sightingItem struct {
		Day       string    `json:"day" example:"2026-04-22" doc:"Of event time, UTC."`
		Field     string    `json:"field" example:"src_ip"`
		Entity    string    `json:"entity" doc:"Host, user or address on our side."`
		AlertID   *string   `json:"alertId" nullable:"true" doc:"null: it raised none."`
		FirstSeen time.Time `json:"firstSeen"`
		LastSeen  time.Time `json:"lastSeen"`
		Events    int64     `json:"events"`
		EventID   string    `json:"eventId" doc:"The newest event."`

		_ struct{} `additionalProperties:"true"`
	}
	thresholdsBody struct {
		Critical *int `json:"critical" nullable:"true" doc:"Confidence from which on a sighting raises an alert; null: never."`
		High     *int `json:"high" nullable:"true"`
		Medium   *int `json:"medium" nullable:"true"`
		Low      *int `json:"low" nullable:"true"`
		Info     *int `json:"info" nullable:"true"`
	}
	thresholdsOut struct{ Body thresholdsBody }
	thresholdsIn  struct{ Body thresholdsBody }
	retroIn       struct {
		Body struct {
			Days          int      `json:"days,omitempty" doc:"How far back; 1 to 365, 30 when left out."`
			IDs           []string `json:"ids,omitempty" nullable:"false" doc:"Only these indicators."`
			Types         []word   `json:"types,omitempty" nullable:"false"`
			Sources       []string `json:"sources,omitempty" nullable:"false"`
			Tags          []string `json:"tags,omitempty" nullable:"false"`
			FeedID        string   `json:"feedId,omitempty"`
			MinConfidence int      `json:"minConfidence,omitempty" minimum:"0" maximum:"100"`
			CreatedAfter  string   `json:"createdAfter,omitempty" doc:"RFC 3339: only newer indicators."`
		}
	}
)

func (a *api) indicatorOf(i *intel.Indicator) IndicatorItem {
	return IndicatorItem{
		ID: i.ID, Type: string(i.Type), Value: i.Value, Source: i.Source, Confidence: i.Confidence, Severity: i.Severity, Tags: orEmpty(i.Tags), Description: i.Description,
		Active: i.Active(a.Now()), ValidFrom: i.ValidFrom, ValidUntil: i.ValidUntil, FirstSeen: i.FirstSeen, LastSeen: i.LastSeen, Sightings: i.Sightings, LastSighted: i.LastSighted,
		FeedID: i.FeedID, CreatedAt: i.CreatedAt, CreatedBy: i.CreatedBy, UpdatedAt: i.UpdatedAt,
	}
}

// indicatorFilters are the filters of list and export.
func indicatorFilters() []param {
	return []param{
		{name: "type", doc: "Filter by type.", kind: enum, values: asTexts(intel.Types), many: true},
		{name: "value", doc: "The whole value, in any form."},
		{name: "search", doc: "Search in values."},
		{name: "source", doc: "Filter by source.", many: true},
		{name: "tag", doc: "With one of the tags.", many: true},
		{name: "severity", doc: "Filter by severity.", kind: enum, values: event.Severities, many: true},
		{name: "feedId", doc: "Filter by feed."},
		{name: "active", doc: "Filter by whether it matches now.", kind: enum, values: []string{"true", "false"}},
		{name: "sighted", doc: "Filter by whether it was seen here.", kind: enum, values: []string{"true", "false"}},
		{name: "minConfidence", doc: "With at least this confidence.", kind: number, max: 100, standard: "0"},
	}
}

func indicatorFilter(q given) intel.Filter {
	f := intel.Filter{
		Types: words[intel.Type](q.all("type")), Value: q.one("value"), Search: q.one("search"), Sources: q.all("source"), Tags: q.all("tag"),
		Severities: q.all("severity"), FeedID: q.one("feedId"), MinConfidence: q.number("minConfidence"),
	}
	if v := q.one("active"); v != "" {
		f.Active = new(v == "true")
	}
	if v := q.one("sighted"); v != "" {
		f.Sighted = new(v == "true")
	}
	return f
}

func (a *api) indicators() {
	handle(a, operation{
		id: "listIndicators", method: http.MethodGet, path: "/threat-intel-iocs", tag: intelTag, summary: "List indicators", params: append(paging(intel.Sorts...), indicatorFilters()...),
	}, a.listIndicators)
	handle(a, operation{
		id: "createIndicator", method: http.MethodPost, path: "/threat-intel-iocs", tag: intelTag, summary: "Create or change an indicator", status: http.StatusCreated,
		doc: "There is one indicator for each type, value and source: one that is there already is changed, and the answer is 200.",
	}, a.createIndicator)
	handle(a, operation{
		id: "createIndicators", method: http.MethodPost, path: "/threat-intel-iocs/bulk", tag: intelTag, summary: "Create or change up to 1,000 indicators",
		doc: "One that is wrong stops no other. Doing it again changes nothing.",
	}, a.createIndicators)
	handle(a, operation{
		id: "lookupIndicator", method: http.MethodGet, path: "/threat-intel-iocs/lookup", tag: intelTag, summary: "Tell what is known of a value",
		params: []param{{name: "value", doc: "An address, domain, URL, hash or e-mail address, in any form."}},
	}, a.lookupIndicator)
	handle(a, operation{
		id: "retroMatch", method: http.MethodPost, path: "/threat-intel-iocs/retro", tag: intelTag, summary: "Look for active indicators in stored events", status: http.StatusAccepted,
		doc: "The answer is a job: its progress counts indicators, and its result lists what was found with events and alerts. Events that were matched before are not counted again.",
	}, a.retroMatch)
	handle(a, operation{
		id: "getIndicatorThresholds", method: http.MethodGet, path: "/threat-intel-iocs/thresholds", tag: intelTag, summary: "Get when a sighting raises an alert", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*thresholdsOut, error) {
		return thresholdsOutOf(a.Indicators.Thresholds(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "setIndicatorThresholds", method: http.MethodPut, path: "/threat-intel-iocs/thresholds", tag: intelTag, summary: "Set when a sighting raises an alert",
		doc: "For each severity of an indicator, the confidence from which on it raises an alert. What raises none is still counted.",
	}, a.setThresholds)
	handle(a, operation{
		id: "getIndicator", method: http.MethodGet, path: "/threat-intel-iocs/{id}", tag: intelTag, summary: "Get an indicator", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*indicatorOut, error) {
		return a.outOfIndicator(a.Indicators.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateIndicator", method: http.MethodPatch, path: "/threat-intel-iocs/{id}", tag: intelTag, summary: "Change an indicator", single: true, uuid: true,
		doc: "A feed that still names it sets everything but active again.",
	}, a.patchIndicator)
	handle(a, operation{
		id: "deleteIndicator", method: http.MethodDelete, path: "/threat-intel-iocs/{id}", tag: intelTag, summary: "Delete an indicator", status: http.StatusNoContent, uuid: true,
		doc: "A feed that still names it brings it again: set active to false, or allow the value, to keep it from matching.",
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Indicators.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "listSightings", method: http.MethodGet, path: "/threat-intel-iocs/{id}/sightings", tag: intelTag, summary: "List where an indicator was seen", uuid: true, params: paging("lastSeen"),
		doc: "One for each day, field and entity on our side, the newest first.",
	}, a.listSightings)
	a.indicatorFeeds()
	a.allowedIndicators()
}

func (a *api) outOfIndicator(i *intel.Indicator, err error) (*indicatorOut, error) {
	if err != nil {
		return nil, err
	}
	return &indicatorOut{Revision: i.Version, Body: a.indicatorOf(i)}, nil
}

func (a *api) listIndicators(ctx context.Context, c *call, _ *none) (*pageOut[IndicatorItem], error) {
	asked := c.query.paging(intel.Sorts[0])
	list, total, err := a.Indicators.List(ctx, c.Tenant.Number, intel.Query{Filter: indicatorFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, a.indicatorOf), nil
}

// read is the draft in the domain's words.
func (d *indicatorDraft) read() (intel.Draft, error) {
	out := intel.Draft{Value: d.Value, Source: d.Source, Confidence: d.Confidence, Tags: d.Tags, Description: d.Description}
	if d.Type.set {
		t, bad := d.Type.among("type", asTexts(intel.Types))
		if bad != nil {
			return out, bad
		}
		out.Type = intel.Type(t)
	}
	if d.Severity.set {
		s, bad := d.Severity.among("severity", event.Severities)
		if bad != nil {
			return out, bad
		}
		out.Severity = s
	}
	if d.ValidFrom != "" {
		t, wrong := parseMoment(d.ValidFrom)
		if wrong != "" {
			return out, invalid("validFrom", wrong)
		}
		out.ValidFrom = t
	}
	if d.ValidUntil != "" {
		t, wrong := parseMoment(d.ValidUntil)
		if wrong != "" {
			return out, invalid("validUntil", wrong)
		}
		out.ValidUntil = &t
	}
	return out, nil
}

func (a *api) createIndicator(ctx context.Context, c *call, in *createIndicatorIn) (*newIndicatorOut, error) {
	d, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	done, err := a.Indicators.Upsert(ctx, c.Tenant.Number, c.Actor, []intel.Draft{d})
	if err != nil {
		return nil, err
	}
	if done[0].Err != nil {
		return nil, done[0].Err
	}
	out := &newIndicatorOut{Status: http.StatusOK, Location: base + "/threat-intel-iocs/" + done[0].Indicator.ID, Body: a.indicatorOf(done[0].Indicator)}
	if done[0].Created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

func (a *api) createIndicators(ctx context.Context, c *call, in *bulkIndicatorsIn) (*bulkIndicatorsOut, error) {
	out := &bulkIndicatorsOut{}
	b := &out.Body
	b.Results = make([]bulkIndicatorResult, len(in.Body.Indicators))
	var drafts []intel.Draft
	var index []int
	fail := func(i int, err error) {
		b.Failed++
		b.Results[i] = bulkIndicatorResult{Status: "failed", Value: in.Body.Indicators[i].Value, Message: problemFor(ctx, a.log, err).Message}
	}
	for i := range in.Body.Indicators {
		d, err := in.Body.Indicators[i].read()
		if err != nil {
			fail(i, err)
			continue
		}
		drafts, index = append(drafts, d), append(index, i)
	}
	done, err := a.Indicators.Upsert(ctx, c.Tenant.Number, c.Actor, drafts)
	if err != nil {
		return nil, err
	}
	for j := range done {
		i, d := index[j], &done[j]
		if d.Err != nil {
			fail(i, d.Err)
			continue
		}
		r := bulkIndicatorResult{Status: "unchanged", ID: d.Indicator.ID, Value: d.Indicator.Value}
		switch {
		case d.Created:
			r.Status = "created"
			b.Created++
		case d.Changed:
			r.Status = "updated"
			b.Updated++
		default:
			b.Unchanged++
		}
		b.Results[i] = r
	}
	return out, nil
}

func (a *api) lookupIndicator(ctx context.Context, c *call, _ *none) (*lookupOut, error) {
	value := c.query.one("value")
	if value == "" {
		return nil, invalid("value", "Allowed: an address, domain, URL, hash or e-mail address")
	}
	list, allowed, err := a.Indicators.Lookup(ctx, c.Tenant.Number, value)
	if err != nil {
		return nil, err
	}
	out := &lookupOut{}
	t, v, _ := intel.Guess(value) // Lookup has checked it
	out.Body.Type, out.Body.Value, out.Body.Content = string(t), v, []IndicatorItem{}
	for i := range list {
		item := a.indicatorOf(&list[i])
		out.Body.Matches = out.Body.Matches || item.Active && allowed == nil
		out.Body.Content = append(out.Body.Content, item)
	}
	if allowed != nil {
		item := allowedOf(allowed)
		out.Body.Allowed = &item
	}
	return out, nil
}

func (a *api) patchIndicator(ctx context.Context, c *call, in *patchIndicatorIn) (*indicatorOut, error) {
	b := &in.Body
	p := intel.Patch{Confidence: b.Confidence, Tags: b.Tags, Description: b.Description, Active: b.Active, Version: c.version}
	if b.Severity.set {
		s, bad := b.Severity.among("severity", event.Severities)
		if bad != nil {
			return nil, bad
		}
		p.Severity = &s
	}
	if b.ValidUntil.set {
		var until *time.Time
		if b.ValidUntil.text != "" {
			t, wrong := parseMoment(b.ValidUntil.text)
			if wrong != "" {
				return nil, invalid("validUntil", wrong)
			}
			until = &t
		}
		p.ValidUntil = &until
	}
	i, err := a.Indicators.Change(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	return a.outOfIndicator(i, c.condition(err))
}

func (a *api) listSightings(ctx context.Context, c *call, in *byID) (*pageOut[sightingItem], error) {
	asked := c.query.paging("lastSeen")
	list, total, err := a.Indicators.Sightings(ctx, c.Tenant.Number, in.ID, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, func(s *intel.Sighting) sightingItem {
		return sightingItem{Day: s.Day.Format(time.DateOnly), Field: s.Field, Entity: s.Entity, AlertID: orNull(s.AlertID), FirstSeen: s.First, LastSeen: s.Last, Events: s.Events, EventID: s.EventID}
	}), nil
}

func (b *thresholdsBody) bySeverity() map[string]**int {
	return map[string]**int{"critical": &b.Critical, "high": &b.High, "medium": &b.Medium, "low": &b.Low, "info": &b.Info}
}

func thresholdsOutOf(t intel.Thresholds, err error) (*thresholdsOut, error) {
	if err != nil {
		return nil, err
	}
	out := &thresholdsOut{}
	for severity, to := range out.Body.bySeverity() {
		if n := t[severity]; n < intel.Never {
			*to = &n
		}
	}
	return out, nil
}

func (a *api) setThresholds(ctx context.Context, c *call, in *thresholdsIn) (*thresholdsOut, error) {
	t := intel.Thresholds{}
	for severity, n := range in.Body.bySeverity() {
		if t[severity] = intel.Never; *n != nil {
			if t[severity] = **n; t[severity] > 100 {
				return nil, invalid(severity, "Allowed: 0 to 100, or null for never")
			}
		}
	}
	return thresholdsOutOf(a.Indicators.SetThresholds(ctx, c.Tenant.Number, c.Actor, t))
}

func (a *api) retroMatch(ctx context.Context, c *call, in *retroIn) (*startedOut, error) {
	b := &in.Body
	r := intel.RetroRequest{Days: b.Days, IDs: b.IDs, Sources: b.Sources, Tags: b.Tags, FeedID: b.FeedID, MinConfidence: b.MinConfidence}
	if r.Days == 0 {
		r.Days = 30
	}
	for _, w := range b.Types {
		t, bad := w.among("types", asTexts(intel.Types))
		if bad != nil {
			return nil, bad
		}
		r.Types = append(r.Types, intel.Type(t))
	}
	if b.CreatedAfter != "" {
		t, wrong := parseMoment(b.CreatedAfter)
		if wrong != "" {
			return nil, invalid("createdAfter", wrong)
		}
		r.CreatedAfter = &t
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: intel.RetroKind, Subject: b.FeedID, Params: r}))
}
