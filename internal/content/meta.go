package content

import (
	"errors"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Meta returns what the catalogue must know of a rule's text, which is not empty.
func Meta(docs []*sigma.Document) rule.Meta {
	d := sigma.Main(docs)
	m := rule.Meta{
		ID: d.ID, Name: d.Title, Description: d.Description, Author: d.Author, License: spdx(d.License), Severity: d.Severity(), Type: "detection",
		Source: sourceOf(d, docs), Tactics: d.Tactics(), Techniques: d.Techniques(),
	}
	switch {
	case d.Correlation != nil:
		m.Type = "correlation"
	case d.Filter != nil:
		m.Type = "filter"
	}
	return m
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

// Check reads the text of one rule for the catalogue. What is wrong is a fault with
// line and column. Lists that it needs and rules that it counts may come later.
func Check(text []byte) (rule.Meta, error) {
	docs, err := sigma.Parse(text)
	if e, ok := errors.AsType[*sigma.Error](err); ok {
		return rule.Meta{}, fault.New(fault.Invalid, "%s", e.Error()).In("yaml")
	}
	if err != nil {
		return rule.Meta{}, fault.New(fault.Invalid, "%s", err.Error()).In("yaml")
	}
	if reason := cannotRun(docs, nil); reason != "" {
		return rule.Meta{}, fault.New(fault.Invalid, "%s", reason).In("yaml")
	}
	return Meta(docs), nil
}
