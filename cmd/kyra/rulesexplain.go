package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// Bounds of what is explained: all records are held, and each correlation looks at
// them for each.
const (
	maxExplained   = 20_000
	maxExplainLine = 1 << 20
)

func newRulesExplainCommand() *cobra.Command {
	opts := struct {
		source string
		lines  []int
		json   bool
	}{}
	cmd := &cobra.Command{
		Use: "explain [--line N] [--json] RULE.yml [FILE]", Short: "tell why a rule fires for log records, or does not, offline",
		Long: "Each line of FILE, or of standard input, is a log record. They are parsed and run through the rule\n" +
			"as a server would run them, and each gets one sentence: which line of the rule fails by which value,\n" +
			"or how much a correlation lacks. --json prints the whole tree for each.",
		Args: usageArgs(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the rule: %w", err)
			}
			in := cmd.InOrStdin()
			if len(args) == 2 && args[1] != "-" {
				f, err := os.Open(args[1])
				if err != nil {
					return fmt.Errorf("open records: %w", err)
				}
				defer f.Close()
				in = f
			}
			events, err := readRecords(in, opts.source)
			if err != nil {
				return err
			}
			store := &memory.Store{}
			if err := store.Append(cmd.Context(), events); err != nil {
				return err
			}
			bench := workbench.New(workbench.Config{Events: store})
			for i := range events {
				if len(opts.lines) > 0 && !slices.Contains(opts.lines, i+1) {
					continue
				}
				x, err := bench.Explain(cmd.Context(), 0, workbench.Subject{Text: string(text)}, &events[i])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				if err := printExplanation(cmd.OutOrStdout(), i+1, x, opts.json); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&opts.source, "source", "", "what the records are; found out where empty")
	cmd.Flags().IntSliceVar(&opts.lines, "line", nil, "only these lines, from 1; the others still count for correlations")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object for each record")
	return cmd
}

// readRecords parses each line as if it came in now.
func readRecords(in io.Reader, source string) ([]event.Event, error) {
	parser := parse.New(parse.Options{})
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxExplainLine)
	now := time.Now()
	var events []event.Event
	for lines.Scan() {
		if len(events) == maxExplained {
			return nil, fmt.Errorf("there are more than %d records: cut what matters out of them", maxExplained)
		}
		var e event.Event
		i := len(events)
		parser.Parse(&parse.Record{Raw: lines.Text(), Arrived: now.Add(time.Duration(i) * time.Millisecond).UnixNano(), Source: source, Input: "file"}, &e)
		e.ID = event.ID{Index: uint32(i)} //nolint:gosec // bounded
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return events, nil
}

func printExplanation(out io.Writer, line int, x *workbench.Explanation, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(struct {
			Line int `json:"line"`
			*workbench.Explanation
		}{line, x})
	}
	verdict := "no"
	if x.Fires {
		verdict = "fires"
	}
	_, err := fmt.Fprintf(out, "%d\t%s\t%s\n", line, verdict, harmless(x.Reason))
	return err
}
