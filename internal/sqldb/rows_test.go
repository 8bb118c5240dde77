package sqldb_test

import (
	"testing"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, columns int
		want          string
	}{{1, 1, "($1)"}, {1, 3, "($1, $2, $3)"}, {2, 2, "($1, $2), ($3, $4)"}, {3, 1, "($1), ($2), ($3)"}} {
		if got := sqldb.Rows(c.rows, c.columns); got != c.want {
			t.Errorf("Rows(%d, %d) = %s, want %s", c.rows, c.columns, got, c.want)
		}
	}
}
