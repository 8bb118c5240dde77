package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/intel"
)

type (
	// FeedItem is one feed.
	FeedItem struct {
		ID               string      `json:"id" format:"uuid"`
		Name             string      `json:"name"`
		Format           string      `json:"format" enum:"plain,csv,stix,taxii,misp,urlhaus,threatfox,feodotracker,malwarebazaar"`
		URL              string      `json:"url" doc:"Empty where files are uploaded. Read-only keys see no query: it may hold a secret."`
		Enabled          bool        `json:"enabled"`
		Status           string      `json:"status" enum:"new,ok,failing,running,disabled"`
		ActiveIndicators int64       `json:"activeIndicators"`
		LastRunAt        *time.Time  `json:"lastRunAt" nullable:"true"`
		LastSuccessAt    *time.Time  `json:"lastSuccessAt" nullable:"true"`
		NextRunAt        *time.Time  `json:"nextRunAt" nullable:"true"`
		LastError        *string     `json:"lastError" nullable:"true"`
		LastRun          feedRun     `json:"lastRun"`
		Interval         int64       `json:"interval" doc:"Seconds between two runs."`
		Type             string      `json:"type" doc:"Of all its values; empty: found out."`
		Confidence       *int        `json:"confidence" nullable:"true" doc:"Where the feed says none."`
		Severity         string      `json:"severity" doc:"Where the feed says none; empty: medium."`
		Tags             []string    `json:"tags" nullable:"false"`
		TTLDays          int         `json:"ttlDays" doc:"How long an indicator is good after the feed named it last; 0: while it names it."`
		KeepGone         bool        `json:"keepGone" doc:"What the feed no longer names stays."`
		Columns          feedColumns `json:"columns"`
		Collection       string      `json:"collection"`
		AuthType         string      `json:"authType" enum:",bearer,basic,header"`
		AuthHeader       string      `json:"authHeader"`
		CreatedAt        time.Time   `json:"createdAt"`
		CreatedBy        string      `json:"createdBy"`
		UpdatedAt        time.Time   `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	feedRun struct {
		Read          int     `json:"read" doc:"Entries that looked like indicators."`
		Invalid       int     `json:"invalid" doc:"That could not be brought into form."`
		NotUnderstood int     `json:"notUnderstood" doc:"Of a form or type that is not matched."`
		Created       int     `json:"created"`
		Changed       int     `json:"changed"`
		Unchanged     int     `json:"unchanged"`
		Expired       int     `json:"expired" doc:"The feed no longer names them."`
		NotModified   bool    `json:"notModified" doc:"The server said that nothing is new."`
		FirstProblem  string  `json:"firstProblem"`
		Seconds       float64 `json:"seconds"`

		_ struct{} `additionalProperties:"true"`
	}
	feedColumns struct {
		Value       string `json:"value,omitempty" doc:"Name of a column, or its number from 1." example:"ioc_value"`
		Type        string `json:"type,omitempty"`
		Confidence  string `json:"confidence,omitempty"`
		Severity    string `json:"severity,omitempty"`
		Tags        string `json:"tags,omitempty"`
		Description string `json:"description,omitempty"`
		FirstSeen   string `json:"firstSeen,omitempty"`
		LastSeen    string `json:"lastSeen,omitempty"`
		ValidUntil  string `json:"validUntil,omitempty"`
		Separator   string `json:"separator,omitempty" doc:"A comma when left out."`
	}
	feedAuth struct {
		Type     word   `json:"type" enum:"bearer,basic,header"`
		Header   string `json:"header,omitempty" doc:"Its name, for type header." example:"Auth-Key"`
		Username string `json:"username,omitempty"`
		Secret   string `json:"secret" doc:"Token, password or the header's value. It is sealed, and never shown."`
	}
	// feedAuthSet tells an absent key from null, which removes the secret.
	feedAuthSet struct {
		set  bool
		auth *feedAuth
	}
	// FeedSettings is how a feed is read.
	FeedSettings struct {
		Interval   *int64       `json:"interval,omitempty" doc:"Seconds, 300 to 2,592,000; 3,600 when left out."`
		Type       *string      `json:"type,omitempty"`
		Confidence *int         `json:"confidence,omitempty"`
		Severity   word         `json:"severity,omitzero" enum:"critical,high,medium,low,info"`
		Tags       []string     `json:"tags,omitempty" nullable:"false"`
		TTLDays    *int         `json:"ttlDays,omitempty"`
		KeepGone   *bool        `json:"keepGone,omitempty"`
		Columns    *feedColumns `json:"columns,omitempty"`
		Collection *string      `json:"collection,omitempty" doc:"Of a TAXII server: id or title."`
	}
	feedBody struct {
		FeedSettings
		Name    string    `json:"name" doc:"1 to 100 characters, not that of another feed. It is the source of the feed's indicators." example:"Feodo Tracker"`
		Format  word      `json:"format" enum:"plain,csv,stix,taxii,misp,urlhaus,threatfox,feodotracker,malwarebazaar"`
		URL     string    `json:"url,omitempty" doc:"https://…, file:NAME of a file in the folder intel of the server's data, or nothing where files are uploaded." example:"https://feodotracker.abuse.ch/downloads/ipblocklist.csv"`
		Auth    *feedAuth `json:"auth,omitempty"`
		Enabled *bool     `json:"enabled,omitempty" doc:"true when left out."`
	}
	createFeedIn struct{ Body feedBody }
	patchFeedIn  struct {
		ID   string `path:"id"`
		Body struct {
			FeedSettings
			Name    *string     `json:"name,omitempty"`
			URL     *string     `json:"url,omitempty"`
			Auth    feedAuthSet `json:"auth,omitzero" doc:"null removes it. Needed again with a new url."`
			Enabled *bool       `json:"enabled,omitempty"`
		}
	}
	uploadFeedIn struct {
		ID      string `path:"id"`
		RawBody []byte `contentType:"application/octet-stream"`
	}
	feedOut struct {
		Revision int64 `header:"X-Revision"`
		Body     FeedItem
	}
	newFeedOut struct {
		Location string `header:"Location"`
		Body     FeedItem
	}
	ranFeedOut struct{ Body FeedItem }
	trialOut   struct {
		Body struct {
			Read          int              `json:"read"`
			Invalid       int              `json:"invalid"`
			NotUnderstood int              `json:"notUnderstood"`
			FirstProblem  string           `json:"firstProblem"`
			Indicators    []trialIndicator `json:"indicators" nullable:"false" doc:"The first 20."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	trialIndicator struct {
		Type        string     `json:"type"`
		Value       string     `json:"value"`
		Confidence  int        `json:"confidence"`
		Severity    string     `json:"severity"`
		Tags        []string   `json:"tags" nullable:"false"`
		Description string     `json:"description"`
		ValidUntil  *time.Time `json:"validUntil" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
)

// UnmarshalJSON implements json.Unmarshaler.
func (f *feedAuthSet) UnmarshalJSON(b []byte) error {
	f.set = true
	return json.Unmarshal(b, &f.auth)
}

// Schema implements huma.SchemaProvider.
func (feedAuthSet) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Nullable: true, Required: []string{"type", "secret"}, AdditionalProperties: false, Properties: map[string]*huma.Schema{
		"type":     {Type: huma.TypeString, Extensions: map[string]any{anyCase: true}},
		"header":   {Type: huma.TypeString},
		"username": {Type: huma.TypeString},
		"secret":   {Type: huma.TypeString},
	}}
}

func (a *api) feedOf(c *call) func(*intel.Feed) FeedItem {
	return func(f *intel.Feed) FeedItem {
		s, st := &f.Settings, &f.State
		item := FeedItem{
			ID: f.ID, Name: f.Name, Format: string(f.Format), URL: f.URL, Enabled: f.Enabled, Status: "ok", ActiveIndicators: f.Active, LastRunAt: st.LastRun, LastSuccessAt: st.LastSuccess, LastError: orNull(st.LastError),
			LastRun: feedRun{
				Read: st.Read, Invalid: st.Invalid, NotUnderstood: st.NotUnderstood, Created: st.Created, Changed: st.Changed, Unchanged: st.Same, Expired: st.Expired, NotModified: st.Unchanged, FirstProblem: st.FirstProblem, Seconds: st.Seconds,
			},
			Interval: s.Interval, Type: string(s.Type), Confidence: s.Confidence, Severity: s.Severity, Tags: orEmpty(s.Tags), TTLDays: s.TTLDays, KeepGone: s.KeepGone, Columns: feedColumns(s.Columns), Collection: s.Collection,
			AuthType: s.AuthType, AuthHeader: s.AuthHeader, CreatedAt: f.CreatedAt, CreatedBy: f.CreatedBy, UpdatedAt: f.UpdatedAt,
		}
		if f.Enabled && f.URL != "" {
			item.NextRunAt = &f.NextRun
		}
		switch {
		case f.Running:
			item.Status = "running"
		case !f.Enabled:
			item.Status = "disabled"
		case st.LastError != "":
			item.Status = "failing"
		case st.LastRun == nil:
			item.Status = "new"
		}
		if !c.CanWrite() {
			item.URL, _, _ = strings.Cut(item.URL, "?")
		}
		return item
	}
}

func (a *api) indicatorFeeds() {
	handle(a, operation{
		id: "listFeeds", method: http.MethodGet, path: "/threat-intel-feeds", tag: intelTag, summary: "List feeds",
		params: append(paging("createdAt", "name"),
			param{name: "search", doc: "Search in names."},
			param{name: "format", doc: "Filter by format.", kind: enum, values: asTexts(intel.Formats), many: true},
			param{name: "enabled", doc: "Filter by whether it is enabled.", kind: enum, values: []string{"true", "false"}}),
	}, a.listFeeds)
	handle(a, operation{
		id: "createFeed", method: http.MethodPost, path: "/threat-intel-feeds", tag: intelTag, summary: "Create a feed", status: http.StatusCreated,
		doc: "It is read for the first time within seconds, and then at its interval.",
	}, a.createFeed)
	handle(a, operation{
		id: "testFeed", method: http.MethodPost, path: "/threat-intel-feeds/test", tag: intelTag, summary: "Read the begin of a feed, and keep nothing",
		doc: "With the body of createFeed. A feed that cannot be read is 409 with the reason.",
	}, a.testNewFeed)
	handle(a, operation{
		id: "getFeed", method: http.MethodGet, path: "/threat-intel-feeds/{id}", tag: intelTag, summary: "Get a feed", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*feedOut, error) {
		return a.outOfFeed(c)(a.Feeds.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateFeed", method: http.MethodPatch, path: "/threat-intel-feeds/{id}", tag: intelTag, summary: "Change a feed", single: true, uuid: true,
	}, a.patchFeed)
	handle(a, operation{
		id: "deleteFeed", method: http.MethodDelete, path: "/threat-intel-feeds/{id}", tag: intelTag, summary: "Delete a feed with its indicators", status: http.StatusNoContent, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Feeds.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "runFeed", method: http.MethodPost, path: "/threat-intel-feeds/{id}/run", tag: intelTag, summary: "Read a feed now", uuid: true,
		doc: "The answer comes when it has been read; what went wrong with the feed stands in lastError.",
	}, func(ctx context.Context, c *call, in *byID) (*ranFeedOut, error) {
		return a.ranFeed(c)(a.Feeds.RunNow(ctx, c.Tenant.Number, c.Actor, in.ID, nil))
	})
	handle(a, operation{
		id: "testStoredFeed", method: http.MethodPost, path: "/threat-intel-feeds/{id}/test", tag: intelTag, summary: "Read the begin of a stored feed, and keep nothing", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*trialOut, error) {
		return trialOutOf(a.Feeds.Try(ctx, c.Tenant.Number, intel.FeedDraft{}, in.ID))
	})
	handle(a, operation{
		id: "uploadFeed", method: http.MethodPost, path: "/threat-intel-feeds/{id}/upload", tag: intelTag, summary: "Read a feed from a file", uuid: true,
		doc:   "A document of the feed's format, plain or packed with gzip, up to 64 MiB: the body itself or the file of a form. What it does not name expires, unless the feed keeps it.",
		media: []string{"application/octet-stream", "text/plain", "text/csv", "application/json", "application/gzip", "multipart/form-data"}, upload: 64 << 20,
	}, a.uploadFeed)
}

func (a *api) outOfFeed(c *call) func(*intel.Feed, error) (*feedOut, error) {
	return func(f *intel.Feed, err error) (*feedOut, error) {
		if err != nil {
			return nil, err
		}
		return &feedOut{Revision: f.Version, Body: a.feedOf(c)(f)}, nil
	}
}

func (a *api) ranFeed(c *call) func(*intel.Feed, error) (*ranFeedOut, error) {
	return func(f *intel.Feed, err error) (*ranFeedOut, error) {
		if err != nil {
			return nil, err
		}
		return &ranFeedOut{a.feedOf(c)(f)}, nil
	}
}

func (a *api) listFeeds(ctx context.Context, c *call, _ *none) (*pageOut[FeedItem], error) {
	q, asked := c.query, c.query.paging("createdAt")
	query := intel.FeedQuery{Search: q.one("search"), Formats: q.all("format"), ByName: asked.sort == "name", Ascending: asked.ascending, Page: asked.page, Size: asked.size}
	if v := q.one("enabled"); v != "" {
		query.Enabled = new(v == "true")
	}
	list, total, err := a.Feeds.List(ctx, c.Tenant.Number, query)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, a.feedOf(c)), nil
}

// apply changes the settings that are given.
func (b *FeedSettings) apply() (func(*intel.Settings), error) {
	severity := ""
	if b.Severity.set {
		known, bad := b.Severity.among("severity", event.Severities)
		if bad != nil {
			return nil, bad
		}
		severity = known
	}
	return func(s *intel.Settings) {
		set(&s.Interval, b.Interval)
		if b.Type != nil {
			s.Type = intel.Type(strings.ToLower(*b.Type))
		}
		if b.Confidence != nil {
			s.Confidence = b.Confidence
		}
		if severity != "" {
			s.Severity = severity
		}
		if b.Tags != nil {
			s.Tags = b.Tags
		}
		set(&s.TTLDays, b.TTLDays)
		set(&s.KeepGone, b.KeepGone)
		if b.Columns != nil {
			s.Columns = intel.Columns(*b.Columns)
		}
		set(&s.Collection, b.Collection)
	}, nil
}

func (x *feedAuth) read() (*intel.Auth, error) {
	if x == nil {
		return nil, nil
	}
	t, bad := x.Type.among("auth.type", []string{"bearer", "basic", "header"})
	if bad != nil {
		return nil, bad
	}
	return &intel.Auth{Type: t, Header: x.Header, Username: x.Username, Secret: x.Secret}, nil
}

func (b *feedBody) read() (intel.FeedDraft, error) {
	d := intel.FeedDraft{Name: b.Name, URL: b.URL, Disabled: b.Enabled != nil && !*b.Enabled}
	f, bad := b.Format.among("format", asTexts(intel.Formats))
	if bad != nil {
		return d, bad
	}
	d.Format = intel.Format(f)
	apply, err := b.apply()
	if err != nil {
		return d, err
	}
	apply(&d.Settings)
	d.Auth, err = b.Auth.read()
	return d, err
}

func (a *api) createFeed(ctx context.Context, c *call, in *createFeedIn) (*newFeedOut, error) {
	d, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	f, err := a.Feeds.Create(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &newFeedOut{Location: base + "/threat-intel-feeds/" + f.ID, Body: a.feedOf(c)(f)}, nil
}

func (a *api) testNewFeed(ctx context.Context, c *call, in *createFeedIn) (*trialOut, error) {
	d, err := in.Body.read()
	if err != nil {
		return nil, err
	}
	return trialOutOf(a.Feeds.Try(ctx, c.Tenant.Number, d, ""))
}

func trialOutOf(t *intel.Trial, err error) (*trialOut, error) {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Invalid && f.Field == "" {
		return nil, conflict(f.Message) // it is the feed that is wrong, not the request
	}
	if err != nil {
		return nil, err
	}
	out := &trialOut{}
	b := &out.Body
	b.Read, b.Invalid, b.NotUnderstood, b.FirstProblem, b.Indicators = t.Counts.Read, t.Counts.Invalid, t.Counts.NotUnderstood, t.Counts.FirstProblem, []trialIndicator{}
	for i := range t.Indicators {
		d := &t.Indicators[i]
		b.Indicators = append(b.Indicators, trialIndicator{Type: string(d.Type), Value: d.Value, Confidence: *d.Confidence, Severity: d.Severity, Tags: orEmpty(d.Tags), Description: d.Description, ValidUntil: d.ValidUntil})
	}
	return out, nil
}

func (a *api) patchFeed(ctx context.Context, c *call, in *patchFeedIn) (*feedOut, error) {
	b := &in.Body
	apply, err := b.apply()
	if err != nil {
		return nil, err
	}
	p := intel.FeedPatch{Name: b.Name, URL: b.URL, Settings: apply, Enabled: b.Enabled, Version: c.version}
	if b.Auth.set {
		auth, err := b.Auth.auth.read()
		if err != nil {
			return nil, err
		}
		p.Auth = &auth
	}
	f, err := a.Feeds.Change(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	return a.outOfFeed(c)(f, c.condition(err))
}

func (a *api) uploadFeed(ctx context.Context, c *call, in *uploadFeedIn) (*ranFeedOut, error) {
	_, data, p := uploaded(c.media, in.RawBody, "a document of the feed's format")
	if p != nil {
		return nil, p
	}
	return a.ranFeed(c)(a.Feeds.RunNow(ctx, c.Tenant.Number, c.Actor, in.ID, bytes.NewReader(data)))
}
