package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func csvParser() content {
	return content{
		Info: Info{
			Name:    "csv",
			Sources: []string{"csv"},
			About:   "comma-separated values of a sender that is said to send them: the first line names the columns, names understood as in JSON",
			Samples: []Sample{
				{`time,user,src_ip,action`, []string{"source=text"}},
				{`"a","b"`, []string{"source=text"}},
			},
		},
		parse: parseCSV,
	}
}

// maxCSVColumns bounds the columns of a table.
const maxCSVColumns = 256

// parseCSV reads a line of a table. Nothing leads here but a sender's hint: any
// text with a comma could be one.
func parseCSV(l *line) bool {
	s := l.text
	if l.header == "time" && l.depth == 0 { // the first column was taken for a header's time
		s = trimTail(l.r.Raw)
		if l.invalid {
			s = cleanText(s)
		}
		s = strings.TrimPrefix(s, "\uFEFF")
	}
	var values [maxCSVColumns]string
	n := csvColumns(s, values[:])
	if n < 2 {
		return false
	}
	key := l.table("csv")
	note := l.p.tables.of(key)
	if note == nil || string(note.text) == s {
		if len(s) > maxTableHeader || !csvHeader(values[:n]) {
			return false
		}
		note = l.p.tables.keep(key)
		note.text = append(note.text[:0], s...)
		l.source = "csv"
		return true
	}
	var names [maxCSVColumns]string
	header := note.string()
	columns := csvColumns(header, names[:])
	if names[0] == values[0] && len(s) <= maxTableHeader && csvHeader(values[:n]) { // another table begins
		note.text = append(note.text[:0], s...)
		l.source = "csv"
		return true
	}
	if n > columns {
		return false
	}
	row := l.row()
	for i := range n {
		if values[i] != "" {
			row.field(names[i], values[i])
		}
	}
	if !row.end() {
		if _, ok := l.e.Lookup(event.Category); !ok {
			l.loginFailure(l.text)
		}
	}
	if l.source == "" {
		l.source = "csv"
	}
	return true
}

// csvHeader tells names of columns from values: letters, no two alike.
func csvHeader(columns []string) bool {
	for i, c := range columns {
		c = strings.TrimSpace(c)
		if c == "" || len(c) > 64 || !isLetter(c[0]) && c[0] != '_' && c[0] != '@' || strings.ContainsAny(c, "=;/\\\t") {
			return false
		}
		if slices.Contains(columns[:i], c) {
			return false
		}
	}
	return true
}
