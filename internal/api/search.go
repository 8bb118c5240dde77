package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

const (
	defaultSpan  = 24 * time.Hour
	defaultLimit = 50
)

// Span is what every search in events asks for.
type Span struct {
	Query    string `json:"query,omitempty" doc:"Lucene style; everything when left out." example:"program:sshd AND user:root"`
	FromTime string `json:"fromTime,omitempty" format:"date-time" doc:"Event time, inclusive; 24 hours before toTime when left out."`
	ToTime   string `json:"toTime,omitempty" format:"date-time" doc:"Event time, exclusive; now when left out."`
	Reason   string `json:"reason,omitempty" maxLength:"256" doc:"Why, for the audit log: who looks at personal data should say so." example:"case 4711"`
}

type (
	searchIn struct {
		Body struct {
			Span
			Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"10000" default:"50"`
			Cursor string `json:"cursor,omitempty" doc:"nextCursor of the page before, with the same query."`
		}
	}
	searchOut struct{ Body searchAnswer }
	eventOut  struct{ Body eventItem }
	fieldsIn  struct {
		Body struct {
			Span
			Names  []string `json:"names,omitempty" doc:"Only these fields; all when left out."`
			Values int      `json:"values,omitempty" minimum:"0" maximum:"100" default:"10" doc:"Top values of each."`
			Limit  int      `json:"limit,omitempty" minimum:"1" maximum:"1000" default:"100" doc:"Most fields to list."`
		}
	}
	fieldsOut struct {
		Body struct {
			Fields    []fieldItem `json:"fields" nullable:"false" doc:"The most frequent first."`
			QueryTime int64       `json:"queryTime" doc:"Milliseconds."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	fieldItem struct {
		Name      string      `json:"name"`
		Count     uint64      `json:"count" doc:"Events that have it."`
		TopValues []valueItem `json:"topValues" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
	valueItem struct {
		Value string `json:"value"`
		Count uint64 `json:"count"`

		_ struct{} `additionalProperties:"true"`
	}
)

// searchAnswer writes its own JSON; searchResult documents it.
type searchAnswer struct {
	events  []event.Event
	total   uint64
	buckets []eventstore.Bucket
	took    time.Duration
	partial string
	next    string
}

type searchResult struct {
	Events     []eventItem    `json:"events" nullable:"false" doc:"The newest first."`
	Total      uint64         `json:"total" doc:"Events that match, exact."`
	Histogram  []histogramBar `json:"histogram" nullable:"false" doc:"From fromTime to toTime without a hole; counts add up to total. Empty on pages after the first."`
	QueryTime  int64          `json:"queryTime" doc:"Milliseconds."`
	NextCursor *string        `json:"nextCursor" nullable:"true" doc:"For the next page; null on the last."`
	Partial    string         `json:"partial,omitempty" doc:"What is missing, where something is."`

	_ struct{} `additionalProperties:"true"`
}

type histogramBar struct {
	Time      time.Time         `json:"time"`
	Count     uint64            `json:"count"`
	Breakdown map[string]uint64 `json:"breakdown" doc:"Count by severity, those that occur."`

	_ struct{} `additionalProperties:"true"`
}

var (
	typeOfEvent  = reflect.TypeFor[storedEvent]()
	typeOfSearch = reflect.TypeFor[searchResult]()
)

// Schema implements huma.SchemaProvider.
func (searchAnswer) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(typeOfSearch, true, "SearchAnswer")
}

func (s searchAnswer) appendJSON(b []byte) []byte {
	const perEvent = 1 << 10
	if b == nil {
		b = make([]byte, 0, 4<<10+len(s.events)*perEvent)
	}
	b = append(b, `{"events":[`...)
	for i := range s.events {
		if i > 0 {
			b = append(b, ',')
		}
		b = eventItem{&s.events[i]}.appendJSON(b)
	}
	b = append(b, `],"total":`...)
	b = strconv.AppendUint(b, s.total, 10)
	b = append(b, `,"histogram":[`...)
	for i := range s.buckets {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendBucket(b, &s.buckets[i])
	}
	b = append(b, `],"queryTime":`...)
	b = strconv.AppendInt(b, s.took.Milliseconds(), 10)
	b = append(b, `,"nextCursor":`...)
	if s.next == "" {
		b = append(b, "null"...)
	} else {
		b = appendText(b, s.next)
	}
	if s.partial != "" {
		b = append(b, `,"partial":`...)
		b = appendText(b, s.partial)
	}
	return append(b, '}')
}

func appendBucket(b []byte, u *eventstore.Bucket) []byte {
	b = append(b, `{"time":"`...)
	b = appendTime(b, u.Time)
	b = append(b, `","count":`...)
	b = strconv.AppendUint(b, u.Count, 10)
	b = append(b, `,"breakdown":{`...)
	begun := false
	for i, n := range u.BySeverity {
		if n == 0 {
			continue
		}
		if begun {
			b = append(b, ',')
		}
		begun = true
		b = appendText(b, event.Severities[i])
		b = append(b, ':')
		b = strconv.AppendUint(b, n, 10)
	}
	return append(b, '}', '}')
}

const queryHelp = `The query is written in Lucene style:

program:sshd AND user:root — both fields have these values; AND may be left out.

user:(root OR admin) -action:login — brackets also inside a field; NOT, - and ! exclude.

"failed password" 203.0.113.7 — a phrase and a word anywhere in the event.

user:adm* host:web-0? — * is any characters, ? is one. field:* asks for any value.

http_status:[400 TO 499] src_port:>1023 — ranges; { } leave the bound out.

src_ip:10.0.0.0/8 — networks on address fields. A backslash takes a character's special meaning away. Case never matters.`

func (a *api) search() {
	handle(a, operation{
		id: "searchEvents", method: http.MethodPost, path: "/siem/search", tag: "Search events", summary: "Search events", safe: true, doc: queryHelp,
	}, a.searchEvents)
	handle(a, operation{
		id: "searchFields", method: http.MethodPost, path: "/siem/search/fields", tag: "Search events", summary: "List fields and their top values", safe: true,
		doc: "Which fields the matching events have, and the most frequent values of each.",
	}, a.searchFields)
	handle(a, operation{
		id: "getEvent", method: http.MethodGet, path: "/siem/events/{id}", tag: "Search events", summary: "Get one event", single: true,
	}, a.getEvent)
}

// read checks the common part of a search.
func (s *Span) read(now time.Time) (filter query.Node, from, to int64, err error) {
	filter, err = query.Parse(s.Query)
	if e, ok := errors.AsType[*query.Error](err); ok {
		return nil, 0, 0, badRequest("Invalid query", fmt.Sprintf("At character %d: %s", e.Pos+1, e.Message))
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("parse query: %w", err)
	}
	var wrong string
	end := now
	if s.ToTime != "" {
		if end, wrong = parseMoment(s.ToTime); wrong != "" {
			return nil, 0, 0, invalid("toTime", wrong)
		}
	}
	begin := end.Add(-defaultSpan)
	if s.FromTime != "" {
		if begin, wrong = parseMoment(s.FromTime); wrong != "" {
			return nil, 0, 0, invalid("fromTime", wrong)
		}
	}
	if !begin.Before(end) {
		return nil, 0, 0, invalid("fromTime", "Allowed: a time before toTime")
	}
	return filter, begin.UnixNano(), end.UnixNano(), nil
}

// cursor carries what the next page must repeat: the caller may have left the
// times out, and now is another moment then.
type cursor struct {
	Query    string `json:"q"`
	From, To int64
	Total    uint64 `json:"n"`
	Store    string `json:"s"`
}

func (c cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(s string) (c cursor, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(text, &c) != nil || c.Store == "" || c.From >= c.To {
		return cursor{}, false
	}
	return c, true
}

func (a *api) searchEvents(ctx context.Context, c *call, in *searchIn) (*searchOut, error) {
	begin := time.Now()
	filter, from, to, err := in.Body.read(a.Now())
	if err != nil {
		return nil, err
	}
	req := eventstore.Request{Tenant: c.Tenant.Number, Filter: filter, From: from, To: to, Limit: in.Body.Limit, Histogram: true}
	if req.Limit == 0 {
		req.Limit = defaultLimit
	}
	var before cursor
	if in.Body.Cursor != "" {
		var ok bool
		if before, ok = parseCursor(in.Body.Cursor); !ok {
			return nil, invalid("cursor", "Allowed: the nextCursor of the page before")
		}
		if before.Query != in.Body.Query || in.Body.FromTime != "" && from != before.From || in.Body.ToTime != "" && to != before.To {
			return nil, invalid("cursor", "The cursor belongs to a search with another query or other times")
		}
		req.From, req.To, req.Cursor, req.Histogram, req.NoTotal = before.From, before.To, before.Store, false, true
	}
	res, err := a.searchStore(ctx, req)
	if err != nil {
		return nil, err
	}
	out := searchAnswer{events: res.Events, total: res.Total, buckets: res.Buckets, partial: res.Partial}
	if req.NoTotal {
		out.total = before.Total
	}
	if err := a.noteSearch(ctx, c, "search.events", &in.Body.Span, req.From, req.To, map[string]any{"total": out.total}); err != nil {
		return nil, err
	}
	if res.Next != "" {
		out.next = cursor{in.Body.Query, req.From, req.To, out.total, res.Next}.String()
	}
	out.took = time.Since(begin)
	return &searchOut{out}, nil
}

// searchStore runs one search in its turn and time.
func (a *api) searchStore(ctx context.Context, r eventstore.Request) (*eventstore.Result, error) {
	return inTurn(ctx, a, func(ctx context.Context) (*eventstore.Result, error) { return a.Events.Search(ctx, r) })
}

// inTurn bounds how many searches run and for how long. A caller that hangs up
// stops its search.
func inTurn[T any](ctx context.Context, a *api, f func(context.Context) (T, error)) (T, error) {
	var zero T
	limited, cancel := context.WithTimeout(ctx, a.SearchTime)
	defer cancel()
	select {
	case a.searching <- struct{}{}:
		defer func() { <-a.searching }()
	case <-limited.Done():
		if ctx.Err() != nil {
			return zero, ctx.Err()
		}
		return zero, fault.New(fault.Unavailable, "too many searches are running, try again")
	}
	res, err := f(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return zero, fault.New(fault.Unavailable, "the search took longer than %v: narrow the time range, or ask for a field by name", a.SearchTime)
	}
	return res, err
}

func (a *api) searchFields(ctx context.Context, c *call, in *fieldsIn) (*fieldsOut, error) {
	begin := time.Now()
	filter, from, to, err := in.Body.read(a.Now())
	if err != nil {
		return nil, err
	}
	// Values of every field of every event would be the dearest of all searches:
	// first the names, then the values of those that are shown.
	req := eventstore.FieldsRequest{Tenant: c.Tenant.Number, Filter: filter, From: from, To: to, Names: in.Body.Names, Limit: in.Body.Limit}
	found, err := inTurn(ctx, a, func(ctx context.Context) ([]eventstore.FieldInfo, error) { return a.Events.Fields(ctx, req) })
	if err != nil {
		return nil, err
	}
	if n := in.Body.Values; n > 0 && len(found) > 0 {
		req.Values, req.Names = n, nil
		for _, f := range found[:min(len(found), eventstore.MaxValueFields)] {
			req.Names = append(req.Names, f.Name)
		}
		valued, err := inTurn(ctx, a, func(ctx context.Context) ([]eventstore.FieldInfo, error) { return a.Events.Fields(ctx, req) })
		if err != nil {
			return nil, err
		}
		values := map[string][]eventstore.ValueCount{}
		for _, f := range valued {
			values[f.Name] = f.Values
		}
		for i := range found {
			found[i].Values = values[found[i].Name]
		}
	}
	if err := a.noteSearch(ctx, c, "search.fields", &in.Body.Span, from, to, map[string]any{"names": in.Body.Names}); err != nil {
		return nil, err
	}
	out := &fieldsOut{}
	out.Body.Fields = make([]fieldItem, len(found))
	for i, f := range found {
		item := fieldItem{Name: f.Name, Count: f.Hits, TopValues: make([]valueItem, len(f.Values))}
		for j, v := range f.Values {
			item.TopValues[j] = valueItem{Value: v.Value, Count: v.Hits}
		}
		out.Body.Fields[i] = item
	}
	out.Body.QueryTime = time.Since(begin).Milliseconds()
	return out, nil
}

func (a *api) getEvent(ctx context.Context, c *call, in *byID) (*eventOut, error) {
	id, err := event.ParseID(in.ID)
	if err != nil {
		return nil, notFound()
	}
	e, err := inTurn(ctx, a, func(ctx context.Context) (*event.Event, error) { return a.Events.Get(ctx, c.Tenant.Number, id) })
	if err != nil {
		return nil, err
	}
	if err := a.noteEvent(ctx, c, e); err != nil {
		return nil, err
	}
	return &eventOut{eventItem{e}}, nil
}
