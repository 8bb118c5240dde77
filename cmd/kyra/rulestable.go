package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/kyra-mdr/kyra/client"
)

// mostReasons is how many reasons for blindness the table shows.
const mostReasons = 15

// printImport writes the table at the end of an import.
func printImport(w io.Writer, r *client.ImportReport, diff bool) error {
	var b bytes.Buffer
	c := &r.Counts
	would := ""
	if r.DryRun {
		would = " (dry run: nothing was changed)"
	}
	fmt.Fprintf(&b, "pack       %s%s\n", r.Pack, would)
	if r.Source != "" || r.License != "" {
		fmt.Fprintf(&b, "from       %s, licence %s\n", cmp.Or(r.Source, "an unknown source"), cmp.Or(r.License, "not stated"))
	}
	fmt.Fprintf(&b, "loaded     %d of %d files: %d new, %d updated, %d unchanged, %d kept as edited here, %d in conflict\n",
		c.Loaded, c.Files, c.Created, c.Updated, c.Unchanged, c.Edited, c.Conflicts)
	fmt.Fprintf(&b, "blind      %d\n", c.Blind)
	printReasons(&b, r)
	for _, l := range r.Lists {
		fmt.Fprintf(&b, "           %d wait for the list %s\n", l.Rules, l.Name)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "left out   %d: %s\n", s.Rules, s.Reason)
	}
	fmt.Fprintf(&b, "refused    %d\n", c.Refused)
	for _, x := range r.Refused {
		place := x.File
		if x.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", x.File, x.Line, x.Column)
		}
		fmt.Fprintf(&b, "           %s: %s\n", place, x.Reason)
	}
	for _, x := range r.Conflicts {
		fmt.Fprintf(&b, "conflict   %s %q: changed here and there, the text of here stays\n", x.ID, x.Name)
		if diff {
			indent(&b, x.Ours)
			indent(&b, x.Theirs)
		}
	}
	for _, x := range r.Gone {
		what := "no longer in the pack"
		switch {
		case x.Removed:
			what = "no longer in the pack, removed"
		case x.Edited:
			what = "no longer in the pack, kept: it was changed here"
		}
		fmt.Fprintf(&b, "gone       %s %q: %s\n", x.ID, x.Name, what)
	}
	_, err := io.WriteString(w, harmless(b.String()))
	return err
}

// harmless takes what a terminal obeys out of a text: rules are written by others.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, s)
}

// printReasons sums blind rules up by what is missing, the most frequent first.
func printReasons(b *bytes.Buffer, r *client.ImportReport) {
	count := map[string]int{}
	for _, x := range r.Blind {
		count[x.Reason]++
	}
	var reasons []string
	for reason := range count {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(x, y string) int { return cmp.Or(cmp.Compare(count[y], count[x]), strings.Compare(x, y)) })
	for i, reason := range reasons {
		if i == mostReasons {
			fmt.Fprintf(b, "           and %d other reasons: see --json\n", len(reasons)-mostReasons)
			return
		}
		fmt.Fprintf(b, "           %d: %s\n", count[reason], reason)
	}
}

func indent(b *bytes.Buffer, text string) {
	for line := range strings.Lines(text) {
		b.WriteString("           " + strings.TrimRight(line, "\n") + "\n")
	}
}
