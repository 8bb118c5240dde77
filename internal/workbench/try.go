package workbench

import (
	"context"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// A Trial is what a rule does with given records.
type Trial struct {
	Records  []TriedRecord
	Findings []alert.Finding // what would raise alerts; Index of an event's id is that of the record
}

// A TriedRecord is one record as the parser read it.
type TriedRecord struct {
	Event    event.Event
	Matches  []string // titles of the rules that match it, those that a correlation counts included
	Excepted []string // titles of those among them that an exception keeps from counting
}

// Try runs log records of a tenant through parser, rule and correlation in their order
// as if they came in now, and keeps nothing.
func (s *Service) Try(ctx context.Context, tenant uint32, p *Program, records []string, source string) (*Trial, error) {
	out := &Trial{}
	parser, player := parse.New(parse.Options{}), newPlayer(p)
	now := s.Now()
	for i, raw := range records {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var r TriedRecord
		e := &r.Event
		arrived := now.Add(time.Duration(i) * time.Millisecond).UnixNano()
		parser.Parse(&parse.Record{Tenant: tenant, Raw: raw, Arrived: arrived, Source: source, Input: "http"}, e)
		e.ID = event.ID{Index: uint32(i)} //nolint:gosec // the caller bounds them
		for _, h := range player.event(e) {
			title := strings.TrimSpace(h.Document().Title)
			r.Matches = append(r.Matches, title)
			if h.Excepted(e) {
				r.Excepted = append(r.Excepted, title)
			}
		}
		out.Records = append(out.Records, r)
	}
	player.detector.EndBatch(func(f *alert.Finding) {
		if p.own[f.Rule.ID] {
			out.Findings = append(out.Findings, *f)
		}
	})
	return out, nil
}

// Read parses one log record of a tenant as if it came in now.
func (s *Service) Read(tenant uint32, raw, source string) *event.Event {
	e := &event.Event{}
	parse.New(parse.Options{}).Parse(&parse.Record{Tenant: tenant, Raw: raw, Arrived: s.Now().UnixNano(), Source: source, Input: "http"}, e)
	return e
}
