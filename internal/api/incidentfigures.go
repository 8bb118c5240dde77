package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/vault"
)

type durationItem struct {
	Count int64    `json:"count" doc:"Incidents where it has happened."`
	Mean  *float64 `json:"meanSeconds" nullable:"true"`
	P50   *float64 `json:"p50Seconds" nullable:"true"`
	P90   *float64 `json:"p90Seconds" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

// durationOf says null where there is nothing: no incident is not no time.
func durationOf(d incident.Durations) durationItem {
	item := durationItem{Count: d.Count}
	if d.Count > 0 {
		item.Mean, item.P50, item.P90 = new(d.Mean.Seconds()), new(d.P50.Seconds()), new(d.P90.Seconds())
	}
	return item
}

type slaItem struct {
	Met     int64    `json:"met" doc:"Incidents closed before they were due."`
	Closed  int64    `json:"closed"`
	Percent *float64 `json:"percent" nullable:"true" doc:"null where none was closed."`

	_ struct{} `additionalProperties:"true"`
}

func slaOf(met, closed int64) slaItem {
	item := slaItem{Met: met, Closed: closed}
	if closed > 0 {
		item.Percent = new(float64(met*10000/closed) / 100)
	}
	return item
}

type severityFigures struct {
	Severity string       `json:"severity" enum:"critical,high,medium,low,info"`
	Created  int64        `json:"created"`
	Closed   int64        `json:"closed"`
	Open     int64        `json:"open"`
	MTTA     durationItem `json:"mtta"`
	MTTC     durationItem `json:"mttc"`
	MTTR     durationItem `json:"mttr"`
	SLA      slaItem      `json:"sla"`

	_ struct{} `additionalProperties:"true"`
}

type (
	figuresOut struct {
		Body struct {
			From         time.Time         `json:"from"`
			To           time.Time         `json:"to"`
			Created      int64             `json:"created" doc:"In the period; merged ones are left out."`
			Closed       int64             `json:"closed" doc:"Of those."`
			Open         int64             `json:"open" doc:"Now, whenever they were created."`
			Unassigned   int64             `json:"unassigned" doc:"Of open."`
			Overdue      int64             `json:"overdue" doc:"Of open."`
			CreatedToday int64             `json:"createdToday" doc:"Since midnight UTC."`
			MTTA         durationItem      `json:"mtta" doc:"From creation to the first act of a person."`
			MTTC         durationItem      `json:"mttc" doc:"From creation to when it first left OPEN."`
			MTTR         durationItem      `json:"mttr" doc:"From creation to closing."`
			SLA          slaItem           `json:"sla"`
			BySeverity   []severityFigures `json:"bySeverity" nullable:"false" doc:"The most severe first."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	// SLAMinutes is the time to answer by severity.
	SLAMinutes struct {
		Critical int64 `json:"critical" doc:"Minutes from creation to when it is due, 1 to 525,600."`
		High     int64 `json:"high"`
		Medium   int64 `json:"medium"`
		Low      int64 `json:"low" doc:"Of low and info."`
	}
	incidentSettings struct {
		SLA      SLAMinutes `json:"slaMinutes"`
		Grouping string     `json:"grouping" enum:"rule,entity" doc:"rule: one incident for each rule in 24 hours. entity: an alert also joins another rule's open automatic incident of the last 24 hours that shares a host, address, domain or hash with it, or two other entities; the timeline says what."`

		_ struct{} `additionalProperties:"true"`
	}
	settingsOut struct {
		Revision int64 `header:"X-Revision"`
		Body     incidentSettings
	}
	settingsIn struct {
		Body struct {
			SLA      *SLAMinutes `json:"slaMinutes,omitempty"`
			Grouping word        `json:"grouping,omitzero" enum:"rule,entity"`
		}
	}
)

func (a *api) incidentFigures() {
	const tag = "Incidents"
	handle(a, operation{
		id: "getIncidentStats", method: http.MethodGet, path: "/incidents/stats", tag: tag, summary: "Get incident figures: MTTA, MTTC, MTTR, SLA",
		params: []param{
			{name: "from", doc: "Created then or later; 30 days ago when left out.", kind: moment},
			{name: "to", doc: "Created before then; now when left out.", kind: moment},
		},
	}, a.figures)
	handle(a, operation{
		id: "getIncidentSettings", method: http.MethodGet, path: "/incident-settings", tag: tag, summary: "Get times to answer and grouping", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*settingsOut, error) {
		return outOfSettings(a.Incidents.Settings(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "updateIncidentSettings", method: http.MethodPatch, path: "/incident-settings", tag: tag, summary: "Change times to answer and grouping", single: true,
		doc: "They hold for incidents that are made, or get another severity, from then on.",
	}, a.patchSettings)
}

func (a *api) figures(ctx context.Context, c *call, _ *none) (*figuresOut, error) {
	now := a.Now()
	to := c.query.moment("to")
	if to.IsZero() {
		to = now
	}
	from := c.query.moment("from")
	if from.IsZero() {
		from = to.AddDate(0, 0, -30)
	}
	if !from.Before(to) {
		return nil, invalid("from", "Allowed: a time before to")
	}
	f, err := a.Incidents.Figures(ctx, c.Tenant.Number, from, to, now)
	if err != nil {
		return nil, err
	}
	out := &figuresOut{}
	b := &out.Body
	b.From, b.To, b.Created, b.Closed, b.Open, b.Unassigned, b.Overdue, b.CreatedToday = f.From.UTC(), f.To.UTC(), f.Created, f.Closed, f.Open, f.Unassigned, f.Overdue, f.CreatedToday
	b.MTTA, b.MTTC, b.MTTR, b.SLA = durationOf(f.Acknowledge), durationOf(f.Contain), durationOf(f.Resolve), slaOf(f.SLAMet, f.Closed)
	for _, x := range f.BySeverity {
		b.BySeverity = append(b.BySeverity, severityFigures{
			Severity: x.Severity, Created: x.Created, Closed: x.Closed, Open: x.Open,
			MTTA: durationOf(x.Acknowledge), MTTC: durationOf(x.Contain), MTTR: durationOf(x.Resolve), SLA: slaOf(x.SLAMet, x.Closed),
		})
	}
	return out, nil
}

func outOfSettings(s incident.Settings, err error) (*settingsOut, error) {
	if err != nil {
		return nil, err
	}
	minutes := func(d time.Duration) int64 { return int64(d / time.Minute) }
	// Revisions are from 1: the defaults have the first.
	return &settingsOut{Revision: s.Version + 1, Body: incidentSettings{
		SLA: SLAMinutes{minutes(s.SLA.Critical), minutes(s.SLA.High), minutes(s.SLA.Medium), minutes(s.SLA.Low)}, Grouping: string(s.Grouping),
	}}, nil
}

func (a *api) patchSettings(ctx context.Context, c *call, in *settingsIn) (*settingsOut, error) {
	set, err := a.Incidents.Settings(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	if in.Body.SLA != nil {
		const most = 365 * 24 * 60
		m := in.Body.SLA
		for _, x := range []struct {
			name string
			n    int64
		}{{"critical", m.Critical}, {"high", m.High}, {"medium", m.Medium}, {"low", m.Low}} {
			if x.n < 1 || x.n > most {
				return nil, invalid("slaMinutes."+x.name, "Allowed: 1 to 525600 minutes")
			}
		}
		minutes := func(n int64) time.Duration { return time.Duration(n) * time.Minute }
		set.SLA = incident.SLA{Critical: minutes(m.Critical), High: minutes(m.High), Medium: minutes(m.Medium), Low: minutes(m.Low)}
	}
	if in.Body.Grouping.set {
		g, bad := in.Body.Grouping.among("grouping", asTexts(incident.Groupings))
		if bad != nil {
			return nil, bad
		}
		set.Grouping = incident.Grouping(g)
	}
	if in.Body.SLA == nil && !in.Body.Grouping.set {
		return nil, badRequest("Nothing to change", "Give at least one of slaMinutes, grouping")
	}
	if c.version != 0 {
		set.Version = c.version - 1
	}
	out, err := outOfSettings(a.Incidents.SetSettings(ctx, c.Tenant.Number, c.Actor, set, false))
	return out, c.condition(err)
}

// changedFile says that a file on disk is not what was added.
func changedFile(err error) error {
	if errors.Is(err, vault.ErrChanged) {
		return fault.New(fault.Conflict, "%s", vault.ErrChanged)
	}
	return err
}

// reprDigest is the header of RFC 9530 for a SHA-256 in hexadecimal.
func reprDigest(sum string) string {
	raw, err := hex.DecodeString(sum)
	if err != nil {
		return ""
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(raw) + ":"
}
