package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/hunt"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/rules"
)

func newHuntCommand() *cobra.Command {
	opts := huntOptions{}
	cmd := &cobra.Command{
		Use: "hunt [--rules PATH]… FILE|DIR…", Short: "run the rules over log files, offline", Args: usageArgs(cobra.MinimumNArgs(1)),
		Long: "Reads log files (Windows event logs .evtx, text, NDJSON, JSON arrays; .gz and .zst; whole folders)\n" +
			"on all cores and prints what the rules find: a timeline, and a summary by rule, host and ATT&CK\n" +
			"tactic. Correlations count over all files in order of event time. --json prints one finding a line:\n" +
			"{\"rule\":{\"id\",\"title\",\"level\",\"tags\"},\"time\",\"entities\":{…},\"events\":[{\"file\",\"line\"}],\"count\"}.\n" +
			"--out writes the timeline into a file, in the form that its name ends with. Matches of one rule for\n" +
			"one entity within 24 hours of event time are one finding; --each keeps them apart.",
		Example: "  kyra hunt evidence/\n" +
			"  kyra hunt --rules sigma/rules --out report.html --out timeline.csv C:\\Windows\\System32\\winevt\\Logs\n" +
			"  kyra hunt --level high --from 2026-04-22T00:00:00Z --json evidence/ | jq .rule.title",
		RunE: func(cmd *cobra.Command, args []string) error { return opts.run(cmd, args) },
	}
	cmd.Flags().StringArrayVar(&opts.rules, "rules", nil, "file, folder or archive (.zip, .tar.gz) of rules to add")
	cmd.Flags().StringVar(&opts.format, "format", "", "what these rules are written in: "+strings.Join(content.FormatNames(), ", "))
	cmd.Flags().BoolVar(&opts.noBuiltin, "no-builtin", false, "leave the built-in rules out")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one finding a line as JSON")
	cmd.Flags().BoolVar(&opts.stats, "stats", false, "print figures as JSON on standard error")
	cmd.Flags().StringVar(&opts.source, "source", "", "force a source instead of recognising it")
	cmd.Flags().StringVar(&opts.zone, "zone", "UTC", "time zone of times that carry none")
	cmd.Flags().StringVar(&opts.level, "level", "", "lowest severity to report: info, low, medium, high, critical")
	cmd.Flags().StringVar(&opts.from, "from", "", "look at events from this time on (RFC 3339)")
	cmd.Flags().StringVar(&opts.to, "to", "", "look at events before this time (RFC 3339)")
	cmd.Flags().StringArrayVarP(&opts.out, "out", "o", nil, "also write the timeline into this file: .csv, .json or .html")
	cmd.Flags().BoolVar(&opts.each, "each", false, "report every match by itself")
	cmd.Flags().IntVar(&opts.workers, "workers", 0, "how many files and batches are worked on at a time (default: the number of cores)")
	return cmd
}

type huntOptions struct {
	rules                         []string
	noBuiltin, json, stats, each  bool
	source, zone, level, from, to string
	format                        string
	out                           []string
	workers                       int
}

func (o *huntOptions) run(cmd *cobra.Command, paths []string) error {
	settings, err := o.settings()
	if err != nil {
		return err
	}
	files, err := listFiles(paths)
	if err != nil {
		return err
	}
	errs := cmd.ErrOrStderr()
	if settings.Rules, settings.Documents, err = o.load(errs); err != nil {
		return err
	}
	if isTerminal(errs) {
		settings.Progress = func(p hunt.Progress) { showProgress(errs, p) }
	}
	result, err := hunt.Run(cmd.Context(), settings, cmd.InOrStdin(), files)
	if settings.Progress != nil {
		fmt.Fprint(errs, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	for _, text := range result.Warnings {
		fmt.Fprintf(errs, "kyra: %s\n", text)
	}
	if result.Left > 0 {
		fmt.Fprintf(errs, "kyra: and %d more warnings\n", result.Left)
	}
	for _, name := range o.out {
		if err := writeReport(name, result); err != nil {
			return err
		}
	}
	if o.json {
		err = result.WriteJSON(cmd.OutOrStdout())
	} else {
		err = result.WriteText(cmd.OutOrStdout(), isTerminal(cmd.OutOrStdout()) && os.Getenv("NO_COLOR") == "")
	}
	if err != nil || !o.stats {
		return err
	}
	return json.NewEncoder(errs).Encode(map[string]any{
		"events": result.Events, "findings": len(result.Findings), "rules": result.Rules, "seconds": result.Seconds,
		"events_per_second": float64(result.Events) / max(result.Seconds, 1e-9), "peak_bytes": peakBytes(),
	})
}

// settings checks the flags.
func (o *huntOptions) settings() (hunt.Options, error) {
	s := hunt.Options{Source: o.source, Workers: o.workers, Each: o.each, Least: strings.ToLower(o.level)}
	var err error
	if s.Zone, err = time.LoadLocation(o.zone); err != nil {
		return s, fmt.Errorf("%q is not a time zone: %w", o.zone, errUsage)
	}
	if s.Least == "informational" {
		s.Least = "info"
	}
	if s.Least != "" && event.SeverityRank(s.Least) == 0 {
		return s, fmt.Errorf("--level %q: allowed are %s: %w", o.level, strings.Join(event.Severities, ", "), errUsage)
	}
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", o.from, &s.From}, {"--to", o.to, &s.To}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			return s, fmt.Errorf("%s %q is not a time such as 2026-04-22T08:00:00Z: %w", t.flag, t.text, errUsage)
		}
	}
	for _, name := range o.out {
		if reportForm(name) == nil {
			return s, fmt.Errorf("--out %s: the name must end in .csv, .json or .html: %w", name, errUsage)
		}
	}
	return s, nil
}

// reportForm returns what writes a report of the form that name ends with.
func reportForm(name string) func(*hunt.Result, io.Writer) error {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return (*hunt.Result).WriteCSV
	case ".json", ".ndjson", ".jsonl":
		return (*hunt.Result).WriteJSON
	case ".html", ".htm":
		return (*hunt.Result).WriteHTML
	}
	return nil
}

func writeReport(name string, r *hunt.Result) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(reportForm(name)(r, f), f.Close())
}

func showProgress(w io.Writer, p hunt.Progress) {
	bar := ""
	if p.TotalBytes > 0 {
		const width = 30
		n := int(min(p.Bytes, p.TotalBytes) * width / p.TotalBytes)
		bar = fmt.Sprintf("[%s%s] %3d %%  ", strings.Repeat("█", n), strings.Repeat("·", width-n), min(p.Bytes, p.TotalBytes)*100/p.TotalBytes)
	}
	fmt.Fprintf(w, "\r\x1b[K%sfile %d of %d, %d events, %d matches", bar, min(p.Files+1, p.TotalFiles), p.TotalFiles, p.Events, p.Matches)
}

// load compiles the rules.
func (o *huntOptions) load(errs io.Writer) (*detect.Ruleset, []*sigma.Document, error) {
	var list []detect.Rule
	var docs []*sigma.Document
	add := func(name string, data []byte) {
		parsed, err := sigma.Parse(data)
		if err != nil {
			fmt.Fprintf(errs, "kyra: %s: %v: left out\n", name, err)
			return
		}
		for _, d := range parsed {
			list = append(list, detect.Rule{Document: d, Version: 1})
		}
		docs = append(docs, parsed...)
	}
	if !o.noBuiltin {
		if err := eachRule(rules.FS, "built-in", add); err != nil {
			return nil, nil, err
		}
	}
	for _, p := range o.rules {
		name := o.format
		if name == "" && strings.EqualFold(filepath.Ext(p), ".xml") {
			name = "wazuh"
		}
		format, err := content.FormatOf(name)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", err, errUsage)
		}
		tree, err := content.Open(p, format)
		if err != nil {
			return nil, nil, err
		}
		candidates, refused := format.Convert(tree.Files)
		for _, r := range append(tree.Refused, refused...) {
			fmt.Fprintf(errs, "kyra: %s: line %d: %s: left out\n", filepath.Join(p, r.File), r.Line, r.Reason)
		}
		for _, c := range candidates {
			add(filepath.Join(p, c.File), []byte(c.Text))
		}
	}
	set, problems := detect.Compile(list)
	for _, p := range problems {
		fmt.Fprintf(errs, "kyra: rule %s: %s: left out\n", p.Rule, p.Message)
	}
	if set.Rules() == 0 {
		return nil, nil, errors.New("no rule to run: name some with --rules")
	}
	return set, docs, nil
}

// eachRule hands out the rule files of a folder.
func eachRule(fsys fs.FS, shown string, do func(name string, data []byte)) error {
	return fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || (filepath.Ext(path) != ".yml" && filepath.Ext(path) != ".yaml") {
			return err
		}
		data, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		do(filepath.Join(shown, path), data)
		return nil
	})
}

// peakBytes is the memory that the runtime took from the system.
func peakBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
