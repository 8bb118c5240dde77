// Package hunt runs rules over log files, offline: it reads files of every kind on
// all cores, orders what matched by event time so that correlations see one stream
// over all files, and gives findings with the places that they rest on. It never
// writes a file and keeps nothing.
package hunt

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Options are the choices of a hunt.
type Options struct {
	Rules     *detect.Ruleset
	Documents []*sigma.Document // of the rules, for what the results say of them

	Source  string         // forces a source instead of recognising it
	Zone    *time.Location // of times that carry none; nil is UTC
	Workers int            // 0: as many as there are cores
	// From and To bound the event time of what is looked at; zero is open. To is not
	// part of it.
	From, To time.Time
	// Least is the lowest severity that is reported; "" reports all.
	Least string
	// Each reports every match by itself; else those of one rule and entity within 24
	// hours of event time are one finding, as alerts are.
	Each bool
	// MaxHeld bounds the bytes of matching events that wait to be put in order of
	// time; 0 means 512 MiB. Beyond it they are taken in the order of files.
	MaxHeld int64
	// Progress, if not nil, is told now and then, by one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a hunt is.
type Progress struct {
	Bytes, TotalBytes int64 // read of the files as they lie on disk; total 0: not known
	Files, TotalFiles int
	Events, Matches   int64
}

// A Place is where an event lies.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // of a Windows event log: the number of the record
}

// A Finding is what one rule found of one entity.
type Finding struct {
	alert.Finding
	Document *sigma.Document // nil where the rule has no id
	Host     string          // of the first event, "" where it names none
	Places   []Place
	Details  []event.Field // what the first event says that matters to the rule
}

// A Result is what a hunt found.
type Result struct {
	Findings []*Finding // by the time of their first event
	Files    int
	Events   int64
	Matches  int64 // events that a rule matched
	Rules    int
	Seconds  float64
	Warnings []string // what could not be read or was not in order; at most 100
	Left     int      // warnings beyond those
}

// Run looks through files, "-" being in. It ends early with the context's error.
func Run(ctx context.Context, o Options, in io.Reader, files []string) (*Result, error) {
	started := time.Now()
	if o.MaxHeld == 0 {
		o.MaxHeld = 512 << 20
	}
	h := &hunt{Options: o, in: in, files: files, byID: map[string]*sigma.Document{}, findings: map[string][]*Finding{}}
	for _, d := range o.Documents {
		for _, name := range []string{d.ID, d.Title} {
			if name != "" && h.byID[name] == nil {
				h.byID[name] = d
			}
		}
	}
	if err := h.read(ctx); err != nil {
		return nil, err
	}
	h.finish()
	slices.SortStableFunc(h.result.Findings, func(a, b *Finding) int { return cmp.Compare(a.First, b.First) })
	h.result.Findings = slices.DeleteFunc(h.result.Findings, func(f *Finding) bool {
		return o.Least != "" && event.SeverityRank(f.Severity) < event.SeverityRank(o.Least)
	})
	h.result.Rules = o.Rules.Rules()
	h.result.Seconds = time.Since(started).Seconds()
	return &h.result, nil
}

// A hunt is one call of Run.
type hunt struct {
	Options
	in       io.Reader
	files    []string
	byID     map[string]*sigma.Document
	result   Result
	held     []match
	heldSize int64
	unsorted bool
	newest   int64 // event time of the newest record
	detector *detect.Detector
	findings map[string][]*Finding // by rule and key, in order of appearance
}

const maxWarnings = 100

func (h *hunt) warn(text string) {
	if len(h.result.Warnings) < maxWarnings {
		h.result.Warnings = append(h.result.Warnings, text)
		return
	}
	h.result.Left++
}
