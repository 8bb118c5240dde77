package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/asset"
	"github.com/kyra-mdr/kyra/internal/principal"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestWorthOfAssets(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		log := slog.New(slog.DiscardHandler)
		w := &worths{assets: asset.New(db, asset.Options{Log: log, Now: time.Now}), principals: principal.New(db, principal.Options{Log: log, Now: time.Now}), now: time.Now, known: map[uint32]*knownWorth{}}
		if _, err := w.assets.Import(t.Context(), 1, "tester", []byte("name,address,criticality\nDB-01,10.0.0.5,critical\nweb-01,10.0.0.6,medium\n"), false); err != nil {
			t.Fatal(err)
		}
		got, err := w.of(t.Context(), db, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []risk.Key{{Kind: risk.Asset, Value: "db-01"}, {Kind: risk.Address, Value: "10.0.0.5"}} {
			if got[k].Factor != 1.6 || got[k].Reason != "criticality critical" {
				t.Errorf("%v: %+v", k, got[k])
			}
		}
		if len(got) != 2 {
			t.Errorf("%+v", got)
		}
		if other, err := w.of(t.Context(), db, 2, nil); err != nil || len(other) != 0 {
			t.Errorf("another tenant: %+v, %v", other, err)
		}
	})
}
