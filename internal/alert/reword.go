package alert

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Reword brings what search looks in up to an alert's title and description, which the
// caller has changed in the same transaction.
func Reword(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	g, err := sqldb.One(ctx, tx, func(rows *sql.Rows, g *growing) error { return scanAlert(rows, &g.Alert) },
		`SELECT `+alertColumns+` FROM alert a WHERE a.tenant = $1 AND a.id = $2`, int64(tenant), id)
	if err != nil {
		return fault.Wrap("reword alert", err)
	}
	b := batch{tx: tx, heads: map[uint32]*head{}, words: map[uint32]map[string]int64{}}
	if err := b.storeText(ctx, &g); err != nil {
		return fault.Wrap("reword alert", err)
	}
	if h := b.heads[tenant]; h != nil {
		err = h.store(ctx, tx, tenant)
	}
	return fault.Wrap("reword alert", err)
}

// ForgetWords takes the words that which chooses out of the list of all words of a
// tenant's alerts, where no alert has them any more. Words have numbers without gaps: an
// empty place stays.
func ForgetWords(ctx context.Context, tx *sqldb.DB, tenant uint32, which func(word string) bool) error {
	type entry struct {
		n    int64
		word string
	}
	// Whoever numbers words waits until this has ended.
	if _, err := (&batch{tx: tx, heads: map[uint32]*head{}}).head(ctx, tenant); err != nil {
		return fault.Wrap("forget words", err)
	}
	var gone []entry
	for e, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, e *entry) error { return rows.Scan(&e.n, &e.word) }, `SELECT n, word FROM alert_word WHERE tenant = $1`, int64(tenant)) {
		if err != nil {
			return fault.Wrap("read words", err)
		}
		if which(e.word) {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM (SELECT t.seq FROM alert_text t WHERE t.seq >= $1 AND t.seq < $2 AND instr(t.folded, $3) > 0 LIMIT 1) f`,
			int64(tenant)<<seqBits, (int64(tenant)+1)<<seqBits, e.word)
		if err != nil {
			return fault.Wrap("look for word", err)
		}
		if n > 0 {
			continue
		}
		// Separators are in no word that a text has.
		if _, err := sqldb.Exec(ctx, tx, `UPDATE alert_word SET word = $1 WHERE tenant = $2 AND n = $3`, fmt.Sprintf("%s%d", strings.Repeat(separator, 2), e.n), int64(tenant), e.n); err != nil {
			return fault.Wrap("forget word", err)
		}
	}
	return nil
}
