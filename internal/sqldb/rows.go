package sqldb

import (
	"strconv"
	"strings"
)

// Rows returns what stands behind VALUES for so many rows: "($1, $2), ($3, $4)" for
// two rows of two columns.
func Rows(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i > 0 && i%columns == 0:
			b.WriteString("), (")
		case i > 0:
			b.WriteString(", ")
		default:
			b.WriteByte('(')
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	b.WriteByte(')')
	return b.String()
}
