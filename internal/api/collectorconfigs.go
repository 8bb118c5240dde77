package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
)

type collectorConfig struct {
	Revision  int64             `json:"revision" doc:"Grows with every change; 0 where the server has no configuration."`
	Inherited bool              `json:"inherited" doc:"It is the default, not the collector's own."`
	Files     map[string]string `json:"files" nullable:"false" doc:"Name, such as sources.d/web.yaml, to text."`
	UpdatedAt *time.Time        `json:"updatedAt" nullable:"true"`
	UpdatedBy *string           `json:"updatedBy" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

type (
	collectorConfigOut struct {
		Revision string `header:"X-Revision"`
		Body     collectorConfig
	}
	collectorFiles struct {
		Files map[string]string `json:"files" nullable:"false" doc:"All files of the server's; those that the machine has itself stay." example:"{\"sources.d/web.yaml\":\"source:\\n  type: file\\n\"}"`
	}
	putCollectorConfigIn struct {
		ID   string `path:"id"`
		Body collectorFiles
	}
	putDefaultConfigIn struct{ Body collectorFiles }
)

func (a *api) collectorConfigs() {
	const tag, path, own = collectorsTag, "/collector-config", "/collectors/{id}/config"
	const pushed = "Collectors get it with their next heartbeat, within 15 seconds. One that cannot run with it keeps the last good one and says why (config.error of the collector)."
	handle(a, operation{
		id: "getDefaultCollectorConfig", method: http.MethodGet, path: path, tag: tag, summary: "Get the default configuration of collectors", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*collectorConfigOut, error) {
		return a.collectorConfig(ctx, c, "")
	})
	handle(a, operation{
		id: "putDefaultCollectorConfig", method: http.MethodPut, path: path, tag: tag, summary: "Replace the default configuration of collectors", single: true,
		doc: "It holds for all that have none of their own, new ones too. " + pushed,
	}, func(ctx context.Context, c *call, in *putDefaultConfigIn) (*collectorConfigOut, error) {
		return a.setCollectorConfig(ctx, c, "", in.Body.Files)
	})
	handle(a, operation{
		id: "deleteDefaultCollectorConfig", method: http.MethodDelete, path: path, tag: tag, summary: "Take back the default configuration of collectors", status: http.StatusNoContent,
	}, func(ctx context.Context, c *call, _ *none) (*struct{}, error) {
		return nil, c.condition(a.Fleet.SetDesired(ctx, c.Tenant.Number, c.Actor, "", nil, c.version))
	})
	handle(a, operation{
		id: "getCollectorConfig", method: http.MethodGet, path: own, uuid: true, tag: tag, summary: "Get the configuration that a collector shall have", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*collectorConfigOut, error) {
		if _, err := a.Fleet.Member(ctx, c.Tenant.Number, in.ID); err != nil {
			return nil, err
		}
		return a.collectorConfig(ctx, c, in.ID)
	})
	handle(a, operation{
		id: "putCollectorConfig", method: http.MethodPut, path: own, uuid: true, tag: tag, summary: "Give a collector a configuration of its own", single: true, doc: pushed,
	}, func(ctx context.Context, c *call, in *putCollectorConfigIn) (*collectorConfigOut, error) {
		return a.setCollectorConfig(ctx, c, in.ID, in.Body.Files)
	})
	handle(a, operation{
		id: "deleteCollectorConfig", method: http.MethodDelete, path: own, uuid: true, tag: tag, summary: "Give a collector the default configuration again", status: http.StatusNoContent,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, c.condition(a.Fleet.SetDesired(ctx, c.Tenant.Number, c.Actor, in.ID, nil, c.version))
	})
}

// collectorConfig answers the configuration of a collector, "" for the default.
func (a *api) collectorConfig(ctx context.Context, c *call, id string) (*collectorConfigOut, error) {
	var d *fleet.Desired
	var err error
	if id == "" {
		d, err = a.Fleet.Default(ctx, c.Tenant.Number)
	} else {
		d, err = a.Fleet.Desired(ctx, c.Tenant.Number, id)
	}
	if err != nil {
		return nil, err
	}
	body := collectorConfig{Revision: d.Revision, Inherited: id != "" && !d.Own, Files: d.Files}
	if body.Files == nil {
		body.Files = map[string]string{}
	}
	if d.Revision > 0 {
		body.UpdatedAt, body.UpdatedBy = &d.CreatedAt, orNull(d.CreatedBy)
	}
	return &collectorConfigOut{strconv.FormatInt(d.Revision, 10), body}, nil
}

func (a *api) setCollectorConfig(ctx context.Context, c *call, id string, files map[string]string) (*collectorConfigOut, error) {
	if files == nil {
		return nil, fault.New(fault.Invalid, "Allowed: an object of files").In("files")
	}
	if err := a.Fleet.SetDesired(ctx, c.Tenant.Number, c.Actor, id, files, c.version); err != nil {
		return nil, c.condition(err)
	}
	return a.collectorConfig(ctx, c, id)
}
