package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/logsource"
)

type (
	parseIn struct {
		Body struct {
			Lines    []string          `json:"lines,omitempty" doc:"Records, up to 1,000." example:"[\"<38>Nov 25 06:55:48 web1 sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2\"]"`
			Text     string            `json:"text,omitempty" doc:"Or a text with one record in each line; empty lines are left out."`
			Source   string            `json:"source,omitempty" doc:"What the sender is to say that it is."`
			Input    string            `json:"input,omitempty" doc:"Door that they are to have come in by; http when left out."`
			Key      string            `json:"key,omitempty" doc:"Id of the token, key or collector that they are to have come with."`
			Host     string            `json:"host,omitempty" doc:"Address of the sender: the host of records that name none."`
			Zone     string            `json:"zone,omitempty" doc:"Of times that carry none; the server's when left out." example:"Asia/Seoul"`
			Settings []settingForTrial `json:"settings,omitempty" doc:"Tried before those of the tenant, which hold too."`
		}
	}
	settingForTrial struct {
		Match SourceMatch   `json:"match,omitzero"`
		Apply SourceReading `json:"apply"`
	}
	parseOut struct {
		Body struct {
			Records []parsedItem `json:"records" nullable:"false" doc:"One for each, in order."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	parsedItem struct {
		Raw       string         `json:"raw"`
		Header    string         `json:"header" enum:"rfc5424,rfc3164,time,none" doc:"How the transport wrote it."`
		Parser    string         `json:"parser" doc:"text: none knew it."`
		Why       string         `json:"why" doc:"What decided for the parser."`
		Source    string         `json:"source"`
		Timestamp time.Time      `json:"timestamp"`
		Tags      []string       `json:"tags" nullable:"false"`
		Fields    map[string]any `json:"fields" doc:"A field with several values is a list."`
		Settings  []string       `json:"settings" nullable:"false" doc:"Ids of the settings that were applied; trial: of this request."`

		_ struct{} `additionalProperties:"true"`
	}
)

func (a *api) parseCheck() {
	handle(a, operation{
		id: "parseRecords", method: http.MethodPost, path: "/siem/parse", tag: "Log sources", summary: "See which fields records give", safe: true,
		doc: "Runs the server's parsers with the tenant's settings and keeps nothing.",
	}, a.parseRecords)
}

func (a *api) parseRecords(ctx context.Context, c *call, in *parseIn) (*parseOut, error) {
	b := &in.Body
	t := logsource.Trial{Records: b.Lines, Source: b.Source, Input: b.Input, Key: b.Key, Host: b.Host, Zone: b.Zone}
	switch {
	case len(b.Lines) > 0 && b.Text != "":
		return nil, invalid("text", "Give lines or text, not both")
	case b.Text != "":
		for line := range strings.SplitSeq(b.Text, "\n") {
			if line = strings.TrimSuffix(line, "\r"); line != "" {
				t.Records = append(t.Records, line)
			}
		}
	}
	if t.Input == "" {
		t.Input = "http"
	}
	for i := range b.Settings {
		t.Settings = append(t.Settings, definitionOf(&b.Settings[i].Match, &b.Settings[i].Apply))
	}
	out := &parseOut{}
	out.Body.Records = make([]parsedItem, 0, min(len(t.Records), logsource.MaxTried))
	err := a.LogSources.Try(ctx, c.Tenant.Number, &t, func(x *logsource.Tried) { out.Body.Records = append(out.Body.Records, parsedOf(x)) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

func parsedOf(x *logsource.Tried) parsedItem {
	e := &x.Event
	item := parsedItem{
		Raw: e.Raw, Header: x.Header, Parser: x.Parser, Why: x.Why, Source: e.Get(event.Source), Timestamp: time.Unix(0, e.Time).UTC(),
		Tags: []string{}, Fields: make(map[string]any, len(e.Fields)), Settings: orEmpty(x.Settings),
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		if f.Name == event.Tags {
			item.Tags = append(item.Tags, f.Value)
			continue
		}
		switch had := item.Fields[f.Name].(type) {
		case nil:
			item.Fields[f.Name] = f.Value
		case string:
			item.Fields[f.Name] = []string{had, f.Value}
		case []string:
			item.Fields[f.Name] = append(had, f.Value)
		}
	}
	return item
}
