package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/logsource"
)

type (
	// SourceMatch says which records a setting is for: all that is named must hold.
	SourceMatch struct {
		Source    string `json:"source,omitempty" doc:"Product, as recognised or as the sender names it." example:"sshd"`
		Host      string `json:"host,omitempty" doc:"Pattern: * and ? stand for characters." example:"web-*"`
		Program   string `json:"program,omitempty" doc:"Pattern."`
		Input     string `json:"input,omitempty" doc:"Door." example:"syslog-udp"`
		Token     string `json:"token,omitempty" doc:"Id of an ingest token or API key."`
		Collector string `json:"collector,omitempty" doc:"Id of a collector."`
	}
	// SourceReading says how those records are read. What is left out stays as it is
	// recognised.
	SourceReading struct {
		TimeZone       string            `json:"timeZone,omitempty" doc:"Of times that carry none: a name or an offset." example:"Asia/Seoul"`
		Parser         string            `json:"parser,omitempty" doc:"Tried before any other." example:"nginx"`
		Format         string            `json:"format,omitempty" enum:"json,cef,leef,kv,plain" doc:"How the text behind the header is written."`
		Source         string            `json:"source,omitempty" doc:"Name of the product that the events get."`
		Host           string            `json:"host,omitempty" doc:"Host that the events get."`
		HostPattern    string            `json:"hostPattern,omitempty" doc:"Regular expression (RE2) that finds the host in the record: its first group, else all of it." example:"node=(\\S+)"`
		Program        string            `json:"program,omitempty" doc:"Program that the events get, which leads to the parser."`
		ProgramPattern string            `json:"programPattern,omitempty" doc:"Regular expression that finds the program."`
		Aliases        map[string]string `json:"aliases,omitempty" doc:"Native field to canonical one; the native one stays. To timestamp it sets the event's time." example:"{\"client\":\"src_ip\"}"`
	}
	settingItem struct {
		ID        string        `json:"id" format:"uuid"`
		Name      string        `json:"name"`
		Priority  int64         `json:"priority"`
		Enabled   bool          `json:"enabled"`
		Match     SourceMatch   `json:"match"`
		Apply     SourceReading `json:"apply"`
		CreatedAt time.Time     `json:"createdAt"`
		CreatedBy string        `json:"createdBy"`
		UpdatedAt time.Time     `json:"updatedAt"`
		UpdatedBy string        `json:"updatedBy"`
		Version   int64         `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	settingOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     settingItem
	}
	createSettingIn struct {
		Body struct {
			Name     string        `json:"name" doc:"1 to 100 characters." example:"Seoul firewalls"`
			Priority *int64        `json:"priority,omitempty" doc:"0 to 1000, lower ones decide first; 100 when left out."`
			Enabled  *bool         `json:"enabled,omitempty" doc:"true when left out."`
			Match    SourceMatch   `json:"match,omitzero" doc:"All records when left out."`
			Apply    SourceReading `json:"apply"`
		}
	}
	patchSettingIn struct {
		ID   string `path:"id"`
		Body struct {
			Name     *string        `json:"name,omitempty"`
			Priority *int64         `json:"priority,omitempty"`
			Enabled  *bool          `json:"enabled,omitempty"`
			Match    *SourceMatch   `json:"match,omitempty" doc:"Replaces all of it."`
			Apply    *SourceReading `json:"apply,omitempty" doc:"Replaces all of it."`
		}
	}
	previewSettingIn struct {
		Body struct {
			SourceID string        `json:"sourceId" doc:"Id of a log source."`
			Apply    SourceReading `json:"apply"`
			Limit    int           `json:"limit,omitempty" minimum:"1" maximum:"1000" default:"100" doc:"Newest stored events of the last week to try it on."`
		}
	}
	previewSettingOut struct {
		Body struct {
			Events  int           `json:"events" doc:"That it was tried on."`
			Changed int           `json:"changed" doc:"That would be other than they are."`
			Fields  []fieldChange `json:"fields" nullable:"false" doc:"The most frequent change first."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	fieldChange struct {
		Field   string `json:"field"`
		Added   int    `json:"added"`
		Removed int    `json:"removed"`
		Changed int    `json:"changed"`
		Before  string `json:"before" doc:"In the first event in which it differs."`
		After   string `json:"after"`

		_ struct{} `additionalProperties:"true"`
	}
)

func definitionOf(m *SourceMatch, r *SourceReading) logsource.Definition {
	return logsource.Definition{
		Source: m.Source, Host: m.Host, Program: m.Program, Input: m.Input, Token: m.Token, Collector: m.Collector,
		TimeZone: r.TimeZone, Parser: r.Parser, Format: r.Format, SetSource: r.Source, SetHost: r.Host, HostPattern: r.HostPattern,
		SetProgram: r.Program, ProgramPattern: r.ProgramPattern, Aliases: r.Aliases,
	}
}

func settingOf(s *logsource.Setting) settingItem {
	d := &s.Definition
	return settingItem{
		ID: s.ID, Name: s.Name, Priority: s.Priority, Enabled: s.Enabled,
		Match: SourceMatch{Source: d.Source, Host: d.Host, Program: d.Program, Input: d.Input, Token: d.Token, Collector: d.Collector},
		Apply: SourceReading{
			TimeZone: d.TimeZone, Parser: d.Parser, Format: d.Format, Source: d.SetSource, Host: d.SetHost, HostPattern: d.HostPattern,
			Program: d.SetProgram, ProgramPattern: d.ProgramPattern, Aliases: d.Aliases,
		},
		CreatedAt: s.CreatedAt, CreatedBy: s.CreatedBy, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy, Version: s.Version,
	}
}

func (a *api) logSourceSettings() {
	const tag, base = "Log sources", "/log-source-settings"
	handle(a, operation{
		id: "listLogSourceSettings", method: http.MethodGet, path: base, tag: tag, summary: "List settings of log sources", params: paging("priority"),
		doc: "In ascending order: as they decide.",
	}, a.listLogSourceSettings)
	handle(a, operation{
		id: "createLogSourceSetting", method: http.MethodPost, path: base, tag: tag, summary: "Set how records of some sources are read", status: http.StatusCreated,
		doc: "It holds for records that come in from about a second later on. Of two settings that say the same thing the one of lower priority decides.",
	}, a.createLogSourceSetting)
	handle(a, operation{
		id: "previewLogSourceSetting", method: http.MethodPost, path: base + "/preview", tag: tag, summary: "Try a setting on stored events of a source", safe: true,
		doc: "Says which fields would change; nothing is kept.",
	}, a.previewLogSourceSetting)
	handle(a, operation{
		id: "getLogSourceSetting", method: http.MethodGet, path: base + "/{id}", uuid: true, tag: tag, summary: "Get a setting of log sources", single: true,
	}, a.getLogSourceSetting)
	handle(a, operation{
		id: "patchLogSourceSetting", method: http.MethodPatch, path: base + "/{id}", uuid: true, tag: tag, summary: "Change a setting of log sources", single: true,
	}, a.patchLogSourceSetting)
	handle(a, operation{
		id: "deleteLogSourceSetting", method: http.MethodDelete, path: base + "/{id}", uuid: true, tag: tag, summary: "Delete a setting of log sources", status: http.StatusNoContent,
	}, a.deleteLogSourceSetting)
}

func (a *api) listLogSourceSettings(ctx context.Context, c *call, _ *none) (*pageOut[settingItem], error) {
	asked := c.query.paging("priority")
	all, err := a.LogSources.Settings(ctx, c.Tenant.Number) // some hundred at most
	if err != nil {
		return nil, err
	}
	if !asked.ascending {
		for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
			all[i], all[j] = all[j], all[i]
		}
	}
	from := min(asked.page*asked.size, len(all))
	return pageOf(asked, int64(len(all)), all[from:min(from+asked.size, len(all))], settingOf), nil
}

func (a *api) createLogSourceSetting(ctx context.Context, c *call, in *createSettingIn) (*settingOut, error) {
	d := logsource.Draft{Name: in.Body.Name, Priority: 100, Enabled: true, Definition: definitionOf(&in.Body.Match, &in.Body.Apply)}
	if in.Body.Priority != nil {
		d.Priority = *in.Body.Priority
	}
	if in.Body.Enabled != nil {
		d.Enabled = *in.Body.Enabled
	}
	s, err := a.LogSources.CreateSetting(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &settingOut{Location: base + "/log-source-settings/" + s.ID, Revision: s.Version, Body: settingOf(s)}, nil
}

func (a *api) getLogSourceSetting(ctx context.Context, c *call, in *byID) (*settingOut, error) {
	s, err := a.LogSources.Setting(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &settingOut{Revision: s.Version, Body: settingOf(s)}, nil
}

func (a *api) patchLogSourceSetting(ctx context.Context, c *call, in *patchSettingIn) (*settingOut, error) {
	was, err := a.LogSources.Setting(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	b, now := &in.Body, settingOf(was)
	if b.Name != nil {
		now.Name = *b.Name
	}
	if b.Priority != nil {
		now.Priority = *b.Priority
	}
	if b.Enabled != nil {
		now.Enabled = *b.Enabled
	}
	if b.Match != nil {
		now.Match = *b.Match
	}
	if b.Apply != nil {
		now.Apply = *b.Apply
	}
	d := logsource.Draft{Name: now.Name, Priority: now.Priority, Enabled: now.Enabled, Definition: definitionOf(&now.Match, &now.Apply)}
	s, err := a.LogSources.SetSetting(ctx, c.Tenant.Number, c.Actor, in.ID, was.Version, d)
	if err != nil {
		return nil, c.condition(err)
	}
	return &settingOut{Revision: s.Version, Body: settingOf(s)}, nil
}

func (a *api) deleteLogSourceSetting(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, c.condition(a.LogSources.DeleteSetting(ctx, c.Tenant.Number, c.Actor, in.ID, c.version))
}

func (a *api) previewLogSourceSetting(ctx context.Context, c *call, in *previewSettingIn) (*previewSettingOut, error) {
	s, err := a.LogSources.Get(ctx, c.Tenant.Number, in.Body.SourceID)
	if err != nil {
		return nil, err
	}
	d := definitionOf(&SourceMatch{}, &in.Body.Apply)
	if _, err := d.Setting(""); err != nil {
		return nil, err
	}
	events, err := a.eventsOf(ctx, c.Tenant.Number, s, in.Body.Limit)
	if err != nil {
		return nil, err
	}
	changes, changed, err := a.LogSources.Preview(ctx, c.Tenant.Number, s, d, events)
	if err != nil {
		return nil, err
	}
	out := &previewSettingOut{}
	out.Body.Events, out.Body.Changed, out.Body.Fields = len(events), changed, []fieldChange{}
	for _, x := range changes {
		out.Body.Fields = append(out.Body.Fields, fieldChange{Field: x.Field, Added: x.Added, Removed: x.Removed, Changed: x.Changed, Before: x.Before, After: x.After})
	}
	return out, nil
}
