package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/rules"
)

func newHuntCommand() *cobra.Command {
	opts := huntOptions{}
	cmd := &cobra.Command{
		Use: "hunt [--rules PATH]… FILE|DIR…", Short: "run the rules over log files, offline", Args: usageArgs(cobra.MinimumNArgs(1)),
		Long: "Reads log files (text, NDJSON, JSON arrays; .gz and .zst; whole folders) and prints what the rules\n" +
			"find: a timeline and a summary, or with --json one finding a line:\n" +
			"{\"rule\":{\"id\",\"title\",\"level\",\"tags\"},\"time\",\"entities\":{…},\"events\":[{\"file\",\"line\"}],\"count\"}.\n" +
			"Matches of one rule for one entity within 24 hours of event time are one finding.",
		RunE: func(cmd *cobra.Command, args []string) error {
			h := &hunter{huntOptions: opts, errs: cmd.ErrOrStderr()}
			return h.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().StringArrayVar(&opts.rules, "rules", nil, "file or folder of Sigma rules to add")
	cmd.Flags().BoolVar(&opts.noBuiltin, "no-builtin", false, "leave the built-in rules out")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one finding a line as JSON")
	cmd.Flags().BoolVar(&opts.stats, "stats", false, "print figures as JSON on standard error")
	cmd.Flags().StringVar(&opts.source, "source", "", "force a source instead of recognising it")
	return cmd
}

type huntOptions struct {
	rules                  []string
	noBuiltin, json, stats bool
	source                 string
}

// A hunter runs rules over files. The events of a finding are named by file and line.
type hunter struct {
	huntOptions
	errs     io.Writer
	tags     map[string][]string // by rule id
	files    []string
	findings map[string][]*huntFinding // by rule and key, in order of appearance
	order    []*huntFinding
	events   int64
}

type huntFinding struct {
	alert.Finding
	refs []place
}

type place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func (h *hunter) run(ctx context.Context, in io.Reader, out io.Writer, paths []string) error {
	set, n, err := h.load()
	if err != nil {
		return err
	}
	h.findings = map[string][]*huntFinding{}
	matcher := set.NewMatcher()
	detector := detect.New(func(uint32) *detect.Ruleset { return set })
	parser := parse.New(parse.Options{})
	started := time.Now()
	var e event.Event
	var hits []detect.Hit
	last := ""
	err = eachRecord(ctx, in, paths, func(r fileRecord) error {
		if r.file != last || h.events%10_000 == 0 {
			detector.EndBatch(h.add)
		}
		if r.file != last {
			h.files = append(h.files, r.file)
			last = r.file
		}
		parser.Parse(&parse.Record{Raw: r.raw, Arrived: started.UnixNano(), Source: h.source, Input: "file", Cut: r.cut}, &e)
		e.ID = event.ID{Seq: uint64(len(h.files) - 1), Index: uint32(r.line)}
		h.events++
		hits = matcher.Match(&e, hits[:0])
		detector.Apply(&e, hits, h.add)
		return nil
	})
	if err != nil {
		return err
	}
	detector.EndBatch(h.add)
	took := time.Since(started)
	slices.SortStableFunc(h.order, func(a, b *huntFinding) int { return cmp.Compare(a.First, b.First) })
	w := bufio.NewWriter(out)
	if h.json {
		err = h.printJSON(w)
	} else {
		h.printText(w, n)
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if !h.stats {
		return nil
	}
	return json.NewEncoder(h.errs).Encode(map[string]any{
		"events": h.events, "findings": len(h.order), "rules": n, "seconds": took.Seconds(),
		"events_per_second": float64(h.events) / max(took.Seconds(), 1e-9), "peak_bytes": peakBytes(),
	})
}

// load compiles the rules and returns how many there are.
func (h *hunter) load() (*detect.Ruleset, int, error) {
	var list []detect.Rule
	h.tags = map[string][]string{}
	add := func(name string, data []byte) {
		docs, err := sigma.Parse(data)
		if err != nil {
			fmt.Fprintf(h.errs, "kyra: %s: %v: left out\n", name, err)
			return
		}
		for _, d := range docs {
			list = append(list, detect.Rule{Document: d, Version: 1})
			h.tags[d.ID] = d.Tags
		}
	}
	walk := func(fsys fs.FS, root, shown string) error {
		return fs.WalkDir(fsys, root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || (filepath.Ext(path) != ".yml" && filepath.Ext(path) != ".yaml") {
				return err
			}
			data, err := fs.ReadFile(fsys, path)
			if err != nil {
				return err
			}
			add(filepath.Join(shown, path), data)
			return nil
		})
	}
	if !h.noBuiltin {
		if err := walk(rules.FS, ".", "built-in"); err != nil {
			return nil, 0, err
		}
	}
	for _, p := range h.rules {
		info, err := os.Stat(p)
		if err != nil {
			return nil, 0, err
		}
		if info.IsDir() {
			err = walk(os.DirFS(p), ".", p)
		} else {
			var data []byte
			if data, err = os.ReadFile(p); err == nil {
				add(p, data)
			}
		}
		if err != nil {
			return nil, 0, err
		}
	}
	set, problems := detect.Compile(list)
	for _, p := range problems {
		fmt.Fprintf(h.errs, "kyra: rule %s: %s: left out\n", p.Rule, p.Message)
	}
	if n := len(list) - len(problems); n > 0 {
		return set, n, nil
	}
	return nil, 0, errors.New("no rule to run: name some with --rules")
}

// add joins a finding to an earlier one of the same rule and entity, as alerts are.
func (h *hunter) add(f *alert.Finding) {
	const window = int64(24 * time.Hour)
	refs := make([]place, 0, len(f.Events))
	for _, id := range f.Events {
		refs = append(refs, place{h.files[id.Seq], int(id.Index)})
	}
	key := f.Rule.ID + "\x00" + f.Key
	for _, g := range h.findings[key] {
		if f.First-g.First < window && g.First-f.Last < window {
			g.Count += f.Count
			g.First, g.Last = min(g.First, f.First), max(g.Last, f.Last)
			if len(g.refs) < alert.MaxEvents {
				g.refs = append(g.refs, refs[:min(len(refs), alert.MaxEvents-len(g.refs))]...)
			}
			for _, e := range f.Entities {
				if !slices.Contains(g.Entities, e) && len(g.Entities) < alert.MaxValues {
					g.Entities = append(g.Entities, e)
				}
			}
			return
		}
	}
	g := &huntFinding{*f, refs}
	h.findings[key] = append(h.findings[key], g)
	h.order = append(h.order, g)
}

func (h *hunter) printJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range h.order {
		entities := map[string][]string{}
		for _, e := range f.Entities {
			entities[e.Field] = append(entities[e.Field], e.Value)
		}
		err := enc.Encode(struct {
			Rule     map[string]any      `json:"rule"`
			Time     string              `json:"time"`
			Entities map[string][]string `json:"entities"`
			Events   []place             `json:"events"`
			Count    int64               `json:"count"`
		}{
			map[string]any{"id": f.Rule.ID, "title": f.Title, "level": f.Severity, "tags": h.tags[f.Rule.ID], "author": f.Rule.Author},
			stamp(f.First), entities, f.refs, f.Count,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

func (h *hunter) printText(w io.Writer, ruleCount int) {
	counts := map[string]int{}
	for _, f := range h.order {
		counts[f.Severity]++
		who := make([]string, 0, len(f.Entities))
		for _, e := range f.Entities[:min(len(f.Entities), 4)] {
			who = append(who, e.Field+"="+e.Value)
		}
		where := ""
		if len(f.refs) > 0 {
			where = fmt.Sprintf("%s:%d", f.refs[0].File, f.refs[0].Line)
		}
		fmt.Fprintf(w, "%s  %-8s  %-10s %s  (%d×)  %s  %s\n", stamp(f.First), f.Severity, f.Technique, f.Title, f.Count, strings.Join(who, " "), where)
	}
	fmt.Fprintf(w, "\n%d events in %d files, %d rules, %d findings:", h.events, len(h.files), ruleCount, len(h.order))
	for _, s := range event.Severities {
		fmt.Fprintf(w, " %d %s", counts[s], s)
	}
	fmt.Fprintln(w)
}

// peakBytes is the memory that the runtime took from the system.
func peakBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
