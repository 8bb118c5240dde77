package outbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func message(object, event string) Message {
	return Message{Tenant: 1, Event: event, Object: object, Kind: "alerts", Title: "T " + object, Severity: "high", Text: "text", Rule: "r", Source: "sshd"}
}

func TestMessagesShareTheFateOfTheirTransaction(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		undo := errors.New("undo")
		err := db.Tx(ctx, func(tx *sqldb.DB) error {
			if err := Add(ctx, tx, message("lost", AlertCreated)); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		first, second := message("a", AlertCreated), message("a", AlertUpdated)
		if err := db.Tx(ctx, func(tx *sqldb.DB) error { return Add(ctx, tx, first, second) }); err != nil {
			t.Fatal(err)
		}
		var got []Message
		take := func(_ context.Context, _ *sqldb.DB, m []Message) error { got = m; return nil }
		if n, err := Dispatch(ctx, db, time.Now(), 10, take); n != 2 || err != nil {
			t.Fatalf("dispatched %d: %v", n, err)
		}
		for i := range got {
			if i > 0 && got[i].ID <= got[i-1].ID {
				t.Errorf("ids are not in order: %v", got)
			}
			if got[i].At.IsZero() {
				t.Error("the message has no time")
			}
			got[i].ID, got[i].At = "", time.Time{}
		}
		if d := cmp.Diff([]Message{first, second}, got); d != "" {
			t.Error(d)
		}
		if n, err := Dispatch(ctx, db, time.Now(), 10, take); n != 0 || err != nil {
			t.Errorf("dispatched %d again: %v", n, err)
		}
	})
}

func TestASinkThatFailsKeepsMessagesWaiting(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		if err := Add(ctx, db, message("a", AlertCreated)); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		if _, err := Dispatch(ctx, db, time.Now(), 10, func(context.Context, *sqldb.DB, []Message) error { return broken }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if n, err := Dispatch(ctx, db, time.Now(), 10); n != 1 || err != nil {
			t.Errorf("dispatched %d: %v", n, err)
		}
	})
}

func TestRangeAndSweep(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		day := func(n int) time.Time { return time.Date(2026, 4, n, 0, 0, 0, 0, time.UTC) }
		for n := 1; n <= 4; n++ {
			m := message(string(rune('a'+n)), AlertCreated)
			m.At = day(n)
			if err := Add(ctx, db, m); err != nil {
				t.Fatal(err)
			}
			if n == 3 {
				if _, err := Dispatch(ctx, db, time.Now(), 10); err != nil {
					t.Fatal(err)
				}
			}
		}
		list, err := Range(ctx, db, 1, day(2), day(9), 10)
		if err != nil || len(list) != 2 || !list[0].At.Equal(day(2)) {
			t.Errorf("range is %v, %v: the message that waits is not part of it", list, err)
		}
		if list, err := Range(ctx, db, 2, day(1), day(9), 10); err != nil || len(list) != 0 {
			t.Errorf("another tenant reads %v, %v", list, err)
		}
		if n, err := Sweep(ctx, db, day(9)); n != 3 || err != nil {
			t.Errorf("swept %d: %v", n, err)
		}
	})
}

func TestTextsAreStorableAndBounded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		m := message("a\x00b", AlertCreated)
		m.Title, m.Text = strings.Repeat("é", 600), "bad \xff\x00 text\nsecond line"
		if err := Add(t.Context(), db, m); err != nil {
			t.Fatal(err)
		}
		_, err := Dispatch(t.Context(), db, time.Now(), 1, func(_ context.Context, _ *sqldb.DB, list []Message) error {
			m = list[0]
			return nil
		})
		if err != nil || len([]rune(m.Title)) != 500 || m.Text != "bad \uFFFD text\nsecond line" || m.Object != "ab" {
			t.Errorf("%v, %d characters, %q, %q", err, len([]rune(m.Title)), m.Text, m.Object)
		}
	})
}
