package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Masking by field finds a field where a setting says that it is: an alias for one
// token, a parser for one product.
func TestMaskingReadsBySettings(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		owner, err := tenant.New(db).Create(t.Context(), "test", tenant.Draft{Name: "a"})
		if err != nil {
			t.Fatal(err)
		}
		logs, err := logsource.New(t.Context(), db, logsource.Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		fields := (&Server{logs: logs}).recordFields()
		user := func(key string) (found string) {
			c := &queue.Chunk{Tenant: owner.Number, Input: "http", Key: key, Records: []string{`{"kto":"mallory","what":"refund"}`}}
			err := fields(t.Context(), c, 0, func(name, value string) {
				if name == "user" {
					found = value
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if got := user("token-1"); got != "" {
			t.Fatalf("user is %q without a setting", got)
		}
		_, err = logs.CreateSetting(t.Context(), owner.Number, "test", logsource.Draft{
			Name: "shop", Enabled: true, Definition: logsource.Definition{Token: "token-1", Aliases: map[string]string{"kto": "user"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := user("token-1"), user("token-2"); a != "mallory" || b != "" {
			t.Errorf("user is %q with the token and %q with another, want mallory and none", a, b)
		}
	})
}
