package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

type (
	complianceSettingsBody struct {
		PartialWeight     float64                      `json:"partialWeight" doc:"Of a partial control in the score, 0 to 1."`
		Strict            bool                         `json:"strict" doc:"Controls of which telemetry shows only part need a person."`
		ReviewRequired    bool                         `json:"reviewRequired" doc:"Every attestation needs another person's approval."`
		AttestationMonths int                          `json:"attestationMonths" doc:"After which an attestation expires."`
		Frameworks        map[string]frameworkSettings `json:"frameworks" nullable:"false" doc:"What differs by framework."`
		UpdatedAt         *time.Time                   `json:"updatedAt" nullable:"true" doc:"null: nothing was ever changed."`
		UpdatedBy         *string                      `json:"updatedBy" nullable:"true"`
		Version           int64                        `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	frameworkSettings struct {
		Profile           string   `json:"profile,omitempty" enum:"core,full" doc:"That is shown unless another is asked for."`
		Edition           string   `json:"edition,omitempty" doc:"Of the catalogue."`
		Categories        []string `json:"categories,omitempty" nullable:"false" doc:"That are assessed; absent or empty: all that do not stand apart. SOC 2: security, availability, confidentiality, processingIntegrity, privacy."`
		AttestationMonths int      `json:"attestationMonths,omitempty" doc:"0: as in general."`
	}
	complianceSettingsOut struct {
		Revision int64 `header:"X-Revision"`
		Body     complianceSettingsBody
	}
	patchComplianceSettingsIn struct {
		Body struct {
			PartialWeight     *float64                     `json:"partialWeight,omitempty" doc:"0 to 1, up to two decimals."`
			Strict            *bool                        `json:"strict,omitempty"`
			ReviewRequired    *bool                        `json:"reviewRequired,omitempty"`
			AttestationMonths *int                         `json:"attestationMonths,omitempty" doc:"1 to 60."`
			Frameworks        map[string]frameworkSettings `json:"frameworks,omitempty" nullable:"false" doc:"By id; those left out stay as they are, an empty object takes the framework's own back."`
		}
	}
)

func (a *api) complianceSettings() {
	const path = "/compliance/settings"
	handle(a, operation{
		id: "getComplianceSettings", method: http.MethodGet, path: path, tag: complianceTag, summary: "Get how compliance is judged", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*complianceSettingsOut, error) {
		return outOfComplianceSettings(a.Compliance.Settings(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "updateComplianceSettings", method: http.MethodPatch, path: path, tag: complianceTag, summary: "Change how compliance is judged", single: true,
		doc: "Every control is judged anew at once. Days that have passed keep the settings that they were judged by.",
	}, a.patchComplianceSettings)
}

func outOfComplianceSettings(s *compliance.Settings, err error) (*complianceSettingsOut, error) {
	if err != nil {
		return nil, err
	}
	out := complianceSettingsBody{
		PartialWeight: s.PartialWeight, Strict: s.Strict, ReviewRequired: s.ReviewRequired, AttestationMonths: s.AttestationMonths, Frameworks: map[string]frameworkSettings{},
		UpdatedAt: momentOrNull(s.UpdatedAt), UpdatedBy: orNull(s.UpdatedBy), Version: s.Version,
	}
	for id, f := range s.Frameworks {
		out.Frameworks[id] = frameworkSettings{Profile: string(f.Profile), Edition: f.Edition, Categories: f.Categories, AttestationMonths: f.AttestationMonths}
	}
	return &complianceSettingsOut{Revision: s.Version, Body: out}, nil
}

func (a *api) patchComplianceSettings(ctx context.Context, c *call, in *patchComplianceSettingsIn) (*complianceSettingsOut, error) {
	b := &in.Body
	s, err := a.Compliance.Change(ctx, c.Tenant.Number, c.Actor, c.version, func(s *compliance.Settings) {
		set(&s.PartialWeight, b.PartialWeight)
		set(&s.Strict, b.Strict)
		set(&s.ReviewRequired, b.ReviewRequired)
		set(&s.AttestationMonths, b.AttestationMonths)
		for id, f := range b.Frameworks {
			if known := a.Compliance.Catalogue.Find(id); known != nil {
				id = known.ID
			}
			s.Frameworks[id] = compliance.FrameworkSettings{Profile: compliance.Profile(f.Profile), Edition: f.Edition, Categories: f.Categories, AttestationMonths: f.AttestationMonths}
		}
	})
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfComplianceSettings(s, nil)
}
