package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/query"
)

// LogSourceItem is a log source without its history.
type LogSourceItem struct {
	ID            string     `json:"id" format:"uuid"`
	Source        string     `json:"source" doc:"The product; others stands for all that there was no room for." example:"sshd"`
	Host          string     `json:"host"`
	Status        string     `json:"status" enum:"active,silent,new,collector_offline" doc:"new: first seen less than a day ago."`
	FirstSeen     time.Time  `json:"firstSeen" doc:"Arrival."`
	LastSeen      time.Time  `json:"lastSeen" doc:"Arrival."`
	EventsPerHour float64    `json:"eventsPerHour" doc:"Over the last day."`
	Events        int64      `json:"events"`
	UnparsedShare float64    `json:"unparsedShare" doc:"The part of its events that no parser understood, 0 to 1."`
	Format        string     `json:"format" example:"rfc3164"`
	Parser        string     `json:"parser" example:"sshd"`
	Programs      []string   `json:"programs" nullable:"false"`
	Input         string     `json:"input" example:"syslog-udp"`
	Peer          string     `json:"peer" doc:"Address that sent the newest record; empty without one."`
	Key           string     `json:"key" doc:"Id of the token, API key or collector that it came with; empty for plain syslog."`
	Muted         bool       `json:"muted" doc:"Its silence is not told."`
	SilentSince   *time.Time `json:"silentSince" nullable:"true" doc:"When it was found silent."`
	Proposals     int        `json:"proposals" doc:"How many wait for an answer."`

	_ struct{} `additionalProperties:"true"`
}

func logSourceOf(s *logsource.Source) LogSourceItem {
	item := LogSourceItem{
		ID: s.ID, Source: s.Name, Host: s.Host, Status: s.Status, FirstSeen: s.First, LastSeen: s.Last, EventsPerHour: s.PerHour, Events: s.Events,
		UnparsedShare: s.UnparsedShare(), Format: s.Format, Parser: s.Parser, Programs: orEmpty(s.Programs), Input: s.Input, Peer: s.Peer, Key: s.Key, Muted: s.Muted,
	}
	if !s.SilentSince.IsZero() {
		item.SilentSince = &s.SilentSince
	}
	for i := range s.Proposals {
		if s.Proposals[i].State == logsource.IsOpen {
			item.Proposals++
		}
	}
	return item
}

type (
	logSourceDetail struct {
		LogSourceItem
		Unparsed     int64            `json:"unparsed"`
		TimeQuality  map[string]int64 `json:"timeQuality" doc:"Events of the last days by time_quality."`
		SilentAfter  *int64           `json:"silentAfter" nullable:"true" doc:"Seconds, as set; null: as learned."`
		SilenceLimit *int64           `json:"silenceLimit" nullable:"true" doc:"Seconds of silence that would be told at this hour; null: muted, or too little is known."`
		ProposalList []proposalItem   `json:"proposalList" nullable:"false"`
		History      []sourceHour     `json:"history" nullable:"false" doc:"Hours of the last seven days, oldest first; those without events are left out."`
		Version      int64            `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	sourceHour struct {
		Time     time.Time `json:"time"`
		Events   int64     `json:"events"`
		Unparsed int64     `json:"unparsed"`

		_ struct{} `additionalProperties:"true"`
	}
	proposalItem struct {
		Number        int       `json:"number"`
		Kind          string    `json:"kind" enum:"time_zone,clock_skew"`
		State         string    `json:"state" enum:"open,accepted,dismissed"`
		TimeZone      string    `json:"timeZone" doc:"That fits, of a time_zone." example:"+09:00"`
		Evidence      string    `json:"evidence"`
		Samples       int       `json:"samples"`
		MedianSeconds float64   `json:"medianSeconds" doc:"Of arrival minus event time."`
		SpreadSeconds float64   `json:"spreadSeconds" doc:"Half of the events are within it of the median."`
		SettingID     string    `json:"settingId" doc:"That it became; empty before."`
		CreatedAt     time.Time `json:"createdAt"`

		_ struct{} `additionalProperties:"true"`
	}
	logSourceOut struct {
		Revision int64 `header:"X-Revision"`
		Body     logSourceDetail
	}
	patchLogSourceIn struct {
		ID   string `path:"id"`
		Body struct {
			Muted       *bool  `json:"muted,omitempty"`
			SilentAfter *int64 `json:"silentAfter,omitempty" doc:"Seconds, 60 to 2,592,000; 0: as learned."`
		}
	}
	proposalIn struct {
		ID     string `path:"id"`
		Number string `path:"number"`
	}
)

func logSourceOutOf(s *logsource.Source) *logSourceOut {
	d := logSourceDetail{LogSourceItem: logSourceOf(s), Unparsed: s.Unparsed, TimeQuality: s.Quality, ProposalList: []proposalItem{}, History: []sourceHour{}, Version: s.Version}
	if n := int64(s.SilentAfter.Seconds()); n > 0 {
		d.SilentAfter = &n
	}
	if n := int64(s.Limit.Seconds()); n > 0 {
		d.SilenceLimit = &n
	}
	for i := range s.Proposals {
		p := &s.Proposals[i]
		d.ProposalList = append(d.ProposalList, proposalItem{
			Number: p.Number, Kind: p.Kind, State: p.State, TimeZone: p.Zone, Evidence: p.Why, Samples: p.Samples,
			MedianSeconds: p.Median.Seconds(), SpreadSeconds: p.Away.Seconds(), SettingID: p.Setting, CreatedAt: p.At,
		})
	}
	for _, h := range s.History {
		d.History = append(d.History, sourceHour{Time: h.Begin, Events: h.Events, Unparsed: h.Unparsed})
	}
	return &logSourceOut{Revision: s.Version, Body: d}
}

// openLogSources gives c a service that knows what others wrote down, where it has
// none.
func (c *Config) openLogSources() error {
	if c.LogSources != nil {
		return nil
	}
	var err error
	c.LogSources, err = logsource.New(context.Background(), c.DB, logsource.Options{Log: c.Log, Now: c.Now, Alerts: c.Alerts}) //nolint:forbidigo // it is opened before any call
	return err
}

func (a *api) logSources() {
	const tag = "Log sources"
	filters := []param{
		{name: "source", doc: "Filter by product."},
		{name: "host", doc: "Filter by host."},
		{name: "status", doc: "Filter by status.", kind: enum, values: logsource.Statuses, many: true},
		{name: "search", doc: "Search in product, host and programs."},
	}
	handle(a, operation{
		id: "listLogSources", method: http.MethodGet, path: "/log-sources", tag: tag, summary: "List log sources",
		doc: "A log source is what one host sends of one product. They are discovered by themselves.", params: append(paging(logsource.Sorts...), filters...),
	}, a.listLogSources)
	handle(a, operation{
		id: "getLogSource", method: http.MethodGet, path: "/log-sources/{id}", uuid: true, tag: tag, summary: "Get a log source with its last week", single: true,
	}, a.getLogSource)
	handle(a, operation{
		id: "patchLogSource", method: http.MethodPatch, path: "/log-sources/{id}", uuid: true, tag: tag, summary: "Say how silence of a log source is told", single: true,
	}, a.patchLogSource)
	handle(a, operation{
		id: "acceptProposal", method: http.MethodPost, path: "/log-sources/{id}/proposals/{number}/accept", uuid: true, tag: tag, summary: "Make a proposed time zone a setting",
	}, a.acceptProposal)
	handle(a, operation{
		id: "dismissProposal", method: http.MethodPost, path: "/log-sources/{id}/proposals/{number}/dismiss", uuid: true, tag: tag, summary: "Dismiss a proposal",
		doc: "It is not made again, unless the data say another zone.",
	}, a.dismissProposal)
	a.logSourceSettings()
	a.parseCheck()
}

func (a *api) listLogSources(ctx context.Context, c *call, _ *none) (*pageOut[LogSourceItem], error) {
	asked := c.query.paging(logsource.Sorts[0])
	list, total, err := a.LogSources.List(ctx, c.Tenant.Number, logsource.Query{
		Search: c.query.one("search"), Name: c.query.one("source"), Host: c.query.one("host"), Statuses: c.query.all("status"),
		Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, logSourceOf), nil
}

func (a *api) getLogSource(ctx context.Context, c *call, in *byID) (*logSourceOut, error) {
	s, err := a.LogSources.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return logSourceOutOf(s), nil
}

func (a *api) patchLogSource(ctx context.Context, c *call, in *patchLogSourceIn) (*logSourceOut, error) {
	p := logsource.Patch{Muted: in.Body.Muted, Version: c.version}
	if n := in.Body.SilentAfter; n != nil {
		if *n < 0 || *n > int64(logsource.MaxSilentAfter.Seconds()) {
			return nil, invalid("silentAfter", "Allowed: 60 to 2592000 seconds, or 0 for what was learned")
		}
		d := time.Duration(*n) * time.Second
		p.SilentAfter = &d
	}
	s, err := a.LogSources.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, c.condition(err)
	}
	return logSourceOutOf(s), nil
}

func (a *api) acceptProposal(ctx context.Context, c *call, in *proposalIn) (*logSourceOut, error) {
	n, err := strconv.Atoi(in.Number)
	if err != nil {
		return nil, notFound()
	}
	s, err := a.LogSources.Accept(ctx, c.Tenant.Number, c.Actor, in.ID, n)
	if err != nil {
		return nil, err
	}
	return logSourceOutOf(s), nil
}

func (a *api) dismissProposal(ctx context.Context, c *call, in *proposalIn) (*logSourceOut, error) {
	n, err := strconv.Atoi(in.Number)
	if err != nil {
		return nil, notFound()
	}
	s, err := a.LogSources.Dismiss(ctx, c.Tenant.Number, c.Actor, in.ID, n)
	if err != nil {
		return nil, err
	}
	return logSourceOutOf(s), nil
}

// eventsOf returns the newest stored events of a source, of the last week.
func (a *api) eventsOf(ctx context.Context, tenant uint32, s *logsource.Source, limit int) ([]event.Event, error) {
	now := a.Now()
	source := query.Equal{Field: query.NewField(event.Source), Value: s.Name}
	var filter query.Node = source
	if s.Host != "" {
		filter = query.And{Nodes: []query.Node{source, query.Equal{Field: query.NewField(event.Host), Value: s.Host}}}
	}
	res, err := a.searchStore(ctx, eventstore.Request{
		Tenant: tenant, Filter: filter, From: now.Add(-7 * 24 * time.Hour).UnixNano(), To: now.Add(24 * time.Hour).UnixNano(), Limit: limit, NoTotal: true,
	})
	if err != nil {
		return nil, err
	}
	return res.Events, nil
}
