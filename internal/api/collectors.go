package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/source"
)

type CollectorItem struct {
	ID             string    `json:"id" format:"uuid"`
	Hostname       string    `json:"hostname"`
	Status         string    `json:"status" enum:"online,offline" doc:"By the age of the last heartbeat."`
	Version        string    `json:"version"`
	OSFamily       string    `json:"osFamily"`
	LastHeartbeat  time.Time `json:"lastHeartbeat"`
	EventsIngested int64     `json:"eventsIngested" doc:"Since it was enrolled; never goes back."`

	_ struct{} `additionalProperties:"true"`
}

func collectorOf(c *source.Collector) CollectorItem {
	return CollectorItem{
		ID: c.ID, Hostname: c.Hostname, Status: string(c.Status), Version: c.Version, OSFamily: c.OSFamily,
		LastHeartbeat: c.LastHeartbeat, EventsIngested: c.EventsIngested,
	}
}

type collectorDetail struct {
	CollectorItem
	Name          string                `json:"name" doc:"As its enrolment token says; \"server\" is the server's own inputs."`
	Labels        map[string]string     `json:"labels" nullable:"false"`
	EnrolledAt    *time.Time            `json:"enrolledAt" nullable:"true"`
	RevokedAt     *time.Time            `json:"revokedAt" nullable:"true"`
	AwaySince     *time.Time            `json:"awaySince" nullable:"true" doc:"When it was told that it is gone; null while it is there."`
	Certificate   *collectorCertificate `json:"certificate,omitempty" doc:"The newest; the server's own inputs have none."`
	Address       *string               `json:"address" nullable:"true" doc:"Where its last heartbeat came from."`
	ClockOffsetMs *int64                `json:"clockOffsetMs" nullable:"true" doc:"How far its clock is ahead of the server's, milliseconds."`
	Figures       *collectorFigures     `json:"figures,omitempty" doc:"Of its last heartbeat."`
	Sources       []collectorSource     `json:"sources" nullable:"false"`
	Config        collectorConfigState  `json:"config"`

	_ struct{} `additionalProperties:"true"`
}

type collectorCertificate struct {
	Serial    string    `json:"serial"`
	ExpiresAt time.Time `json:"expiresAt"`

	_ struct{} `additionalProperties:"true"`
}

type collectorFigures struct {
	CPUPercent      float64    `json:"cpuPercent" doc:"Of one processor."`
	MemoryBytes     int64      `json:"memoryBytes"`
	SpoolBytes      int64      `json:"spoolBytes" doc:"What waits to be acknowledged."`
	SpoolRecords    int64      `json:"spoolRecords"`
	SpoolLimitBytes int64      `json:"spoolLimitBytes"`
	OldestSpooledAt *time.Time `json:"oldestSpooledAt" nullable:"true"`
	AckedBatch      int64      `json:"ackedBatch" doc:"A batch that is kept, as are all before it."`

	_ struct{} `additionalProperties:"true"`
}

type collectorSource struct {
	Name         string     `json:"name"`
	Type         string     `json:"type"`
	Records      int64      `json:"records"`
	Bytes        int64      `json:"bytes"`
	Filtered     int64      `json:"filtered" doc:"Left out by its own rules."`
	Dropped      int64      `json:"dropped" doc:"Lost: its sender cannot be held back."`
	Errors       int64      `json:"errors"`
	LastError    *string    `json:"lastError" nullable:"true"`
	LastRecordAt *time.Time `json:"lastRecordAt" nullable:"true"`
	Rate         float64    `json:"rate" doc:"Records a second."`

	_ struct{} `additionalProperties:"true"`
}

type collectorConfigState struct {
	State           string  `json:"state" enum:"none,pending,applied,refused" doc:"none: the server has no configuration for it."`
	DesiredRevision int64   `json:"desiredRevision"`
	Revision        string  `json:"revision" doc:"That it runs with; empty for none of the server's."`
	Error           *string `json:"error" nullable:"true" doc:"What it says is wrong with its configuration."`

	_ struct{} `additionalProperties:"true"`
}

// The list is a bare array, for ever, as the reference has it.
type collectorsOut struct {
	Total int             `header:"X-Total-Count"`
	Body  []CollectorItem `nullable:"false"`
}

type collectorOut struct {
	Revision string `header:"X-Revision"`
	Body     collectorDetail
}

type byID struct {
	ID string `path:"id"`
}

type none struct{}

const collectorsTag = "Collectors"

func (a *api) collectors() {
	handle(a, operation{
		id: "listCollectors", method: http.MethodGet, path: "/collectors", tag: collectorsTag, summary: "List collectors",
		doc: "The server's own inputs appear as one collector. Those that were revoked do not appear.",
	}, a.listCollectors)
	handle(a, operation{
		id: "getCollector", method: http.MethodGet, path: "/collectors/{id}", uuid: true, tag: collectorsTag, summary: "Get a collector", single: true,
		doc: "With the figures and sources of its last heartbeat. One that was revoked is found as well.",
	}, a.getCollector)
	handle(a, operation{
		id: "revokeCollector", method: http.MethodDelete, path: "/collectors/{id}", uuid: true, tag: collectorsTag, summary: "Revoke a collector", status: http.StatusNoContent,
		doc: "Acts at once: its connections are closed and its certificates open nothing any more. What it sent stays. It comes back with a new enrolment token only.",
	}, a.revokeCollector)
	a.collectorTokens()
	a.collectorConfigs()
}

func (a *api) listCollectors(ctx context.Context, c *call, _ *none) (*collectorsOut, error) {
	all, err := a.Sources.List(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	out := &collectorsOut{Total: len(all), Body: make([]CollectorItem, 0, len(all))}
	for i := range all {
		out.Body = append(out.Body, collectorOf(&all[i]))
	}
	return out, nil
}

func (a *api) getCollector(ctx context.Context, c *call, in *byID) (*collectorOut, error) {
	got, err := a.Sources.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	d := collectorDetail{CollectorItem: collectorOf(&got), Name: got.Name, Labels: map[string]string{}, Sources: []collectorSource{}, Config: collectorConfigState{State: "none"}}
	m, err := a.Fleet.Member(ctx, c.Tenant.Number, in.ID)
	if errors.Is(err, fault.NotFound) { // the server's own inputs
		return &collectorOut{"0", d}, nil
	}
	if err != nil {
		return nil, err
	}
	desired, err := a.Fleet.Desired(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	d.member(m, desired)
	revision := "1" // heartbeats are no one's change
	if m.RevokedAt != nil {
		revision = "2"
	}
	return &collectorOut{revision, d}, nil
}

// member adds what is known of an enrolled collector.
func (d *collectorDetail) member(m *fleet.Member, desired *fleet.Desired) {
	d.Name, d.Labels, d.EnrolledAt, d.RevokedAt, d.AwaySince = m.Name, m.Labels, &m.EnrolledAt, m.RevokedAt, m.AwaySince
	d.Certificate = &collectorCertificate{Serial: m.Serial, ExpiresAt: m.NotAfter}
	d.Config.DesiredRevision = desired.Revision
	r := m.Report
	if r == nil {
		r = &fleet.Report{}
	} else {
		d.Address, d.ClockOffsetMs = orNull(r.Address), new(r.ClockOffset.Milliseconds())
		d.Figures = &collectorFigures{
			CPUPercent: r.CPUPercent, MemoryBytes: r.MemoryBytes, SpoolBytes: r.SpoolBytes, SpoolRecords: r.SpoolRecords,
			SpoolLimitBytes: r.SpoolLimit, OldestSpooledAt: r.OldestSpooled, AckedBatch: int64(m.Acked), //nolint:gosec // below 2^48
		}
	}
	d.Config.Revision, d.Config.Error = r.ConfigRevision, orNull(r.ConfigError)
	want := strconv.FormatInt(desired.Revision, 10)
	switch {
	case desired.Revision == 0 && (r.ConfigRevision == "" || r.ConfigRevision == want):
		d.Config.State = "none"
	case r.ConfigRevision == want:
		d.Config.State = "applied"
	case r.ConfigRefused == want:
		d.Config.State = "refused"
	default:
		d.Config.State = "pending"
	}
	for i := range r.Sources {
		s := &r.Sources[i]
		d.Sources = append(d.Sources, collectorSource{
			Name: s.Name, Type: s.Type, Records: s.Records, Bytes: s.Bytes, Filtered: s.Filtered, Dropped: s.Dropped, Errors: s.Errors,
			LastError: orNull(s.LastError), LastRecordAt: s.LastRecord, Rate: s.Rate,
		})
	}
}

func (a *api) revokeCollector(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	err := a.Fleet.Revoke(ctx, c.Tenant.Number, c.Actor, in.ID)
	if errors.Is(err, fault.NotFound) {
		if _, known := a.Sources.Get(ctx, c.Tenant.Number, in.ID); known == nil {
			return nil, conflict("The server's own inputs cannot be revoked")
		}
	}
	return nil, err
}
