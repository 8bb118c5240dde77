package paper

import (
	"bufio"
	"io"
	"strings"
)

// CSV writes the document's data as CSV (RFC 4180) in UTF-8. A cell that a spreadsheet
// would take for a formula begins with an apostrophe.
func CSV(w io.Writer, d *Document) error {
	b := bufio.NewWriter(w)
	if d.Data != nil {
		for i := range d.Data.Columns {
			record(b, i, d.Data.Columns[i].Title)
		}
		_, _ = b.WriteString("\r\n") // Flush tells
		for i := range d.Data.Rows {
			for j := range d.Data.Rows[i].Cells {
				record(b, j, d.Data.Rows[i].Cells[j].Text)
			}
			_, _ = b.WriteString("\r\n") // Flush tells
		}
	}
	return b.Flush()
}

// record writes one cell. Errors of a bufio.Writer stay until it is flushed.
func record(b *bufio.Writer, i int, s string) {
	if i > 0 {
		_ = b.WriteByte(',')
	}
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		s = "'" + s
	}
	if strings.ContainsAny(s, ",\"\r\n") {
		s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	_, _ = b.WriteString(s)
}
