package dsr

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// An office is a service with what is around it.
type office struct {
	*Service
	t   *testing.T
	now time.Time
	seq uint64
}

func each(t *testing.T, f func(o *office)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for _, name := range []string{"a", "b"} {
			if _, err := tenant.New(db).Create(t.Context(), "test", tenant.Draft{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		files, err := vault.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		o := &office{t: t, now: time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)}
		o.Service, err = New(Config{
			DB: db, Events: &memory.Store{}, Sealer: sealer, Vault: files, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return o.now },
			Several: func(context.Context, uint32) (bool, error) { return true, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		f(o)
	})
}

func (o *office) event(number uint32, fields ...string) {
	o.t.Helper()
	o.seq++
	e := event.Event{ID: event.ID{Partition: 1, Seq: o.seq}, Tenant: number, Time: o.now.UnixNano(), Arrived: o.now.UnixNano()}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	if err := o.Events.Append(o.t.Context(), []event.Event{e}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) request(kind Kind) *Detail {
	o.t.Helper()
	d, err := o.Create(o.t.Context(), 1, "key:a", Draft{Kind: kind, Law: GDPR, Person: Person{
		Name: "Anna Kim", Identifiers: []Identifier{{Type: "email", Value: "Anna@example.com"}, {Type: "user", Value: "akim"}}, Note: "by letter",
	}})
	if err != nil {
		o.t.Fatal(err)
	}
	d, err = o.Patch(o.t.Context(), 1, "key:a", d.ID, Patch{Verification: new(IsVerified), VerifiedHow: new("passport")})
	if err != nil {
		o.t.Fatal(err)
	}
	return d
}

func (o *office) task(actor, id string) *job.Task {
	return &job.Task{Job: job.Job{Tenant: 1, Actor: actor, Subject: id}}
}

func TestWholeErasure(t *testing.T) {
	each(t, func(o *office) {
		o.event(1, event.User, "akim", event.Source, "sshd")
		o.event(1, event.Message, "mail from anna@example.com taken", event.Source, "postfix")
		o.event(1, event.Message, "akim is a word of this text")
		o.event(1, event.User, "bob")
		o.event(2, event.User, "akim")
		o.now = o.now.Add(time.Minute)
		d := o.request(Erasure)
		if d.Status != Verified || d.DueOn != "2026-05-22" {
			o.t.Fatalf("%s, due on %s", d.Status, d.DueOn)
		}
		got, err := o.Search(o.t.Context(), o.task("key:a", d.ID))
		if err != nil {
			o.t.Fatal(err)
		}
		f, ok := got.(*Findings)
		if !ok || f.Events != 2 || f.BySource["sshd"] != 1 || f.ByValue[0] != 1 || f.ByValue[1] != 1 {
			o.t.Fatalf("found %+v", f)
		}
		p, err := o.Preview(o.t.Context(), 1, "key:a", d.ID)
		if err != nil || p.Events != 2 || p.Approved {
			o.t.Fatalf("preview %+v %v", p, err)
		}
		if _, err := o.Patch(o.t.Context(), 1, "key:a", d.ID, Patch{Approve: true}); err != nil {
			o.t.Fatal(err)
		}
		if err := o.CheckErase(o.t.Context(), 1, "key:a", d.ID, ConfirmText); !errors.Is(err, fault.Conflict) {
			o.t.Fatalf("who approved may erase: %v", err)
		}
		h, err := o.AddHold(o.t.Context(), 1, "key:a", Hold{Name: "case 7", Reason: "court", Owner: "legal", Identifiers: []Identifier{{Type: "user", Value: "akim"}}})
		if err != nil || h.Identifiers[0].Value == "akim" {
			o.t.Fatalf("%+v %v", h, err)
		}
		if _, err := o.Erase(o.t.Context(), o.task("key:b", d.ID)); err == nil || !strings.Contains(err.Error(), "case 7") {
			o.t.Fatalf("erased what is held: %v", err)
		}
		if held, err := o.Holding(o.t.Context()); err != nil || !held[1] || held[2] {
			o.t.Fatalf("%v %v", held, err)
		}
		if err := o.Release(o.t.Context(), 1, "key:a", h.ID); err != nil {
			o.t.Fatal(err)
		}
		got, err = o.Erase(o.t.Context(), o.task("key:b", d.ID))
		if err != nil {
			o.t.Fatal(err)
		}
		if x, ok := got.(*Proof); !ok || x.Found != 2 || x.Erased != 2 || x.Remaining != 0 || x.ApprovedBy != "key:a" {
			o.t.Fatalf("proof %+v", got)
		}
		for number, want := range map[uint32]uint64{1: 2, 2: 1} {
			r, err := o.Events.Search(o.t.Context(), eventstore.Request{Tenant: number, To: eventstore.MaxTime})
			if err != nil || r.Total != want {
				o.t.Errorf("tenant %d has %d events, want %d: %v", number, r.Total, want, err)
			}
		}
		// What lay in the queue meanwhile comes into the store now.
		o.now = o.now.Add(-time.Minute)
		o.event(1, event.User, "AKIM")
		o.now = o.now.Add(2 * time.Minute)
		o.event(1, event.User, "akim") // arrived later
		if err := o.Look(o.t.Context()); err != nil {
			o.t.Fatal(err)
		}
		if r, err := o.Events.Search(o.t.Context(), eventstore.Request{Tenant: 1, To: eventstore.MaxTime}); err != nil || r.Total != 3 {
			o.t.Errorf("tenant 1 has %d events, want 3: %v", r.Total, err)
		}
		if d, err := o.Get(o.t.Context(), 1, d.ID); err != nil || d.Erasures[0].Erased != 3 {
			o.t.Errorf("the proof does not count what was erased again: %+v %v", d.Erasures, err)
		}
		o.now = o.now.Add(-time.Minute)
		gone, err := o.Erased(o.t.Context(), 1)
		if err != nil {
			o.t.Fatal(err)
		}
		e := event.Event{Arrived: o.now.Add(-time.Minute).UnixNano()}
		e.Add(event.User, "AKIM")
		if !gone(&e) {
			o.t.Error("the archive brings an erased event back")
		}
		e.Arrived = o.now.Add(time.Hour).UnixNano()
		if gone(&e) {
			o.t.Error("an event that came later is taken for erased")
		}
		if none, err := o.Erased(o.t.Context(), 2); err != nil || none != nil {
			o.t.Errorf("another tenant's events are taken for erased: %v", err)
		}
		// Nothing that stays says who it was.
		for e, err := range audit.Stream(o.t.Context(), o.DB, 1, audit.Filter{}) {
			if err != nil || strings.Contains(strings.ToLower(string(e.Detail)), "akim") || strings.Contains(string(e.Detail), "Anna") {
				o.t.Errorf("audit %s: %s %v", e.Action, e.Detail, err)
			}
		}
	})
}

func TestPackageAndTerms(t *testing.T) {
	each(t, func(o *office) {
		o.event(1, event.User, "akim")
		d := o.request(Access)
		if _, err := o.Pack(o.t.Context(), o.task("key:a", d.ID)); err != nil {
			o.t.Fatal(err)
		}
		p, r, err := o.Download(o.t.Context(), 1, "key:a", d.ID)
		if err != nil || p.Events != 1 {
			o.t.Fatalf("%+v %v", p, err)
		}
		if err := r.Close(); err != nil {
			o.t.Fatal(err)
		}
		if _, _, err := o.Download(o.t.Context(), 2, "key:x", d.ID); !errors.Is(err, fault.NotFound) {
			o.t.Errorf("another tenant: %v", err)
		}
		list, n, err := o.List(o.t.Context(), 1, Query{Filter: Filter{Search: "AKIM", Kinds: []Kind{Access}, Overdue: new(false)}})
		if err != nil || n != 1 || list[0].Masked.Name == "Anna Kim" {
			o.t.Fatalf("%d %+v %v", n, list, err)
		}
		o.now = time.Now().AddDate(0, 0, packageDays+1) // files have the time of the machine
		for range 2 {
			if err := o.Look(o.t.Context()); err != nil {
				o.t.Fatal(err)
			}
		}
		if _, err := o.Vault.Get(1, vault.Ref{SHA256: p.SHA256, Size: p.Size}); !errors.Is(err, fault.NotFound) {
			o.t.Errorf("an expired package is still there: %v", err)
		}
		told, err := sqldb.One(o.t.Context(), o.DB, sqldb.Value[int64], `SELECT count(*) FROM outbox_message WHERE event = 'dsr.overdue'`)
		if err != nil || told != 1 {
			o.t.Errorf("told %d times: %v", told, err)
		}
		if _, err := o.Patch(o.t.Context(), 1, "key:a", d.ID, Patch{Extension: new("many")}); !errors.Is(err, fault.Conflict) {
			o.t.Errorf("extended after the term: %v", err)
		}
		if _, err := o.Patch(o.t.Context(), 1, "key:a", d.ID, Patch{Status: new(Rejected), Reason: new("unfounded")}); err != nil {
			o.t.Fatal(err)
		}
		o.now = o.now.AddDate(3, 0, 0)
		if err := o.Look(o.t.Context()); err != nil {
			o.t.Fatal(err)
		}
		got, err := o.Get(o.t.Context(), 1, d.ID)
		if err != nil || got.MinimisedAt == nil || got.Masked.Name != "" {
			o.t.Errorf("%+v %v", got, err)
		}
		if _, err := o.Reveal(o.t.Context(), 1, "key:a", d.ID); !errors.Is(err, fault.Conflict) {
			o.t.Errorf("a forgotten person is revealed: %v", err)
		}
	})
}

func TestSettingsAndExtension(t *testing.T) {
	each(t, func(o *office) {
		ctx := o.t.Context()
		for _, bad := range []Settings{{Zone: "UTC", Law: "HIPAA"}, {Zone: "Mars"}, {}, {Zone: "UTC", Holidays: []string{"25.12."}}} {
			if _, err := o.SetSettings(ctx, 1, "key:a", bad); !errors.Is(err, fault.Invalid) {
				o.t.Errorf("%+v: %v", bad, err)
			}
		}
		if _, err := o.Create(ctx, 1, "key:a", Draft{Kind: Access, Person: Person{Name: "A", Identifiers: []Identifier{{Type: "user", Value: "akim"}}}}); !errors.Is(err, fault.Invalid) {
			o.t.Errorf("a request without a law: %v", err)
		}
		set, err := o.SetSettings(ctx, 1, "key:a", Settings{Law: PIPA, Zone: "Asia/Seoul", Holidays: []string{"2026-05-05", "2026-05-04", "2026-05-05"}})
		if err != nil || set.Version != 1 || len(set.Holidays) != 2 {
			o.t.Fatalf("%+v %v", set, err)
		}
		if _, err := o.SetSettings(ctx, 1, "key:a", Settings{Zone: "UTC"}); !errors.Is(err, fault.Conflict) {
			o.t.Errorf("an old version was taken: %v", err)
		}
		o.now = time.Date(2026, 4, 22, 16, 0, 0, 0, time.UTC) // the 23rd in Seoul
		d, err := o.Create(ctx, 1, "key:a", Draft{Kind: Access, Person: Person{Name: "A", Identifiers: []Identifier{{Type: "user", Value: "akim"}}}})
		if err != nil || d.Law != PIPA || d.ReceivedOn != "2026-04-23" || d.DueOn != "2026-05-06" || !d.DueAt.Equal(time.Date(2026, 5, 6, 15, 0, 0, 0, time.UTC)) {
			o.t.Fatalf("%+v %v", d, err) // 3 May is a Sunday, then two holidays
		}
		if _, err := o.Patch(ctx, 1, "key:a", d.ID, Patch{Extension: new("archives abroad")}); !errors.Is(err, fault.Invalid) {
			o.t.Errorf("extended without telling the person: %v", err)
		}
		if _, err := o.Patch(ctx, 1, "key:a", d.ID, Patch{Extension: new("archives abroad"), Told: new("2026-04-30")}); !errors.Is(err, fault.Invalid) {
			o.t.Errorf("told in the future: %v", err)
		}
		o.now = o.now.AddDate(0, 0, 8)
		d, err = o.Patch(ctx, 1, "key:a", d.ID, Patch{Extension: new("archives abroad"), Told: new("2026-04-30")})
		if err != nil || d.DueOn != "2026-05-13" || d.ExtensionTold != "2026-04-30" {
			o.t.Fatalf("%+v %v", d, err)
		}
		if _, err := o.Patch(ctx, 1, "key:a", d.ID, Patch{Extension: new("once more"), Told: new("2026-04-30")}); !errors.Is(err, fault.Conflict) {
			o.t.Errorf("extended twice: %v", err)
		}
		if other, err := o.Settings(ctx, 2); err != nil || other.Law != "" || other.Zone != "UTC" {
			o.t.Errorf("another tenant's: %+v %v", other, err)
		}
	})
}
