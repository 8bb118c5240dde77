package ruletest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Suite is the rules of a folder and of those below it, with their logs.
type Suite struct {
	Tests    []*Test
	Untested []string      // rule files without logs
	Problems []Problem     // files that cannot be used
	rules    []detect.Rule // of all files
	files    []string      // in which each of them is
}

// A Problem is a file that cannot be used.
type Problem struct {
	File    string `json:"file"`
	Message string `json:"message"`
}

// A Report is the outcome of a Suite.
type Report struct {
	Rules    int       `json:"rules"` // rule files
	Logs     int       `json:"logs"`
	Failures []Failure `json:"failures"`
	Untested []string  `json:"untested"`
	Problems []Problem `json:"problems"`
}

// A Failure is a log that is not as it should be.
type Failure struct {
	File    string   `json:"file"` // the file of logs
	Section string   `json:"section"`
	Rule    string   `json:"rule"` // its id
	Title   string   `json:"title"`
	Message string   `json:"message"`
	Why     []string `json:"why"`
	Instead []string `json:"instead"` // titles of other rules of the folder that the log raises
}

// Open reads all rule files (*.yml, *.yaml) of fsys for which wanted holds; nil
// wants all. A correlation may count rules of other files.
func Open(fsys fs.FS, wanted func(name string) bool) (*Suite, error) {
	s := &Suite{}
	type file struct {
		name string
		docs []*sigma.Document
	}
	var files []file
	byName := map[string]*sigma.Document{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yml" && path.Ext(name) != ".yaml" {
			return err
		}
		use := wanted == nil || wanted(name)
		docs, err := readRules(fsys, name)
		if err != nil {
			if use {
				s.Problems = append(s.Problems, Problem{name, strings.TrimPrefix(err.Error(), name+": ")})
			}
			return nil
		}
		for _, d := range docs {
			byName[d.ID], byName[d.Name] = d, d
			s.rules = append(s.rules, detect.Rule{Document: d, Version: 1})
			s.files = append(s.files, name)
		}
		if use {
			files = append(files, file{name, docs})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	delete(byName, "")
	for _, f := range files {
		t, err := load(fsys, f.name, f.docs)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.Untested = append(s.Untested, f.name)
		case err != nil:
			s.Problems = append(s.Problems, Problem{f.name, err.Error()})
		default:
			t.borrow(byName)
			s.Tests = append(s.Tests, t)
		}
	}
	return s, nil
}

// borrow adds the rules of other files that t's correlations count.
func (t *Test) borrow(byName map[string]*sigma.Document) {
	for i := 0; i < len(t.Rules); i++ {
		k := t.Rules[i].Document.Correlation
		if k == nil {
			continue
		}
		for _, name := range k.Rules {
			d := byName[name]
			if d != nil && !slices.ContainsFunc(t.Rules, func(r detect.Rule) bool { return r.Document == d }) {
				t.Rules = append(t.Rules, detect.Rule{Document: d, Version: 1})
			}
		}
	}
}

// Run runs all tests.
func (s *Suite) Run(ctx context.Context) (*Report, error) {
	r := &Report{
		Rules: len(s.Tests) + len(s.Untested) + len(s.Problems), Failures: []Failure{},
		Untested: append([]string{}, s.Untested...), Problems: append([]Problem{}, s.Problems...),
	}
	whole, problems := detect.Compile(s.rules)
	for _, p := range problems {
		// A rule with logs tells its problem when they are run.
		if file := s.files[p.Index]; slices.Contains(s.Untested, file) {
			r.Problems = append(r.Problems, Problem{file, p.Message})
		}
	}
	for _, t := range s.Tests {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("run tests of rules: %w", err)
		}
		results, err := t.Run()
		if err != nil {
			r.Problems = append(r.Problems, Problem{t.Path, strings.TrimPrefix(err.Error(), t.Path+": ")})
			continue
		}
		for _, x := range results {
			r.Logs++
			if x.Failure == "" {
				continue
			}
			r.Failures = append(r.Failures, Failure{
				File: logsPath(t.Path), Section: x.Name, Rule: t.Rule.ID, Title: t.Rule.Title, Message: x.Failure,
				Why: append([]string{}, x.Why...), Instead: t.instead(whole, x.Log),
			})
		}
	}
	return r, nil
}

// instead lists the other rules of the folder that a log raises.
func (t *Test) instead(whole *detect.Ruleset, l Log) []string {
	out := []string{}
	_, _, findings := replay(whole, l)
	for i := range findings {
		if title := findings[i].Title; title != t.Rule.Title && !slices.Contains(out, title) {
			out = append(out, title)
		}
	}
	return out
}
