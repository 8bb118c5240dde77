package api

import (
	"context"
	"net/http"

	"github.com/kyra-mdr/kyra/internal/dsr"
)

type (
	requestSettings struct {
		Law      *string  `json:"law" nullable:"true" enum:"GDPR,CCPA,PIPA" doc:"Of requests that name none; null: each must name one."`
		TimeZone string   `json:"timeZone" doc:"Where days begin and end." example:"Asia/Seoul"`
		Holidays []string `json:"holidays" nullable:"false" doc:"Days that are no working days, besides weekends." example:"[\"2026-12-25\"]"`

		_ struct{} `additionalProperties:"true"`
	}
	requestSettingsOut struct {
		Revision int64 `header:"X-Revision"`
		Body     requestSettings
	}
	requestSettingsIn struct {
		Body struct {
			Law      *string   `json:"law,omitempty" doc:"GDPR, CCPA or PIPA; empty: each request must name one."`
			TimeZone *string   `json:"timeZone,omitempty"`
			Holidays *[]string `json:"holidays,omitempty" doc:"All of them, up to 1,000."`
		}
	}
)

func (a *api) requestSettings() {
	handle(a, operation{
		id: "getRequestSettings", method: http.MethodGet, path: "/dsr/settings", tag: dsrTag, summary: "Get how terms are counted", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*requestSettingsOut, error) {
		return outOfRequestSettings(a.Requests.Settings(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "updateRequestSettings", method: http.MethodPatch, path: "/dsr/settings", tag: dsrTag, summary: "Change how terms are counted", single: true,
		doc: "For requests that are taken in, and terms that are made longer, from now on.",
	}, func(ctx context.Context, c *call, in *requestSettingsIn) (*requestSettingsOut, error) {
		set, err := a.Requests.Settings(ctx, c.Tenant.Number)
		if err != nil {
			return nil, err
		}
		b := &in.Body
		if b.Law == nil && b.TimeZone == nil && b.Holidays == nil {
			return nil, badRequest("Nothing to change", "Give at least one of law, timeZone, holidays")
		}
		if b.Law != nil {
			set.Law = dsr.Law(*b.Law)
		}
		if b.TimeZone != nil {
			set.Zone = *b.TimeZone
		}
		if b.Holidays != nil {
			set.Holidays = *b.Holidays
		}
		if c.version != 0 {
			set.Version = c.version - 1
		}
		out, err := outOfRequestSettings(a.Requests.SetSettings(ctx, c.Tenant.Number, c.Actor, set))
		return out, c.condition(err)
	})
}

func outOfRequestSettings(s dsr.Settings, err error) (*requestSettingsOut, error) {
	if err != nil {
		return nil, err
	}
	return &requestSettingsOut{Revision: s.Version + 1, Body: requestSettings{Law: orNull(string(s.Law)), TimeZone: s.Zone, Holidays: s.Holidays}}, nil
}
