package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
)

// openEvidence gives c a service that lists what others kept, where it has none.
func (c *Config) openEvidence() {
	if c.Evidence == nil {
		c.Evidence = evidence.New(evidence.Config{DB: c.DB, Compliance: c.Compliance, Signer: c.Signer, Log: c.Log, Now: c.Now})
	}
}

// ComplianceEvidence is what a check found or a person handed in.
type ComplianceEvidence struct {
	ID           string                        `json:"id" format:"uuid"`
	Seq          int64                         `json:"seq" doc:"Place in your chain, from 1, without gaps."`
	Kind         string                        `json:"kind" enum:"automatic,manual"`
	Title        string                        `json:"title" doc:"Of the check, or as a person called it."`
	CheckID      *string                       `json:"checkId" nullable:"true" example:"mfa-all"`
	CheckVersion *int                          `json:"checkVersion" nullable:"true"`
	Variant      *string                       `json:"variant" nullable:"true" doc:"The check with the parameters that controls ask for beside its own."`
	Result       *string                       `json:"result" nullable:"true" enum:"pass,partial,fail,noData"`
	Value        *float64                      `json:"value" nullable:"true"`
	Unit         *string                       `json:"unit" nullable:"true"`
	Threshold    *string                       `json:"threshold" nullable:"true"`
	Reason       *string                       `json:"reason" nullable:"true" doc:"What was found, and unless it passes what to do."`
	Method       *string                       `json:"method" nullable:"true" doc:"The query itself, with its parameters."`
	Resources    []string                      `json:"resources" nullable:"false" doc:"What it was asked of."`
	Population   *complianceEvidencePopulation `json:"population,omitempty" doc:"Absent of what a person handed in."`
	PeriodFrom   time.Time                     `json:"periodFrom"`
	PeriodTo     time.Time                     `json:"periodTo"`
	EffectiveAt  time.Time                     `json:"effectiveAt" doc:"The time for which it holds; from and to look at it."`
	CollectedAt  time.Time                     `json:"collectedAt" doc:"When it was gathered or handed in."`
	ValidUntil   *time.Time                    `json:"validUntil" nullable:"true" doc:"null: for ever."`
	Stale        bool                          `json:"stale" doc:"It counts no more: too old, or superseded."`
	Collector    complianceEvidenceCollector   `json:"collector"`
	Artifact     *complianceEvidenceArtifact   `json:"artifact,omitempty" doc:"Its file, absent where there is none; GET /compliance/evidence/{id}/artifact."`
	Redactions   []string                      `json:"redactions" nullable:"false" doc:"Where secrets were taken out before hashing."`
	Refs         []complianceEvidenceControl   `json:"frameworkRefs" nullable:"false" doc:"The controls that it serves, of every framework."`
	HandedInBy   *string                       `json:"handedInBy" nullable:"true"`
	Note         string                        `json:"note"`
	Supersedes   *string                       `json:"supersedes" nullable:"true"`
	SupersededBy *string                       `json:"supersededBy" nullable:"true"`
	ContentHash  string                        `json:"contentHash" doc:"SHA-256 of the record as canonical JSON (RFC 8785), hexadecimal."`
	PrevHash     string                        `json:"prevHash" doc:"hash of the record before; empty for the first."`
	Hash         string                        `json:"hash" doc:"SHA-256 of prevHash and contentHash, 32 bytes each."`
	AuditSeq     int64                         `json:"auditSeq" doc:"Number of the entry of the audit log that names it."`

	_ struct{} `additionalProperties:"true"`
}

type complianceEvidencePopulation struct {
	Definition string `json:"definition"`
	Size       int64  `json:"size"`
	SampleSize int64  `json:"sampleSize"`

	_ struct{} `additionalProperties:"true"`
}

type complianceEvidenceCollector struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Host    string `json:"host"`

	_ struct{} `additionalProperties:"true"`
}

type complianceEvidenceArtifact struct {
	Name      *string `json:"name" nullable:"true"`
	MediaType string  `json:"mediaType"`
	Bytes     int64   `json:"bytes"`
	SHA256    string  `json:"sha256"`

	_ struct{} `additionalProperties:"true"`
}

type complianceEvidenceControl struct {
	Framework string `json:"framework" example:"ISMSP"`
	Control   string `json:"control" example:"2.9.4"`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) complianceEvidenceOf(k *evidence.Kept, refs *evidence.Refs, lang string) ComplianceEvidence {
	out := ComplianceEvidence{
		ID: k.ID, Seq: k.Seq, Kind: string(k.Kind), Title: k.Title, CheckID: orNull(k.CheckID), Variant: orNull(k.Variant), Result: orNull(string(k.Result)), Value: k.Value, Unit: orNull(k.Unit),
		Threshold: orNull(k.Threshold), Reason: orNull(k.Reason), Method: orNull(k.Method), Resources: append([]string{}, k.Resources...), PeriodFrom: k.PeriodFrom, PeriodTo: k.PeriodTo,
		EffectiveAt: k.EffectiveAt, CollectedAt: k.CollectedAt, ValidUntil: k.ValidUntil, Stale: k.Stale(a.Now()),
		Collector:  complianceEvidenceCollector{Service: k.Collector.Service, Version: k.Collector.Version, Host: k.Collector.Host},
		Redactions: append([]string{}, k.Redactions...), Refs: []complianceEvidenceControl{}, HandedInBy: orNull(k.HandedInBy), Note: k.Note, Supersedes: orNull(k.Supersedes), SupersededBy: orNull(k.SupersededBy),
		ContentHash: hex.EncodeToString(k.Content), PrevHash: hex.EncodeToString(k.PrevHash), Hash: hex.EncodeToString(k.Hash), AuditSeq: k.AuditSeq,
	}
	if k.Wording != nil {
		out.Reason = orNull(k.Wording.In(lang))
	}
	if k.Kind == evidence.Automatic {
		out.CheckVersion = &k.CheckVersion
		if check := a.Compliance.Catalogue.Check(k.CheckID); check != nil {
			out.Title = inLanguage(lang, check.Title, check.TitleKo)
		}
	}
	if p := k.Population; p != nil {
		out.Population = &complianceEvidencePopulation{Definition: p.Definition, Size: p.Size, SampleSize: p.SampleSize}
	}
	if f := k.Artifact; f != nil {
		out.Artifact = &complianceEvidenceArtifact{Name: orNull(f.Name), MediaType: f.MediaType, Bytes: f.Bytes, SHA256: f.SHA256}
	}
	for _, c := range refs.Of(&k.Record) {
		out.Refs = append(out.Refs, complianceEvidenceControl{Framework: c.Framework, Control: c.Control})
	}
	return out
}

const evidenceTag = "Evidence"

type (
	complianceEvidenceOut struct {
		Location string `header:"Location"`
		Body     ComplianceEvidence
	}
	evidenceCheckOut struct {
		Body struct {
			Intact    bool           `json:"intact"`
			Records   int64          `json:"records" doc:"That were looked at."`
			Flaws     []evidenceFlaw `json:"flaws" nullable:"false" doc:"What is not as it was kept; at most 100."`
			CheckedAt time.Time      `json:"checkedAt"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	evidenceFlaw struct {
		ID   *string `json:"id" nullable:"true"`
		Seq  int64   `json:"seq"`
		What string  `json:"what"`

		_ struct{} `additionalProperties:"true"`
	}
	uploadEvidenceIn struct {
		RawBody []byte `contentType:"application/octet-stream"`
	}
)

func (a *api) evidence() {
	handle(a, operation{
		id: "listEvidence", method: http.MethodGet, path: "/compliance/evidence", tag: evidenceTag, summary: "List evidence",
		doc:    "What checks found, failing results too, and what people handed in. Evidence is never changed or removed.",
		params: append(append(paging("effectiveAt"), languageParam), evidenceFilters()...),
	}, a.listEvidence)
	handle(a, operation{
		id: "uploadEvidence", method: http.MethodPost, path: "/compliance/evidence", tag: evidenceTag, summary: "Hand in evidence", status: http.StatusCreated,
		doc: "The body is the file, raw with its Content-Type or as the file of a form; up to 32 MiB. Its content must be what it is said to be. Attestations may name it. " +
			"Allowed: PDF, PNG, JPEG, WebP, GIF, text, CSV, Markdown, JSON, Word, Excel, PowerPoint, ZIP, mail.",
		media: append([]string{"application/octet-stream", "multipart/form-data"}, evidence.MediaTypes...), upload: evidence.MaxFile,
		params: []param{
			{name: "controls", doc: "What it shows something of, as framework/control: ISMSP/2.9.4; 1 to 100.", many: true},
			{name: "name", doc: "File name; that of the form's file when left out."},
			{name: "title", doc: "Up to 200 characters; the file's name when left out."},
			{name: "note", doc: "What it shows."},
			{name: "effectiveAt", doc: "The time for which it holds, which may be before today; now when left out.", kind: moment},
			{name: "periodFrom", doc: "Begin of the period that it covers.", kind: moment},
			{name: "periodTo", doc: "End of that period; effectiveAt when left out.", kind: moment},
			{name: "validUntil", doc: "When it stops to count; never when left out.", kind: moment},
			{name: "supersedes", doc: "Id of evidence handed in before whose place it takes. Both are kept."},
		},
	}, a.uploadEvidence)
	handle(a, operation{
		id: "verifyEvidence", method: http.MethodGet, path: "/compliance/evidence/verify", tag: evidenceTag, summary: "Verify all evidence",
		doc: "Computes every hash again, follows the chain and looks at every file.",
	}, func(ctx context.Context, c *call, _ *none) (*evidenceCheckOut, error) {
		n, flaws, err := a.Evidence.CheckAll(ctx, c.Tenant.Number)
		return a.checkedEvidence(n, flaws, err)
	})
	handle(a, operation{
		id: "exportEvidenceBundle", method: http.MethodGet, path: "/compliance/evidence/bundle", tag: evidenceTag, summary: "Download evidence with its proof",
		doc: "A zip with the records, their files, the chain up to the signed head of the audit log, the signed table of contents and a note for people. `kyra verify FILE` checks it without a server. " +
			"The same evidence gives the same bytes. At most 50,000 records. The audit log notes the export.",
		params: bundleParams(),
	}, a.exportBundle)
	handle(a, operation{
		id: "getEvidence", method: http.MethodGet, path: "/compliance/evidence/{id}", tag: evidenceTag, summary: "Get evidence", uuid: true, single: true, params: []param{languageParam},
	}, func(ctx context.Context, c *call, in *byID) (*complianceEvidenceOut, error) {
		k, err := a.Evidence.Get(ctx, c.Tenant.Number, in.ID)
		if err != nil {
			return nil, err
		}
		refs, err := a.Evidence.Refs(ctx, c.Tenant.Number)
		if err != nil {
			return nil, err
		}
		return &complianceEvidenceOut{Body: a.complianceEvidenceOf(k, refs, c.reading())}, nil
	})
	handle(a, operation{
		id: "getEvidenceArtifact", method: http.MethodGet, path: "/compliance/evidence/{id}/artifact", tag: evidenceTag, summary: "Download the file of evidence", uuid: true,
		doc: "A file that is not what was kept ends the connection before its last byte.",
	}, a.evidenceArtifact)
	handle(a, operation{
		id: "verifyEvidenceItem", method: http.MethodGet, path: "/compliance/evidence/{id}/verify", tag: evidenceTag, summary: "Verify one item of evidence", uuid: true,
		doc: "Its hash, its file, and its place in the chain up to the entry of the audit log that names it.",
	}, func(ctx context.Context, c *call, in *byID) (*evidenceCheckOut, error) {
		flaws, err := a.Evidence.Check(ctx, c.Tenant.Number, in.ID)
		return a.checkedEvidence(1, flaws, err)
	})
}

func evidenceFilters() []param {
	return []param{
		{name: "check", doc: "Filter by check."},
		{name: "framework", doc: "That serves a control of the framework."},
		{name: "control", doc: "That serves the control of that id."},
		{name: "result", doc: "Filter by what was found.", kind: enum, values: asTexts(compliance.Outcomes)},
		{name: "kind", doc: "Filter by where it comes from.", kind: enum, values: asTexts(evidence.Kinds)},
		{name: "from", doc: "Effective then or later.", kind: moment},
		{name: "to", doc: "Effective before then.", kind: moment},
	}
}

func bundleParams() []param {
	return []param{
		{name: "framework", doc: "That serves a control of the framework; all when left out."},
		{name: "from", doc: "Effective then or later.", kind: moment},
		{name: "to", doc: "Effective before then.", kind: moment},
	}
}

func (a *api) listEvidence(ctx context.Context, c *call, _ *none) (*pageOut[ComplianceEvidence], error) {
	asked, q := c.query.paging("effectiveAt"), c.query
	list, total, err := a.Evidence.List(ctx, c.Tenant.Number, evidence.Filter{
		Check: q.one("check"), Kind: evidence.Kind(q.one("kind")), Result: q.one("result"), Framework: q.one("framework"), Control: q.one("control"),
		From: q.moment("from"), To: q.moment("to"), Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	refs, err := a.Evidence.Refs(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, func(k *evidence.Kept) ComplianceEvidence { return a.complianceEvidenceOf(k, refs, c.reading()) }), nil
}

func (a *api) checkedEvidence(records int64, flaws []evidence.Flaw, err error) (*evidenceCheckOut, error) {
	if err != nil {
		return nil, err
	}
	out := &evidenceCheckOut{}
	b := &out.Body
	b.Intact, b.Records, b.Flaws, b.CheckedAt = len(flaws) == 0, records, []evidenceFlaw{}, a.Now().UTC()
	for _, f := range flaws {
		b.Flaws = append(b.Flaws, evidenceFlaw{ID: orNull(f.ID), Seq: f.Seq, What: f.What})
	}
	return out, nil
}

func (a *api) exportBundle(ctx context.Context, c *call, _ *none) (*streamedFile, error) {
	sel := evidence.Selection{Framework: c.query.one("framework"), From: c.query.moment("from"), To: c.query.moment("to")}
	write, err := a.Evidence.Bundle(ctx, c.Tenant.Number, c.Actor, sel)
	if err != nil {
		return nil, err
	}
	if f := a.Compliance.Catalogue.Find(sel.Framework); f != nil {
		sel.Framework = f.ID
	}
	return &streamedFile{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "application/zip")
		out.SetHeader("Content-Disposition", `attachment; filename="`+sel.Name()+`"`)
		out.SetStatus(http.StatusOK)
		if err := write(out.BodyWriter()); err != nil {
			a.log.WarnContext(ctx, "a bundle of evidence was not written to its end", "err", err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// complianceEvidenceArtifact lets no browser show a file: people hand in what others made.
func (a *api) evidenceArtifact(ctx context.Context, c *call, in *byID) (*streamedFile, error) {
	k, r, err := a.Evidence.Open(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	name := k.Artifact.Name
	if name == "" {
		name = k.CheckID + "-" + k.CollectedAt.Format("20060102T150405Z") + ".json"
	}
	return streamed(k.Artifact.MediaType, name, k.Artifact.Bytes, k.Artifact.SHA256, r), nil
}
