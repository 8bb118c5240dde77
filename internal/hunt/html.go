package hunt

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

//go:embed report.html
var reportText string

var report = template.Must(template.New("report").Funcs(template.FuncMap{
	"stamp": stamp,
}).Parse(reportText))

const (
	maxReported = 10_000 // findings in the page
	maxBars     = 90
	chartWidth  = 900.0
	chartHeight = 120.0
)

// A bar is a part of the chart, in its units.
type bar struct {
	X, Y, Width, Height float64
	Severity, Title     string
}

// WriteHTML writes a page that needs nothing else and runs no script: summary,
// chart by time, and the timeline.
func (r *Result) WriteHTML(w io.Writer) error {
	type card struct {
		Severity string
		N        int
	}
	data := struct {
		*Result
		Cards        []card
		Shown        []*Finding
		Hidden       int
		From, To     string
		Bars         []bar
		Rules, Hosts []Count
		Tactics      []Count
		RuleCount    int
		Width        float64
		Height       float64
	}{Result: r, Rules: r.ByRule(), Hosts: r.ByHost(), Tactics: r.ByTactic(), RuleCount: r.Rules, Width: chartWidth, Height: chartHeight, Bars: r.bars()}
	counts := r.BySeverity()
	for _, s := range event.Severities {
		data.Cards = append(data.Cards, card{s, counts[s]})
	}
	data.Shown = r.Findings[:min(len(r.Findings), maxReported)]
	data.Hidden = len(r.Findings) - len(data.Shown)
	if n := len(r.Findings); n > 0 {
		data.From, data.To = stamp(r.Findings[0].First), stamp(r.Findings[n-1].First)
	}
	return report.Execute(w, data)
}

// bars cuts the time of the findings into equal parts and stacks each by severity.
func (r *Result) bars() []bar {
	if len(r.Findings) == 0 {
		return nil
	}
	first := r.Findings[0].First
	span := r.Findings[len(r.Findings)-1].First - first + 1
	n := min(maxBars, span)
	parts := make([]map[string]int, n)
	most := 0
	for _, f := range r.Findings {
		i := int(float64(f.First-first) / float64(span) * float64(n))
		i = min(i, int(n)-1)
		if parts[i] == nil {
			parts[i] = map[string]int{}
		}
		parts[i][f.Severity]++
		sum := 0
		for _, c := range parts[i] {
			sum += c
		}
		most = max(most, sum)
	}
	var out []bar
	step := chartWidth / float64(n)
	for i, p := range parts {
		y := chartHeight
		for _, s := range event.Severities {
			if p[s] == 0 {
				continue
			}
			height := float64(p[s]) / float64(most) * chartHeight
			y -= height
			at := time.Unix(0, first+span/n*int64(i)).UTC().Format(time.RFC3339)
			out = append(out, bar{float64(i) * step, y, max(step-1, 1), height, s, fmt.Sprintf("%s: %d %s", at, p[s], s)})
		}
	}
	return out
}
