package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
)

func newParseCommand() *cobra.Command {
	opts := struct {
		source, zone, settings string
		json, explain          bool
	}{}
	cmd := &cobra.Command{
		Use: "parse [--source NAME] [--settings FILE] [--json] FILE…|-", Short: "show which fields KYRA makes of log records, offline",
		Long: "Reads records (text lines, NDJSON, a JSON array; .gz and .zst are unpacked) and prints one JSON\n" +
			"object for each, in order: {\"raw\",\"source\",\"parser\",\"timestamp\",\"fields\":{…}}. A field with\n" +
			"several values is a list. --explain prints for people, with the parser and what decided it.",
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			zone, err := time.LoadLocation(opts.zone)
			if err != nil {
				return fmt.Errorf("%q is not a time zone: %w", opts.zone, errUsage)
			}
			settings, err := readSettings(opts.settings)
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
			p := parse.New(parse.Options{})
			now := time.Now().UnixNano()
			var e event.Event
			err = eachRecord(cmd.Context(), cmd.InOrStdin(), args, func(r fileRecord) error {
				why := p.ParseExplain(&parse.Record{Raw: r.raw, Stream: r.file, Arrived: now, Source: opts.source, Input: "file", Zone: zone, Cut: r.cut, Settings: settings}, &e)
				if opts.explain {
					return explainRecord(out, r, &e, why)
				}
				return printRecord(out, &e, why.Parser)
			})
			if err != nil {
				return err
			}
			return out.Flush()
		},
	}
	cmd.Flags().StringVar(&opts.source, "source", "", "force a source instead of recognising it")
	cmd.Flags().StringVar(&opts.zone, "zone", "UTC", "time zone of times that carry none")
	cmd.Flags().StringVar(&opts.settings, "settings", "", "file with settings of log sources to read by, as the API has them: {match, apply}, a list or a page of them")
	cmd.Flags().BoolVar(&opts.json, "json", true, "print JSON, one object a record (the default)")
	cmd.Flags().BoolVar(&opts.explain, "explain", false, "print for people, and say why")
	return cmd
}

func printRecord(w io.Writer, e *event.Event, parser string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	at, fields := time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), fieldMap(e)
	fields[event.Timestamp] = at
	return enc.Encode(struct {
		Raw       string         `json:"raw"`
		Source    string         `json:"source"`
		Parser    string         `json:"parser"`
		Timestamp string         `json:"timestamp"`
		Fields    map[string]any `json:"fields"`
	}{e.Raw, e.Get(event.Source), parser, at, fields})
}

// fieldMap makes a list of the values of a name that occurs several times.
func fieldMap(e *event.Event) map[string]any {
	m := make(map[string]any, len(e.Fields))
	for _, f := range e.Fields {
		switch had := m[f.Name].(type) {
		case nil:
			m[f.Name] = f.Value
		case string:
			m[f.Name] = []string{had, f.Value}
		case []string:
			m[f.Name] = append(had, f.Value)
		}
	}
	return m
}

func explainRecord(w io.Writer, r fileRecord, e *event.Event, why parse.Explanation) error {
	_, err := fmt.Fprintf(w, "%s:%d\n  raw     %s\n  header  %s\n  parser  %s: %s\n  time    %s\n", r.file, r.line, e.Raw, why.Header, why.Parser, why.Why, time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano))
	for _, f := range e.Fields {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %-16s %s\n", f.Name, f.Value)
		}
	}
	return err
}
