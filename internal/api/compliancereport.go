package api

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/report"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

type complianceReportIn struct {
	Framework   string   `path:"framework" doc:"ISMSP, ISO27001, SOC2, PCIDSS, TISAX, CMMC, GDPR, CCPA, NISTCSF, in any case and spelling (isms-p, iso-27001); with another edition: TISAX@6.0." example:"ISMSP"`
	Accept      string   `header:"Accept" doc:"text/html answers the accessible HTML page instead of the PDF."`
	IfNoneMatch []string `header:"If-None-Match" doc:"An ETag: 304 while the state is the same."`
}

func (a *api) complianceReport() {
	handle(a, operation{
		id: "getReport", method: http.MethodGet, path: "/compliance/{framework}/report", tag: complianceTag, summary: "Export PDF report",
		doc: "How the controls stand within the monitored scope, with gaps first, every control, evidence with hashes, exceptions, attestations, incidents and a sign-off page. It is no certificate. " +
			"The ETag is the hash of the state: the same state gives the same bytes.",
		params: []param{
			profileParam,
			{name: "lang", doc: "By default the first of Accept-Language that there is; ISMS-P is Korean where nothing is asked for.", kind: enum, values: []string{"en", "ko"}},
			{name: "from", doc: "Begin of history, incidents and exceptions; by default a year before to.", kind: moment},
			{name: "to", doc: "Their end; by default the last change of the state.", kind: moment},
			{name: "format", doc: "By default as Accept says, else pdf.", kind: enum, values: []string{"pdf", "html"}},
			{name: "timeZone", doc: "IANA name, such as Asia/Seoul; by default UTC, of ISMSP Asia/Seoul."},
		},
		answers: []string{"application/pdf", "text/html"},
	}, a.getComplianceReport)
}

// getComplianceReport composes the report, and sets it only for a caller who has not got it.
func (a *api) getComplianceReport(ctx context.Context, c *call, in *complianceReportIn) (*streamedFile, error) {
	if a.Reports == nil {
		return nil, fault.New(fault.Unavailable, "this server makes no reports")
	}
	f, err := a.Compliance.Find(ctx, c.Tenant.Number, in.Framework)
	if err != nil {
		return nil, err
	}
	korean := f.ID == "ISMSP"
	zone := c.query.one("timeZone")
	if zone == "" && korean {
		zone = "Asia/Seoul"
	}
	wish := report.Wish{Profile: compliance.Profile(c.query.one("profile")), From: c.query.moment("from"), To: c.query.moment("to"), Zone: time.UTC}
	if zone != "" {
		if wish.Zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			return nil, fault.New(fault.Invalid, "Allowed: the IANA name of a time zone, such as Asia/Seoul").In("timeZone")
		}
	}
	m, err := a.Reports.Builder.Model(ctx, c.Tenant.Number, f, wish, a.Now())
	if err != nil {
		return nil, err
	}
	lang := report.Language(c.language())
	if korean && c.query.one("lang") == "" && c.languages == "" {
		lang = report.Korean
	}
	doc, id, err := report.Compose(m, lang)
	if err != nil {
		return nil, err
	}
	form, media, set := "pdf", "application/pdf", paper.PDF
	if c.query.one("format") == "html" || c.query.one("format") == "" && prefersHTML(in.Accept) {
		form, media, set = "html", "text/html; charset=utf-8", paper.HTML
	}
	tag := `"` + id[:32] + "-" + form + `"`
	var b bytes.Buffer
	same := matches(in.IfNoneMatch, tag, func(given string) bool { return strings.TrimPrefix(given, "W/") == tag })
	if !same {
		if err := set(&b, doc); err != nil {
			return nil, err
		}
	}
	return &streamedFile{Body: func(out huma.Context) {
		out.SetHeader("ETag", tag)
		out.SetHeader("Cache-Control", "private, no-cache")
		out.SetHeader("Vary", "Accept, Accept-Language")
		if same {
			out.SetStatus(http.StatusNotModified)
			return
		}
		disposition := "attachment"
		if form == "html" {
			disposition = "inline"
			// The page brings its own style; nothing else may run or be fetched.
			out.SetHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		}
		out.SetHeader("Content-Type", media)
		out.SetHeader("Content-Language", string(lang))
		out.SetHeader("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": m.FileName(form)}))
		out.SetHeader("Content-Length", strconv.Itoa(b.Len()))
		out.SetStatus(http.StatusOK)
		_, _ = out.BodyWriter().Write(b.Bytes()) // the caller may have left
	}}, nil
}

// prefersHTML tells whether an Accept header names HTML and no PDF.
func prefersHTML(accept string) bool {
	var named []string
	for part := range strings.SplitSeq(accept, ",") {
		media, args, err := mime.ParseMediaType(part)
		if q := args["q"]; err == nil && q != "0" && q != "0.0" {
			named = append(named, media)
		}
	}
	return slices.Contains(named, "text/html") && !slices.Contains(named, "application/pdf")
}
