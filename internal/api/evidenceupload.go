package api

import (
	"bytes"
	"context"
	"mime"
	"mime/multipart"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/fault"
)

func (a *api) uploadEvidence(ctx context.Context, c *call, in *uploadEvidenceIn) (*complianceEvidenceOut, error) {
	name, content, p := uploaded(c.media, in.RawBody, "the file")
	if p != nil {
		return nil, p
	}
	q := c.query
	d := evidence.Draft{
		Name: name, MediaType: typeOfPart(c.media, in.RawBody), Content: content, Title: q.one("title"), Note: q.one("note"), Supersedes: q.one("supersedes"),
		EffectiveAt: q.moment("effectiveAt"), PeriodFrom: q.moment("periodFrom"), PeriodTo: q.moment("periodTo"),
	}
	if asked := q.one("name"); asked != "" {
		d.Name = asked
	}
	if until := q.moment("validUntil"); !until.IsZero() {
		d.ValidUntil = new(until.Truncate(time.Microsecond))
	}
	for _, text := range q.all("controls") {
		framework, control, ok := strings.Cut(text, "/")
		if !ok {
			return nil, fault.New(fault.Invalid, "Allowed: framework/control, such as ISMSP/2.9.4").In("controls")
		}
		d.Controls = append(d.Controls, evidence.Control{Framework: framework, Control: control})
	}
	k, err := a.Evidence.Upload(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	refs, err := a.Evidence.Refs(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	return &complianceEvidenceOut{Location: base + "/compliance/evidence/" + k.ID, Body: a.complianceEvidenceOf(k, refs, c.reading())}, nil
}

// typeOfPart is what a file is said to be: by the header, or by its part of a form.
func typeOfPart(contentType string, body []byte) string {
	media, args, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" {
		return contentType
	}
	for parts := multipart.NewReader(bytes.NewReader(body), args["boundary"]); ; {
		part, err := parts.NextPart()
		if err != nil {
			return ""
		}
		if part.FileName() != "" {
			return part.Header.Get("Content-Type")
		}
	}
}
