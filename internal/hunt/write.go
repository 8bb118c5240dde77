package hunt

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// stamp writes a time for people and machines alike.
func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }

func (f *Finding) tags() []string {
	if f.Document == nil {
		return nil
	}
	return f.Document.Tags
}

// WriteJSON writes one finding a line.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range r.Findings {
		entities := map[string][]string{}
		for _, e := range f.Entities {
			entities[e.Field] = append(entities[e.Field], e.Value)
		}
		details := make(map[string]string, len(f.Details))
		for _, d := range f.Details {
			details[d.Name] = d.Value
		}
		err := enc.Encode(struct {
			Rule        map[string]any      `json:"rule"`
			Time        string              `json:"time"`
			Last        string              `json:"last"`
			Description string              `json:"description"`
			Host        string              `json:"host,omitempty"`
			Entities    map[string][]string `json:"entities"`
			Details     map[string]string   `json:"details"`
			Events      []Place             `json:"events"`
			Count       int64               `json:"count"`
		}{
			map[string]any{"id": f.Rule.ID, "title": f.Title, "level": f.Severity, "tags": f.tags(), "author": f.Rule.Author, "license": f.Rule.License},
			stamp(f.First), stamp(f.Last), f.Text(), f.Host, entities, details, f.Places, f.Count,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes the timeline as RFC 4180, a header first. Cells that a
// spreadsheet would take for a formula are defused.
func (r *Result) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write([]string{
		"first", "last", "level", "rule", "rule_id", "author", "license", "tactic", "technique", "host", "user", "src_ip", "count", "description", "details", "file", "line", "events",
	}); err != nil {
		return err
	}
	for _, f := range r.Findings {
		var details []string
		for _, d := range f.Details {
			details = append(details, d.Name+"="+d.Value)
		}
		file, line := "", ""
		var places []string
		for i, p := range f.Places {
			if i == 0 {
				file, line = p.File, strconv.Itoa(p.Line)
			}
			places = append(places, fmt.Sprintf("%s:%d", p.File, p.Line))
		}
		row := []string{
			stamp(f.First), stamp(f.Last), f.Severity, f.Title, f.Rule.ID, f.Rule.Author, f.Rule.License, f.Tactic, f.Technique, f.Host,
			f.entity(event.User), f.entity(event.SrcIP), strconv.FormatInt(f.Count, 10), f.Text(), strings.Join(details, " ¦ "), file, line, strings.Join(places, " "),
		}
		for i := range row {
			row[i] = defuse(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func defuse(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func (f *Finding) entity(field string) string {
	var out []string
	for _, e := range f.Entities {
		if e.Field == field {
			out = append(out, e.Value)
		}
	}
	return strings.Join(out, " ")
}

// WriteText writes the timeline and the summary for people; color uses the
// terminal's colours.
func (r *Result) WriteText(w io.Writer, color bool) error {
	var b strings.Builder
	for _, f := range r.Findings {
		who := make([]string, 0, 4)
		for _, e := range f.Entities[:min(len(f.Entities), 4)] {
			who = append(who, e.Field+"="+clean(e.Value))
		}
		where := ""
		if len(f.Places) > 0 {
			where = fmt.Sprintf("%s:%d", f.Places[0].File, f.Places[0].Line)
		}
		fmt.Fprintf(&b, "%s  %s  %-10s %s  (%d×)  %s  %s\n",
			stamp(f.First), painted(f.Severity, fmt.Sprintf("%-8s", f.Severity), color), f.Technique, clean(f.Title), f.Count, strings.Join(who, " "), where)
		if b.Len() > 1<<16 {
			if _, err := io.WriteString(w, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	for _, s := range []struct {
		title string
		rows  []Count
	}{{"Rules", r.ByRule()}, {"Hosts", r.ByHost()}, {"Tactics", r.ByTactic()}} {
		if len(s.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", s.title)
		for i, c := range s.rows {
			if i == maxRows {
				fmt.Fprintf(&b, "  … and %d more\n", len(s.rows)-i)
				break
			}
			fmt.Fprintf(&b, "  %s  %6d  %8d events  %s\n", painted(c.Severity, fmt.Sprintf("%-8s", c.Severity), color), c.Findings, c.Events, clean(c.Name))
		}
	}
	fmt.Fprintf(&b, "\n%d events in %d files, %d rules, %d findings:", r.Events, r.Files, r.Rules, len(r.Findings))
	counts := r.BySeverity()
	for _, s := range event.Severities {
		fmt.Fprintf(&b, " %d %s", counts[s], s)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

const maxRows = 15

// clean keeps what a log says from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

func painted(severity, text string, color bool) string {
	codes := map[string]string{"critical": "1;35", "high": "31", "medium": "33", "low": "36"}
	if code := codes[severity]; color && code != "" {
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	return text
}

// A Count is a line of a summary.
type Count struct {
	Name     string
	Severity string // the highest
	Findings int
	Events   int64
}

// BySeverity counts findings.
func (r *Result) BySeverity() map[string]int {
	out := map[string]int{}
	for _, f := range r.Findings {
		out[f.Severity]++
	}
	return out
}

// ByRule counts by the rules' titles, the gravest first.
func (r *Result) ByRule() []Count {
	return r.by(func(f *Finding) string { return f.Title })
}

// ByHost counts by host, the gravest first.
func (r *Result) ByHost() []Count {
	return r.by(func(f *Finding) string { return cmp.Or(f.Host, "(no host)") })
}

// ByTactic counts by ATT&CK tactic, the gravest first.
func (r *Result) ByTactic() []Count {
	return r.by(func(f *Finding) string { return cmp.Or(f.Tactic, "(no tactic)") })
}

func (r *Result) by(name func(*Finding) string) []Count {
	counts := map[string]*Count{}
	for _, f := range r.Findings {
		n := name(f)
		c := counts[n]
		if c == nil {
			c = &Count{Name: n, Severity: f.Severity}
			counts[n] = c
		}
		if event.SeverityRank(f.Severity) > event.SeverityRank(c.Severity) {
			c.Severity = f.Severity
		}
		c.Findings++
		c.Events += f.Count
	}
	out := make([]Count, 0, len(counts))
	for _, n := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, *counts[n])
	}
	slices.SortStableFunc(out, func(a, b Count) int {
		return cmp.Or(event.SeverityRank(b.Severity)-event.SeverityRank(a.Severity), b.Findings-a.Findings)
	})
	return out
}
