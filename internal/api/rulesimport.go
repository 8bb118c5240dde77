package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/rule"
)

type (
	importIn struct {
		RawBody []byte `contentType:"application/zip"`
	}
	importOut struct {
		Body importReport
	}
	importReport struct {
		Pack      string            `json:"pack"`
		Source    string            `json:"source" doc:"URI of the pack; empty where it is not known."`
		License   string            `json:"license" doc:"Of rules that name none; empty where it is not known."`
		Format    string            `json:"format"`
		DryRun    bool              `json:"dryRun" doc:"Nothing was changed: this is what would happen."`
		Counts    importCounts      `json:"counts"`
		Skipped   []skippedRules    `json:"skipped" nullable:"false"`
		Refused   []refusedRule     `json:"refused" nullable:"false" doc:"What cannot be loaded, and why."`
		Blind     []blindRule       `json:"blind" nullable:"false" doc:"Loaded, and unable to match anything that arrives now."`
		Lists     []wantedList      `json:"lists" nullable:"false" doc:"Value lists that rules wait for."`
		Updated   []importedRule    `json:"updated" nullable:"false"`
		Conflicts []conflictingRule `json:"conflicts" nullable:"false" doc:"Changed both here and where they come from: the text of here stays, unless onConflict says otherwise."`
		Gone      []goneRule        `json:"gone" nullable:"false" doc:"In the pack before, and not any more."`

		_ struct{} `additionalProperties:"true"`
	}
	importCounts struct {
		Files     int `json:"files"`
		Loaded    int `json:"loaded" doc:"The sum of created, updated, unchanged, edited and conflicts."`
		Created   int `json:"created"`
		Updated   int `json:"updated"`
		Unchanged int `json:"unchanged"`
		Edited    int `json:"edited" doc:"Changed here and not where they come from: they stay as they are."`
		Conflicts int `json:"conflicts"`
		Blind     int `json:"blind"`
		Refused   int `json:"refused"`
		Skipped   int `json:"skipped"`
		Gone      int `json:"gone"`

		_ struct{} `additionalProperties:"true"`
	}
	importedRule struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		File string `json:"file"`

		_ struct{} `additionalProperties:"true"`
	}
	refusedRule struct {
		File   string `json:"file"`
		Line   int    `json:"line" doc:"From 1; 0: the whole file."`
		Column int    `json:"column"`
		ID     string `json:"id"`
		Name   string `json:"name"`
		Reason string `json:"reason"`

		_ struct{} `additionalProperties:"true"`
	}
	blindRule struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		File   string `json:"file"`
		Reason string `json:"reason"`

		_ struct{} `additionalProperties:"true"`
	}
	conflictingRule struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		File   string `json:"file"`
		Ours   string `json:"ours" doc:"What was changed here since the last import, as a unified difference; empty where the rule was never imported."`
		Theirs string `json:"theirs" doc:"What was changed where it comes from."`

		_ struct{} `additionalProperties:"true"`
	}
	goneRule struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		File    string `json:"file"`
		Edited  bool   `json:"edited" doc:"Changed here: an import never removes it."`
		Removed bool   `json:"removed"`

		_ struct{} `additionalProperties:"true"`
	}
	skippedRules struct {
		Reason string `json:"reason"`
		Rules  int    `json:"rules"`

		_ struct{} `additionalProperties:"true"`
	}
	wantedList struct {
		Name  string `json:"name"`
		Rules int    `json:"rules" doc:"How many need it."`

		_ struct{} `additionalProperties:"true"`
	}
)

// ImportReport is the answer that the API gives for r, for those who import without
// a server.
func ImportReport(r *content.Report) any { return reportOf(r) }

func reportOf(r *content.Report) importReport {
	out := importReport{
		Pack: r.Pack, Source: r.Source, License: r.License, Format: r.Format, DryRun: r.DryRun,
		Counts: importCounts{
			Files: r.Files, Loaded: r.Loaded, Created: r.Created, Updated: r.Updated, Unchanged: r.Unchanged, Edited: r.Edited,
			Conflicts: r.Conflicting, Blind: len(r.Blind), Refused: len(r.Refused), Gone: len(r.Gone),
		},
		Skipped: []skippedRules{}, Refused: []refusedRule{}, Blind: []blindRule{}, Lists: []wantedList{}, Updated: []importedRule{},
		Conflicts: []conflictingRule{}, Gone: []goneRule{},
	}
	for _, x := range r.Skipped {
		out.Counts.Skipped += x.Count
		out.Skipped = append(out.Skipped, skippedRules{Reason: x.Reason, Rules: x.Count})
	}
	for _, x := range r.Refused {
		out.Refused = append(out.Refused, refusedRule{File: x.File, Line: x.Line, Column: x.Column, ID: x.ID, Name: x.Name, Reason: x.Reason})
	}
	for _, x := range r.Blind {
		out.Blind = append(out.Blind, blindRule{ID: x.ID, Name: x.Name, File: x.File, Reason: x.Reason})
	}
	for _, x := range r.Lists {
		out.Lists = append(out.Lists, wantedList{Name: x.Name, Rules: x.Rules})
	}
	for _, x := range r.Changed {
		out.Updated = append(out.Updated, importedRule{ID: x.ID, Name: x.Name, File: x.File})
	}
	for _, x := range r.Clashes {
		out.Conflicts = append(out.Conflicts, conflictingRule{ID: x.ID, Name: x.Name, File: x.File, Ours: x.Ours, Theirs: x.Theirs})
	}
	for _, x := range r.Gone {
		out.Gone = append(out.Gone, goneRule{ID: x.ID, Name: x.Name, File: x.File, Edited: x.Edited, Removed: x.Removed})
	}
	return out
}

func uploadTypes() []string {
	return []string{"application/zip", "application/x-zip-compressed", "application/gzip", "application/x-gzip", "application/yaml", "application/x-yaml", "text/yaml", "application/octet-stream", "multipart/form-data"}
}

func (a *api) rulePacks() {
	const tag = "Detection rules"
	yes := []string{"true", "false"}
	handle(a, operation{
		id: "importRules", method: http.MethodPost, path: "/siem/rules/import", tag: tag, summary: "Import rules from an archive or a file",
		doc: "The body is a zip, a tar.gz or one YAML file of Sigma rules, raw or as the file of a form; up to 64 MiB. " +
			"Rules of a pack that was imported before are brought up to date: status, severity, exceptions and texts changed here stay.\n\n" +
			"The answer names every rule that was refused, with file, line and column, and every rule that is blind, with what is missing.",
		media: uploadTypes(), upload: content.MaxArchive,
		params: []param{
			{name: "format", doc: "What the rules are written in.", kind: enum, values: content.FormatNames(), standard: "sigma"},
			{name: "pack", doc: "What the pack is called; the name of the file when left out. Importing a pack again is an update of it."},
			{name: "source", doc: "URI that the pack comes from: kept with each rule and shown on its alerts."},
			{name: "license", doc: "Licence of rules that name none, such as DRL-1.1; that of the archive's licence file when left out."},
			{name: "status", doc: "Status of new rules.", kind: enum, values: asTexts(rule.Statuses), standard: string(rule.On)},
			{name: "staged", doc: "With status DRAFT: new rules run and raise nothing.", kind: enum, values: yes, standard: "false"},
			{name: "minLevel", doc: "Leave out rules of lower levels.", kind: enum, values: []string{"informational", "low", "medium", "high", "critical"}},
			{name: "onConflict", doc: "For rules changed both here and there: whose text holds. Left out, it is the text of here, and the conflict is told each time.", kind: enum, values: []string{string(rule.Ours), string(rule.Theirs)}},
			{name: "prune", doc: "Remove rules that the pack has no more and that were not changed here.", kind: enum, values: yes, standard: "false"},
			{name: "dryRun", doc: "Tell what would happen and change nothing.", kind: enum, values: yes, standard: "false"},
		},
	}, a.importRules)
	handle(a, operation{
		id: "exportRules", method: http.MethodGet, path: "/siem/rules/export", tag: tag, summary: "Export your own and imported rules as an archive",
		doc: "A zip of YAML files with a notice that names author, origin and licence of each, as licences of rules ask for.",
		params: []param{
			{name: "format", doc: "Of the archive.", kind: enum, values: []string{"zip"}, standard: "zip"},
			{name: "pack", doc: "Only rules of this pack."},
		},
	}, a.exportRules)
}

func (a *api) importRules(ctx context.Context, c *call, in *importIn) (*importOut, error) {
	name, data, p := uploaded(c.media, in.RawBody, "a zip, a tar.gz or a YAML file of rules")
	if p != nil {
		return nil, p
	}
	q := c.query
	format, err := content.FormatOf(q.one("format"))
	if err != nil {
		return nil, err
	}
	tree, err := content.Unpack(name, data, format)
	if err != nil {
		return nil, err
	}
	report, err := a.importer.Import(ctx, c.Tenant.Number, c.Actor, tree, format, content.Options{
		Pack: q.one("pack"), Source: q.one("source"), License: q.one("license"),
		Status: rule.Status(q.one("status")), Staged: q.one("staged") == "true", MinLevel: q.one("minLevel"), OnConflict: rule.Resolution(q.one("onConflict")),
		Prune: q.one("prune") == "true", DryRun: q.one("dryRun") == "true",
	})
	if err != nil {
		return nil, err
	}
	return &importOut{reportOf(report)}, nil
}

// uploaded finds the file in a body: the first one of a form, or the body itself. what
// says what is expected.
func uploaded(contentType string, body []byte, what string) (name string, data []byte, p *problem) {
	media, args, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" {
		if len(body) == 0 {
			return "", nil, badRequest("Missing body", "Send "+what)
		}
		return "", body, nil
	}
	for parts := multipart.NewReader(bytes.NewReader(body), args["boundary"]); ; {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return "", nil, badRequest("Missing file", "Send "+what+" as the file of the form")
		}
		if err == nil && part.FileName() == "" {
			continue
		}
		if err == nil {
			data, err = io.ReadAll(part)
		}
		if err != nil {
			return "", nil, badRequest("Invalid body", "The form cannot be read")
		}
		return part.FileName(), data, nil
	}
}

type exportOut struct {
	Type string `header:"Content-Type"`
	Name string `header:"Content-Disposition"`
	Body []byte
}

func (a *api) exportRules(ctx context.Context, c *call, _ *none) (*exportOut, error) {
	rules, err := a.Rules.Packed(ctx, c.Tenant.Number, c.query.one("pack"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := content.WriteZip(&b, rules); err != nil {
		return nil, err
	}
	name := `attachment; filename="kyra-rules-` + a.Now().UTC().Format(time.DateOnly) + `.zip"`
	return &exportOut{Type: "application/zip", Name: name, Body: b.Bytes()}, nil
}
