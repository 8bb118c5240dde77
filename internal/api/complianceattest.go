package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// AttestationItem is an attestation of the list.
type AttestationItem struct {
	ID         string     `json:"id" format:"uuid"`
	Framework  string     `json:"framework"`
	Edition    string     `json:"edition"`
	Control    string     `json:"control"`
	Status     string     `json:"status" enum:"compliant,partial,nonCompliant,notApplicable" doc:"As claimed. What checks find worse counts more."`
	Statement  string     `json:"statement"`
	Evidence   []string   `json:"evidence" nullable:"false"`
	Maturity   *int       `json:"maturity" nullable:"true" doc:"0 to 5, for TISAX."`
	State      string     `json:"state" enum:"pending,approved,rejected,withdrawn,replaced" doc:"Only what is approved and has not expired counts."`
	By         string     `json:"by"`
	At         time.Time  `json:"at"`
	ExpiresAt  time.Time  `json:"expiresAt"`
	Reviewer   *string    `json:"reviewer" nullable:"true"`
	ReviewedAt *time.Time `json:"reviewedAt" nullable:"true"`
	Note       string     `json:"note" doc:"Of the reviewer, or of who withdrew."`
	Version    int64      `json:"version"`

	_ struct{} `additionalProperties:"true"`
}

func attestationOf(t *compliance.Attestation) AttestationItem {
	return AttestationItem{
		ID: t.ID, Framework: t.Framework, Edition: t.Edition, Control: t.Control, Status: string(t.Status), Statement: t.Statement, Evidence: append([]string{}, t.Evidence...), Maturity: t.Maturity,
		State: string(t.State), By: t.By, At: t.At, ExpiresAt: t.ExpiresAt, Reviewer: orNull(t.Reviewer), ReviewedAt: t.ReviewedAt, Note: t.Note, Version: t.Version,
	}
}

type (
	attestationOut struct {
		Revision int64 `header:"X-Revision"`
		Body     AttestationItem
	}
	attestationMade struct {
		Location string `header:"Location"`
		Body     AttestationItem
	}
	attestIn struct {
		Body struct {
			Framework string     `json:"framework" doc:"Id or name." example:"ISMSP"`
			Control   string     `json:"control" example:"2.5.2"`
			Status    string     `json:"status" enum:"compliant,partial,nonCompliant,notApplicable"`
			Statement string     `json:"statement" doc:"What it rests on; of notApplicable the justification. 1 to 10,000 characters."`
			Evidence  []string   `json:"evidence,omitempty" nullable:"false" doc:"Ids of evidence, up to 50."`
			Maturity  *int       `json:"maturity,omitempty" doc:"0 to 5, for TISAX."`
			ExpiresAt *time.Time `json:"expiresAt,omitempty" doc:"By default after the months that the settings say, 12 at first."`
		}
	}
	reviewIn struct {
		ID   string `path:"id"`
		Body struct {
			Approve bool   `json:"approve"`
			Note    string `json:"note,omitempty" doc:"Required when it is rejected."`
		}
	}
	noteIn struct {
		ID   string `path:"id"`
		Body *struct {
			Note string `json:"note,omitempty" doc:"Up to 10,000 characters."`
		}
	}
)

func (in *noteIn) note() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Note
}

// placeFilters are what lists of attestations and exceptions have in common.
var placeFilters = []param{{name: "framework", doc: "Filter by framework."}, {name: "control", doc: "Filter by control."}}

// framework is that of the parameter, nil for none.
func (a *api) framework(ctx context.Context, c *call) (*compliance.Framework, error) {
	name := c.query.one("framework")
	if name == "" {
		return nil, nil //nolint:nilnil // every framework
	}
	return a.namedFramework(ctx, c, name)
}

// namedFramework finds the framework of a body or a parameter.
func (a *api) namedFramework(ctx context.Context, c *call, name string) (*compliance.Framework, error) {
	if a.Compliance.Catalogue.Find(name) == nil {
		return nil, fault.New(fault.Invalid, "There is no framework %q: see GET /compliance/frameworks", name).In("framework")
	}
	return a.Compliance.Find(ctx, c.Tenant.Number, name)
}

func (a *api) attestations() {
	const path = "/compliance/attestations"
	handle(a, operation{
		id: "listAttestations", method: http.MethodGet, path: path, tag: complianceTag, summary: "List attestations", doc: "The newest first.",
		params: append(append(pages(), placeFilters...),
			param{name: "state", doc: "Filter by state.", kind: enum, values: asTexts(compliance.AttestationStates), many: true},
			param{name: "status", doc: "Filter by what was claimed.", kind: enum, values: []string{"compliant", "partial", "nonCompliant", "notApplicable"}, many: true},
			param{name: "expiresBefore", doc: "Only approved ones that expire before then.", kind: moment}),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[AttestationItem], error) {
		f, err := a.framework(ctx, c)
		if err != nil {
			return nil, err
		}
		part := sliceOf(c.query)
		all, total, err := a.Compliance.Attestations(ctx, c.Tenant.Number, compliance.AttestationFilter{
			Framework: f, Control: c.query.one("control"), States: c.query.all("state"), Statuses: c.query.all("status"), ExpiresBefore: c.query.moment("expiresBefore"),
		}, part)
		if err != nil {
			return nil, err
		}
		return pageOf(asked{page: part.Page, size: part.Size}, total, all, attestationOf), nil
	})
	handle(a, operation{
		id: "attest", method: http.MethodPost, path: path, tag: complianceTag, summary: "Attest how a control stands", status: http.StatusCreated,
		doc: "It counts at once, unless the settings ask for reviews or the control is said not to be applicable: then another person must approve it. It never lifts a control whose checks fail, and it replaces an earlier one of the same control.",
	}, func(ctx context.Context, c *call, in *attestIn) (*attestationMade, error) {
		b := &in.Body
		f, err := a.namedFramework(ctx, c, b.Framework)
		if err != nil {
			return nil, err
		}
		t, err := a.Compliance.Attest(ctx, c.Tenant.Number, c.Actor, f, compliance.AttestationDraft{
			Control: b.Control, Status: compliance.Status(b.Status), Statement: b.Statement, Evidence: b.Evidence, Maturity: b.Maturity, ExpiresAt: b.ExpiresAt,
		})
		if err != nil {
			return nil, err
		}
		return &attestationMade{Location: base + path + "/" + t.ID, Body: attestationOf(t)}, nil
	})
	handle(a, operation{
		id: "getAttestation", method: http.MethodGet, path: path + "/{id}", uuid: true, tag: complianceTag, summary: "Get an attestation", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*attestationOut, error) {
		return outOfAttestation(a.Compliance.Attestation(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "reviewAttestation", method: http.MethodPost, path: path + "/{id}/review", uuid: true, tag: complianceTag, summary: "Approve or reject an attestation",
		doc: "Who attested cannot review: 403.",
	}, func(ctx context.Context, c *call, in *reviewIn) (*attestationOut, error) {
		return outOfAttestation(a.Compliance.Review(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Approve, in.Body.Note, 0))
	})
	handle(a, operation{
		id: "withdrawAttestation", method: http.MethodPost, path: path + "/{id}/withdraw", uuid: true, tag: complianceTag, summary: "Withdraw an attestation",
	}, func(ctx context.Context, c *call, in *noteIn) (*attestationOut, error) {
		return outOfAttestation(a.Compliance.Withdraw(ctx, c.Tenant.Number, c.Actor, in.ID, in.note(), 0))
	})
}

func outOfAttestation(t *compliance.Attestation, err error) (*attestationOut, error) {
	if err != nil {
		return nil, err
	}
	return &attestationOut{Revision: t.Version, Body: attestationOf(t)}, nil
}

// ComplianceExceptionItem is an exception of the list.
type ComplianceExceptionItem struct {
	ComplianceExceptionRef
	Framework string     `json:"framework"`
	Edition   string     `json:"edition"`
	Control   string     `json:"control"`
	By        string     `json:"by"`
	At        time.Time  `json:"at"`
	Active    bool       `json:"active"`
	EndedAt   *time.Time `json:"endedAt" nullable:"true" doc:"By a person, before its time."`
	EndedBy   *string    `json:"endedBy" nullable:"true"`
	EndNote   string     `json:"endNote"`
	Version   int64      `json:"version"`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) exceptionOf(e *compliance.Exception) ComplianceExceptionItem {
	return ComplianceExceptionItem{
		ComplianceExceptionRef: ComplianceExceptionRef{ID: e.ID, Checks: append([]string{}, e.Checks...), Owner: e.Owner, Reason: e.Reason, Compensation: e.Compensation, EndsAt: e.EndsAt},
		Framework:              e.Framework, Edition: e.Edition, Control: e.Control, By: e.By, At: e.At, Active: e.Active(a.Now()), EndedAt: e.EndedAt, EndedBy: orNull(e.EndedBy), EndNote: e.EndNote, Version: e.Version,
	}
}

type (
	complianceExceptionOut struct {
		Revision int64 `header:"X-Revision"`
		Body     ComplianceExceptionItem
	}
	complianceExceptionMade struct {
		Location string `header:"Location"`
		Body     ComplianceExceptionItem
	}
	exceptIn struct {
		Body struct {
			Framework    string    `json:"framework" doc:"Id or name." example:"PCIDSS"`
			Control      string    `json:"control" example:"8.3"`
			Checks       []string  `json:"checks,omitempty" nullable:"false" doc:"Of the control; absent or empty: all of them."`
			Owner        string    `json:"owner" doc:"Who answers for it."`
			Reason       string    `json:"reason"`
			Compensation string    `json:"compensation" doc:"What is done instead."`
			EndsAt       time.Time `json:"endsAt" doc:"Within a year."`
		}
	}
)

func (a *api) complianceExceptions() {
	const path = "/compliance/exceptions"
	handle(a, operation{
		id: "listComplianceExceptions", method: http.MethodGet, path: path, tag: complianceTag, summary: "List exceptions", doc: "The newest first.",
		params: append(append(pages(), placeFilters...), param{name: "active", doc: "Only those that hold now, or that do not.", kind: enum, values: []string{"true", "false"}}),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[ComplianceExceptionItem], error) {
		f, err := a.framework(ctx, c)
		if err != nil {
			return nil, err
		}
		filter := compliance.ExceptionFilter{Framework: f, Control: c.query.one("control")}
		if t := c.query.one("active"); t != "" {
			filter.Active = new(t == "true")
		}
		part := sliceOf(c.query)
		all, total, err := a.Compliance.Exceptions(ctx, c.Tenant.Number, filter, part)
		if err != nil {
			return nil, err
		}
		return pageOf(asked{page: part.Page, size: part.Size}, total, all, a.exceptionOf), nil
	})
	handle(a, operation{
		id: "createComplianceException", method: http.MethodPost, path: path, tag: complianceTag, summary: "Accept for a time that a check does not pass", status: http.StatusCreated,
		doc: "What it covers counts neither as passed nor as failed: the control is partial, or what a person attests of it. It is shown with the control and in every report.",
	}, func(ctx context.Context, c *call, in *exceptIn) (*complianceExceptionMade, error) {
		b := &in.Body
		f, err := a.namedFramework(ctx, c, b.Framework)
		if err != nil {
			return nil, err
		}
		e, err := a.Compliance.Except(ctx, c.Tenant.Number, c.Actor, f, compliance.ExceptionDraft{
			Control: b.Control, Checks: b.Checks, Owner: b.Owner, Reason: b.Reason, Compensation: b.Compensation, EndsAt: b.EndsAt,
		})
		if err != nil {
			return nil, err
		}
		return &complianceExceptionMade{Location: base + path + "/" + e.ID, Body: a.exceptionOf(e)}, nil
	})
	out := func(e *compliance.Exception, err error) (*complianceExceptionOut, error) {
		if err != nil {
			return nil, err
		}
		return &complianceExceptionOut{Revision: e.Version, Body: a.exceptionOf(e)}, nil
	}
	handle(a, operation{
		id: "getComplianceException", method: http.MethodGet, path: path + "/{id}", uuid: true, tag: complianceTag, summary: "Get an exception", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*complianceExceptionOut, error) {
		return out(a.Compliance.Exception(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "endComplianceException", method: http.MethodPost, path: path + "/{id}/end", uuid: true, tag: complianceTag, summary: "End an exception before its time",
	}, func(ctx context.Context, c *call, in *noteIn) (*complianceExceptionOut, error) {
		return out(a.Compliance.End(ctx, c.Tenant.Number, c.Actor, in.ID, in.note(), 0))
	})
}
