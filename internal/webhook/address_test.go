package webhook_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

func service(t *testing.T, db *sqldb.DB, key byte) *webhook.Service {
	t.Helper()
	sealer, err := seal.New(append(make([]byte, seal.KeySize-1), key))
	if err != nil {
		t.Fatal(err)
	}
	return webhook.New(webhook.Config{DB: db, Sealer: sealer, CheckURL: url.Parse, Render: func(webhook.Format, *outbox.Message) string { return "{}" }})
}

// TestAddressesAreSealed: the database never holds an address as it is, those of before
// included, and a lost key leaves the webhook to be given another one.
func TestAddressesAreSealed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		if _, err := tenant.New(db).Create(ctx, "test", tenant.Draft{Name: "a"}); err != nil {
			t.Fatal(err)
		}
		const address = "https://hooks.slack.com/services/T00/B00/secret"
		s := service(t, db, 1)
		stored := func() string {
			t.Helper()
			text, err := sqldb.One(ctx, db, sqldb.Value[string], `SELECT url FROM webhook`)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		w, _, err := s.Create(ctx, 1, "test", webhook.Draft{Name: "r", URL: address, Events: []string{"Alert.Created", "DSR.dueSoon"}})
		if err != nil || w.URL != address || w.Events[0] != outbox.AlertCreated || w.Events[1] != outbox.RequestDueSoon {
			t.Fatalf("%+v %v", w, err)
		}
		if strings.Contains(stored(), "slack") {
			t.Errorf("stored is %s", stored())
		}
		if _, err := sqldb.Exec(ctx, db, `UPDATE webhook SET url = $1`, address); err != nil { // as it was before
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			if n, err := s.SealAddresses(ctx); err != nil || n != want {
				t.Errorf("sealed %d, want %d: %v", n, want, err)
			}
		}
		before := stored()
		if w, err = s.Change(ctx, 1, "test", w.ID, webhook.Patch{Name: new("other")}); err != nil || w.URL != address || stored() != before {
			t.Errorf("renamed: %+v %v, stored %s", w, err, stored())
		}
		lost := service(t, db, 2)
		if w, err = lost.Change(ctx, 1, "test", w.ID, webhook.Patch{Name: new("still there")}); err != nil || w.URL != "" || stored() != before {
			t.Errorf("with another key: %+v %v", w, err)
		}
		if w, err = lost.Change(ctx, 1, "test", w.ID, webhook.Patch{URL: new("https://soc.example/kyra")}); err != nil || w.URL != "https://soc.example/kyra" {
			t.Errorf("a new address: %+v %v", w, err)
		}
		list, _, err := lost.List(ctx, 1, webhook.Query{Size: 10})
		if err != nil || len(list) != 1 || list[0].URL != "https://soc.example/kyra" {
			t.Errorf("list: %+v %v", list, err)
		}
	})
}
