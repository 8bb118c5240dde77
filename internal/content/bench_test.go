package content

import (
	"log/slog"
	"os"
	"testing"

	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sight"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func tree(b *testing.B) *Tree {
	b.Helper()
	if _, err := os.Stat(corpus); err != nil {
		b.Skip("the public rules are not here: ", err)
	}
	t, err := Open(corpus, Sigma())
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func BenchmarkReadSigmaHQ(b *testing.B) {
	t := tree(b)
	for b.Loop() {
		readSigma(t.Files)
	}
}

// BenchmarkImportSigmaHQ imports the whole set into an empty catalogue, and again.
func BenchmarkImportSigmaHQ(b *testing.B) {
	t := tree(b)
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		rules := rule.New(db, Check)
		im := &Importer{rules, sight.New(db, sight.Options{Log: slog.New(slog.DiscardHandler), Lists: rules.Lists, Active: rules.Active})}
		tenant := uint32(1)
		b.Run("first", func(b *testing.B) {
			for b.Loop() {
				tenant++
				if _, err := im.Import(b.Context(), tenant, "bench", t, Sigma(), Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("again", func(b *testing.B) {
			for b.Loop() {
				if _, err := im.Import(b.Context(), tenant, "bench", t, Sigma(), Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("health", func(b *testing.B) {
			active, _, err := rules.Active(b.Context(), tenant)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := im.Sight.Health(b.Context(), tenant, active); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
