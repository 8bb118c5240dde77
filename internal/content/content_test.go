package content

import (
	"log/slog"
	"testing"

	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sight"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// bundle is what tests import with.
type bundle struct {
	rules    *rule.Service
	sight    *sight.Service
	importer *Importer
}

func setup(t *testing.T, db *sqldb.DB) *bundle {
	t.Helper()
	rules := rule.New(db, Check)
	s := sight.New(db, sight.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Lists: rules.Lists, Active: rules.Active})
	return &bundle{rules, s, &Importer{rules, s}}
}
