package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/rules"
)

// newRules returns the catalogue with the built-in rules of this version in it.
func newRules(ctx context.Context, db *sqldb.DB, log *slog.Logger) (*rule.Service, error) {
	service := rule.New(db, checkRule)
	var builtin []rule.Builtin
	err := fs.WalkDir(rules.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(rules.FS, path)
		if err != nil {
			return err
		}
		meta, err := checkRule(text)
		if err != nil {
			return fmt.Errorf("built-in rule %s: %w", path, err)
		}
		builtin = append(builtin, rule.Builtin{Meta: meta, YAML: string(text)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	changed, err := service.Sync(ctx, builtin)
	if err != nil {
		return nil, err
	}
	if changed > 0 {
		log.InfoContext(ctx, "built-in rules are up to date", "rules", len(builtin), "changed", changed)
	}
	return service, nil
}

// checkRule reads the YAML of one rule: a detection rule, or a correlation with
// the rules that it counts, as far as they stand in the same text. What is wrong is a
// fault with line and column. A rule that needs a list which is not there yet is good:
// it is blind until then.
func checkRule(text []byte) (rule.Meta, error) {
	docs, err := sigma.Parse(text)
	if e, ok := errors.AsType[*sigma.Error](err); ok {
		return rule.Meta{}, fault.New(fault.Invalid, "line %d, column %d: %s", e.Line, e.Column, e.Message).In("yaml")
	}
	if err != nil {
		return rule.Meta{}, fault.New(fault.Invalid, "%s", err.Error()).In("yaml")
	}
	list := make([]detect.Rule, len(docs))
	for i, d := range docs {
		list[i] = detect.Rule{Document: d, Version: 1}
	}
	d := mainDocument(docs)
	_, problems := detect.Compile(list)
	for _, p := range problems {
		if p.Kind == detect.NeedsList || p.Kind == detect.Unresolved && (d.Filter != nil || len(rule.Referred(docs)) > 0) {
			continue
		}
		return rule.Meta{}, fault.New(fault.Invalid, "rule %s: %s", p.Rule, p.Message).In("yaml")
	}
	kind := "detection"
	if d.Correlation != nil {
		kind = "correlation"
	}
	return rule.Meta{
		ID: d.ID, Name: d.Title, Description: d.Description, Author: d.Author, Severity: d.Severity(), Type: kind,
		Source: sourceOf(d, docs), Tactics: d.Tactics(), Techniques: d.Techniques(), License: d.License,
	}, nil
}

// mainDocument is what the rule is called after.
func mainDocument(docs []*sigma.Document) *sigma.Document {
	for _, d := range docs {
		if d.Correlation != nil {
			return d
		}
	}
	return docs[0]
}

// sourceOf tells which product a rule looks at, as far as it says so.
func sourceOf(d *sigma.Document, docs []*sigma.Document) string {
	if d.Kyra.Source != "" {
		return d.Kyra.Source
	}
	for _, d := range docs {
		for _, name := range []string{d.LogSource.Service, d.LogSource.Product, d.LogSource.Category} {
			if name != "" {
				return name
			}
		}
	}
	return ""
}
