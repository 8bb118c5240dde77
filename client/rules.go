package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
)

// A Rule is an item of the rule list.
type Rule struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Severity string `json:"severity"`
	Status   string `json:"status"` // ACTIVE, INACTIVE, DRAFT
	Type     string `json:"type"`
	Source   string `json:"source"`
	Version  int64  `json:"version"`
	Builtin  bool   `json:"builtin"`

	Health       string `json:"health"` // failing, blind, noisy, neverFired, ok
	HealthReason string `json:"healthReason"`
}

// Rules lists detection rules. filter holds the API's parameters.
func (c *Client) Rules(ctx context.Context, filter url.Values) (*Page[Rule], error) {
	return list[Rule](ctx, c, "/siem/rules", filter)
}

// An ImportReport tells what an import of rules did, or would do.
type ImportReport struct {
	Pack    string       `json:"pack"`
	Source  string       `json:"source"`
	License string       `json:"license"`
	Format  string       `json:"format"`
	DryRun  bool         `json:"dryRun"`
	Counts  ImportCounts `json:"counts"`

	Skipped []struct {
		Reason string `json:"reason"`
		Rules  int    `json:"rules"`
	} `json:"skipped"`
	Refused []RefusedRule `json:"refused"`
	Blind   []struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		File   string `json:"file"`
		Reason string `json:"reason"`
	} `json:"blind"`
	Lists []struct {
		Name  string `json:"name"`
		Rules int    `json:"rules"`
	} `json:"lists"`
	Updated []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		File string `json:"file"`
	} `json:"updated"`
	Conflicts []struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		File   string `json:"file"`
		Ours   string `json:"ours"`
		Theirs string `json:"theirs"`
	} `json:"conflicts"`
	Gone []struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		File    string `json:"file"`
		Edited  bool   `json:"edited"`
		Removed bool   `json:"removed"`
	} `json:"gone"`
}

// A RefusedRule could not be loaded.
type RefusedRule struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // from 1; 0: the whole file
	Column int    `json:"column"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// A BlindRule was loaded and cannot match anything that arrives.
type BlindRule struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// ImportCounts sums up an ImportReport.
type ImportCounts struct {
	Files     int `json:"files"`
	Loaded    int `json:"loaded"` // the sum of the five that follow
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Edited    int `json:"edited"`
	Conflicts int `json:"conflicts"`
	Blind     int `json:"blind"`
	Refused   int `json:"refused"`
	Skipped   int `json:"skipped"`
	Gone      int `json:"gone"`
}

// ImportRules imports a zip, a tar.gz or one YAML file of rules. Its name names the
// pack, unless options do: they hold the API's parameters pack, source, license,
// status, minLevel, dryRun and others.
func (c *Client) ImportRules(ctx context.Context, name string, archive []byte, options url.Values) (*ImportReport, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(archive)
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, fmt.Errorf("import rules: %w", err)
	}
	var report ImportReport
	err = c.call(ctx, request{
		method: http.MethodPost, path: "/siem/rules/import", query: options, body: body.Bytes(), contentType: form.FormDataContentType(),
	}, &report)
	if err != nil {
		return nil, fmt.Errorf("import rules: %w", err)
	}
	return &report, nil
}

// ExportRules writes a zip of the rules that were written or imported, those of one
// pack if it is given.
func (c *Client) ExportRules(ctx context.Context, w io.Writer, pack string) error {
	query := url.Values{}
	if pack != "" {
		query.Set("pack", pack)
	}
	var archive []byte
	if err := c.call(ctx, request{method: http.MethodGet, path: "/siem/rules/export", query: query}, &archive); err != nil {
		return fmt.Errorf("export rules: %w", err)
	}
	_, err := w.Write(archive)
	return err
}
