package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/report"
)

const reportsTag = "Reports"

type (
	// ReportItem is a report that is made on schedule or when somebody asks.
	ReportItem struct {
		ID         string     `json:"id" format:"uuid"`
		Name       string     `json:"name"`
		Kind       string     `json:"kind" enum:"executive,incident,compliance,threatLandscape"`
		Every      string     `json:"every" enum:"onDemand,daily,weekly,monthly" doc:"daily tells of the day before, weekly of the seven days before, monthly of the calendar month before."`
		At         string     `json:"at" example:"07:00" doc:"In timeZone."`
		Weekday    int        `json:"weekday" doc:"Of weekly ones: 1 Monday to 7 Sunday."`
		DayOfMonth int        `json:"dayOfMonth" doc:"Of monthly ones: 1 to 28."`
		TimeZone   string     `json:"timeZone" example:"Asia/Seoul"`
		Language   string     `json:"language" enum:"en,ko"`
		Formats    []string   `json:"formats" nullable:"false" doc:"pdf, csv."`
		Framework  *string    `json:"framework" nullable:"true" doc:"Of compliance."`
		Profile    *string    `json:"profile" nullable:"true" enum:"core,full" doc:"Of compliance; null: as the settings say."`
		ChannelID  *string    `json:"channelId" nullable:"true" format:"uuid" doc:"Notification channel of kind email that gets it; null: it is kept for download only."`
		Enabled    bool       `json:"enabled"`
		NextAt     *time.Time `json:"nextAt" nullable:"true" doc:"When it is made next; null: when somebody asks."`
		CreatedAt  time.Time  `json:"createdAt"`
		CreatedBy  string     `json:"createdBy"`
		UpdatedAt  time.Time  `json:"updatedAt"`
		Version    int64      `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	// ReportRun is a report that was made, or is being made.
	ReportRun struct {
		ID            string       `json:"id" format:"uuid"`
		ReportID      *string      `json:"reportId" nullable:"true" format:"uuid" doc:"null: it was asked for once."`
		Name          string       `json:"name"`
		Kind          string       `json:"kind" enum:"executive,incident,compliance,threatLandscape"`
		From          time.Time    `json:"from"`
		To            time.Time    `json:"to"`
		DueAt         *time.Time   `json:"dueAt" nullable:"true" doc:"null: somebody asked."`
		State         string       `json:"state" enum:"QUEUED,RUNNING,DONE,FAILED,CANCELLED"`
		Reason        string       `json:"reason" doc:"Why it failed."`
		Progress      jobProgress  `json:"progress"`
		JobID         *string      `json:"jobId" nullable:"true" doc:"DELETE /jobs/{id} cancels it."`
		Files         []reportFile `json:"files" nullable:"false"`
		Delivery      *string      `json:"delivery" nullable:"true" enum:"sent,failed" doc:"null: nobody is to get it, or not yet."`
		DeliveryError string       `json:"deliveryError"`
		CreatedBy     string       `json:"createdBy"`
		CreatedAt     time.Time    `json:"createdAt"`
		EndedAt       *time.Time   `json:"endedAt" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	reportFile struct {
		Format    string `json:"format" enum:"pdf,csv"`
		Name      string `json:"name"`
		MediaType string `json:"mediaType"`
		Bytes     int64  `json:"bytes"`
		SHA256    string `json:"sha256"`

		_ struct{} `additionalProperties:"true"`
	}
	reportOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     ReportItem
	}
	reportRunOut struct{ Body ReportRun }
	reportBody   struct {
		Name       *string  `json:"name,omitempty" doc:"1 to 100 characters."`
		Kind       *string  `json:"kind,omitempty" enum:"executive,incident,compliance,threatLandscape"`
		Every      *string  `json:"every,omitempty" enum:"onDemand,daily,weekly,monthly" doc:"onDemand at first."`
		At         *string  `json:"at,omitempty" doc:"Hour and minute; 07:00 at first."`
		Weekday    *int     `json:"weekday,omitempty" doc:"1 Monday to 7 Sunday."`
		DayOfMonth *int     `json:"dayOfMonth,omitempty" doc:"1 to 28."`
		TimeZone   *string  `json:"timeZone,omitempty" doc:"IANA name; the person's own at first, UTC for keys."`
		Language   *string  `json:"language,omitempty" enum:"en,ko"`
		Formats    []string `json:"formats,omitempty" nullable:"false" doc:"pdf, csv; pdf at first."`
		Framework  *string  `json:"framework,omitempty" doc:"Of compliance: required."`
		Profile    *string  `json:"profile,omitempty" enum:"core,full"`
		ChannelID  *string  `json:"channelId,omitempty" doc:"Empty: nobody gets it by mail."`
		Enabled    *bool    `json:"enabled,omitempty"`
	}
	createReportIn struct{ Body reportBody }
	patchReportIn  struct {
		ID   string `path:"id"`
		Body reportBody
	}
	runReportBody struct {
		From *time.Time `json:"from,omitempty" doc:"By default the period that would be due now."`
		To   *time.Time `json:"to,omitempty"`
	}
	runReportIn struct {
		ID   string `path:"id"`
		Body *runReportBody
	}
	runOnceIn struct {
		Body struct {
			Name      *string    `json:"name,omitempty" doc:"1 to 100 characters."`
			Kind      *string    `json:"kind,omitempty" enum:"executive,incident,compliance,threatLandscape"`
			From      *time.Time `json:"from,omitempty" doc:"By default thirty days before to."`
			To        *time.Time `json:"to,omitempty" doc:"By default now."`
			TimeZone  *string    `json:"timeZone,omitempty"`
			Language  *string    `json:"language,omitempty" enum:"en,ko"`
			Formats   []string   `json:"formats,omitempty" nullable:"false" doc:"pdf, csv."`
			Framework *string    `json:"framework,omitempty" doc:"Of compliance: required."`
			Profile   *string    `json:"profile,omitempty" enum:"core,full"`
			ChannelID *string    `json:"channelId,omitempty"`
		}
	}
)

func scheduleOf(r *report.Schedule) ReportItem {
	return ReportItem{
		ID: r.ID, Name: r.Name, Kind: string(r.Kind), Every: string(r.Every), At: r.At, Weekday: r.Weekday, DayOfMonth: r.DayOfMonth, TimeZone: r.Zone, Language: string(r.Language), Formats: r.Formats,
		Framework: orNull(r.Framework), Profile: orNull(r.Profile), ChannelID: orNull(r.Channel), Enabled: r.Enabled, NextAt: r.NextAt, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

func reportRunOf(r *report.Run) ReportRun {
	out := ReportRun{
		ID: r.ID, ReportID: orNull(r.Report), Name: r.Name, Kind: string(r.Kind), From: r.From, To: r.To, DueAt: r.Slot, State: string(r.State), Reason: r.Reason,
		Progress: jobProgress{Done: r.Done, Total: r.Total, Note: r.Note}, JobID: orNull(r.Job), Files: []reportFile{}, Delivery: orNull(r.Delivery), DeliveryError: r.DeliveryError, CreatedBy: r.Actor, CreatedAt: r.CreatedAt, EndedAt: r.EndedAt,
	}
	for _, f := range r.Files {
		out.Files = append(out.Files, reportFile{Format: f.Format, Name: f.Name, MediaType: f.MediaType, Bytes: f.Bytes, SHA256: f.SHA256})
	}
	return out
}

// apply writes what was given over r.
func (b *reportBody) apply(r *report.Schedule) {
	set := func(to *string, v *string) {
		if v != nil {
			*to = *v
		}
	}
	set(&r.Name, b.Name)
	set((*string)(&r.Kind), b.Kind)
	set((*string)(&r.Every), b.Every)
	set(&r.At, b.At)
	set(&r.Zone, b.TimeZone)
	set((*string)(&r.Language), b.Language)
	set(&r.Framework, b.Framework)
	set(&r.Profile, b.Profile)
	set(&r.Channel, b.ChannelID)
	if b.Weekday != nil {
		r.Weekday = *b.Weekday
	}
	if b.DayOfMonth != nil {
		r.DayOfMonth = *b.DayOfMonth
	}
	if b.Enabled != nil {
		r.Enabled = *b.Enabled
	}
	if len(b.Formats) > 0 {
		r.Formats = b.Formats
	}
}

func (a *api) reports() {
	const path = "/reports"
	handle(a, operation{
		id: "listReports", method: http.MethodGet, path: path, tag: reportsTag, summary: "List reports", params: pages(), doc: "Those that are made on schedule or when somebody asks, by name.",
	}, a.listReports)
	handle(a, operation{
		id: "createReport", method: http.MethodPost, path: path, tag: reportsTag, summary: "Create a report", status: http.StatusCreated,
		doc: "It is enabled at once unless you say otherwise. A name that is taken is 409.",
	}, a.createReport)
	handle(a, operation{id: "getReportSchedule", method: http.MethodGet, path: path + "/{id}", tag: reportsTag, summary: "Get a report", single: true, uuid: true}, a.getReport)
	handle(a, operation{id: "updateReport", method: http.MethodPatch, path: path + "/{id}", tag: reportsTag, summary: "Change a report", single: true, uuid: true}, a.patchReport)
	handle(a, operation{
		id: "deleteReport", method: http.MethodDelete, path: path + "/{id}", tag: reportsTag, summary: "Delete a report", status: http.StatusNoContent, uuid: true, doc: "What it made stays for download until it is 400 days old.",
	}, a.deleteReport)
	handle(a, operation{
		id: "runReport", method: http.MethodPost, path: path + "/{id}/run", tag: reportsTag, summary: "Make a report now", status: http.StatusAccepted, uuid: true,
		doc: "The answer is a job, whose subject is the id of the run; GET /jobs/{id} tells its progress, DELETE /jobs/{id} cancels it.",
	}, a.runReport)
	handle(a, operation{
		id: "runReportOnce", method: http.MethodPost, path: "/report-runs", tag: reportsTag, summary: "Make a report once", status: http.StatusAccepted, doc: "Without keeping its settings. The answer is a job, whose subject is the id of the run.",
	}, a.runOnce)
	handle(a, operation{
		id: "listReportRuns", method: http.MethodGet, path: "/report-runs", tag: reportsTag, summary: "List what was made", doc: "The newest first, for 400 days.",
		params: append(pages(), param{name: "report", doc: "Id of a report."}, param{name: "kind", doc: "Filter by kind.", kind: enum, values: asTexts(report.Kinds), many: true},
			param{name: "state", doc: "Filter by state.", kind: enum, values: asTexts(job.States), many: true}),
	}, a.listReportRuns)
	handle(a, operation{id: "getReportRun", method: http.MethodGet, path: "/report-runs/{id}", tag: reportsTag, summary: "Get what was made", single: true, uuid: true}, a.getReportRun)
	handle(a, operation{
		id: "getReportFile", method: http.MethodGet, path: "/report-runs/{id}/file", tag: reportsTag, summary: "Download a report", uuid: true, doc: "One that is not made yet is 409.",
		params:  []param{{name: "format", doc: "By default the first that it was made as.", kind: enum, values: report.Formats}},
		answers: []string{"application/pdf", "text/csv"},
	}, a.reportFile)
}

var errNoReports = fault.New(fault.Unavailable, "this server makes no reports")

func (a *api) listReports(ctx context.Context, c *call, _ *none) (*pageOut[ReportItem], error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	k := asked{page: c.query.number("page"), size: c.query.number("size")}
	list, total, err := a.Reports.List(ctx, c.Tenant.Number, report.Slice{Page: k.page, Size: k.size})
	if err != nil {
		return nil, err
	}
	return pageOf(k, total, list, scheduleOf), nil
}

func outOfReport(r *report.Schedule, err error) (*reportOut, error) {
	if err != nil {
		return nil, err
	}
	return &reportOut{Revision: r.Version, Body: scheduleOf(r)}, nil
}

// drafted is a new report with what the caller prefers.
func (c *call) drafted(b *reportBody) report.Schedule {
	r := report.Schedule{Enabled: true, Settings: report.Settings{Language: report.Language(c.language())}}
	if c.signed != nil {
		r.Zone = c.signed.User.TimeZone
	}
	b.apply(&r)
	return r
}

func (a *api) createReport(ctx context.Context, c *call, in *createReportIn) (*reportOut, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	out, err := outOfReport(a.Reports.Create(ctx, c.Tenant.Number, c.Actor, c.drafted(&in.Body)))
	if err == nil {
		out.Location = base + "/reports/" + out.Body.ID
	}
	return out, err
}

func (a *api) getReport(ctx context.Context, c *call, in *byID) (*reportOut, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	return outOfReport(a.Reports.Get(ctx, c.Tenant.Number, in.ID))
}

func (a *api) patchReport(ctx context.Context, c *call, in *patchReportIn) (*reportOut, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	r, err := a.Reports.Change(ctx, c.Tenant.Number, c.Actor, in.ID, c.version, in.Body.apply)
	return outOfReport(r, c.condition(err))
}

func (a *api) deleteReport(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	return nil, a.Reports.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (a *api) runReport(ctx context.Context, c *call, in *runReportIn) (*startedOut, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	var b runReportBody
	if in.Body != nil {
		b = *in.Body
	}
	_, j, err := a.Reports.Start(ctx, c.Tenant.Number, c.Actor, in.ID, orZero(b.From), orZero(b.To))
	return started(j, err)
}

func (a *api) runOnce(ctx context.Context, c *call, in *runOnceIn) (*startedOut, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	b := &in.Body
	r := c.drafted(&reportBody{Name: b.Name, Kind: b.Kind, TimeZone: b.TimeZone, Language: b.Language, Formats: b.Formats, Framework: b.Framework, Profile: b.Profile, ChannelID: b.ChannelID})
	_, j, err := a.Reports.Once(ctx, c.Tenant.Number, c.Actor, r, orZero(b.From), orZero(b.To))
	return started(j, err)
}

func (a *api) listReportRuns(ctx context.Context, c *call, _ *none) (*pageOut[ReportRun], error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	k := asked{page: c.query.number("page"), size: c.query.number("size")}
	list, total, err := a.Reports.Runs(ctx, c.Tenant.Number, report.RunFilter{Report: c.query.one("report"), Kinds: c.query.all("kind"), States: c.query.all("state")}, report.Slice{Page: k.page, Size: k.size})
	if err != nil {
		return nil, err
	}
	return pageOf(k, total, list, reportRunOf), nil
}

func (a *api) getReportRun(ctx context.Context, c *call, in *byID) (*reportRunOut, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	r, err := a.Reports.Made(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &reportRunOut{reportRunOf(r)}, nil
}

func (a *api) reportFile(ctx context.Context, c *call, in *byID) (*streamedFile, error) {
	if a.Reports == nil {
		return nil, errNoReports
	}
	f, r, err := a.Reports.Open(ctx, c.Tenant.Number, in.ID, c.query.one("format"))
	if err != nil {
		return nil, err
	}
	return streamed(f.MediaType, f.Name, f.Bytes, f.SHA256, r), nil
}
