package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/source"
)

type collectorItem struct {
	ID             string    `json:"id" format:"uuid"`
	Hostname       string    `json:"hostname"`
	Status         string    `json:"status" enum:"online,offline" doc:"By the age of the last heartbeat."`
	Version        string    `json:"version"`
	OSFamily       string    `json:"osFamily"`
	LastHeartbeat  time.Time `json:"lastHeartbeat"`
	EventsIngested int64     `json:"eventsIngested" doc:"Since it was enrolled; never goes back."`

	_ struct{} `additionalProperties:"true"`
}

func collectorOf(c *source.Collector) collectorItem {
	return collectorItem{
		ID: c.ID, Hostname: c.Hostname, Status: string(c.Status), Version: c.Version, OSFamily: c.OSFamily,
		LastHeartbeat: c.LastHeartbeat, EventsIngested: c.EventsIngested,
	}
}

// The list is a bare array, for ever, as the reference has it.
type collectorsOut struct {
	Total int             `header:"X-Total-Count"`
	Body  []collectorItem `nullable:"false"`
}

type collectorOut struct{ Body collectorItem }

type byID struct {
	ID string `path:"id"`
}

type none struct{}

func (a *api) collectors() {
	handle(a, operation{
		id: "listCollectors", method: http.MethodGet, path: "/collectors", tag: "Collectors", summary: "List collectors",
		doc: "The server's own inputs appear as one collector.",
	}, a.listCollectors)
	handle(a, operation{
		id: "getCollector", method: http.MethodGet, path: "/collectors/{id}", uuid: true, tag: "Collectors", summary: "Get a collector", single: true,
	}, a.getCollector)
}

func (a *api) listCollectors(ctx context.Context, c *call, _ *none) (*collectorsOut, error) {
	all, err := a.Sources.List(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	out := &collectorsOut{Total: len(all), Body: make([]collectorItem, 0, len(all))}
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
	return &collectorOut{collectorOf(&got)}, nil
}
