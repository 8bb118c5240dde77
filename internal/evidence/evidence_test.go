package evidence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/vault"
)

const tenant = 7

var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

type world struct {
	*testing.T
	*evidence.Service
	db     *sqldb.DB
	dir    string // of the vault
	clock  time.Time
	signer *audit.Signer
}

func newWorld(t *testing.T, db *sqldb.DB) *world {
	t.Helper()
	w := &world{T: t, db: db, dir: filepath.Join(t.TempDir(), "vault"), clock: noon, signer: audit.NewSigner([32]byte{9})}
	files, err := vault.Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.clock }
	judge := compliance.New(compliance.Config{DB: db, Now: now, Evidence: evidence.Known})
	w.Service = evidence.New(evidence.Config{DB: db, Files: files, Compliance: judge, Signer: w.signer, Now: now, Version: "1.2.3", Host: "kyra-1"})
	return w
}

func each(t *testing.T, f func(w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(newWorld(t, db)) })
}

// result is what a check found now.
func (w *world) result(check string, o compliance.Outcome, facts string) compliance.Result {
	return compliance.Result{
		Variant: check, Check: check, Outcome: o, Value: new(0.5), Unit: "ratio", Threshold: "ratio >= 0.98", Reason: "Half of all have it: let the others have it, too.",
		Population: compliance.Population{Definition: "accounts", Size: 2, Sample: 2}, From: w.clock.Add(-24 * time.Hour), To: w.clock, CollectedAt: w.clock,
		Method: "SELECT count(*) FROM account WHERE tenant = 7", Resources: []string{"table account"}, Facts: json.RawMessage(facts),
	}
}

func (w *world) save(results ...compliance.Result) []compliance.Result {
	w.Helper()
	if err := w.Save(w.Context(), tenant, results); err != nil {
		w.Fatal(err)
	}
	return results
}

// everything saves that every check passes.
func (w *world) everything() []compliance.Result {
	w.Helper()
	variants, err := w.Compliance.Variants(w.Context(), tenant)
	if err != nil {
		w.Fatal(err)
	}
	var all []compliance.Result
	for _, v := range variants {
		r := w.result(v.Check, compliance.Pass, `{"check":"`+v.Check+`"}`)
		r.Variant = v.Key()
		all = append(all, r)
	}
	return w.save(all...)
}

func (w *world) get(id string) *evidence.Kept {
	w.Helper()
	k, err := w.Get(w.Context(), tenant, id)
	if err != nil {
		w.Fatal(err)
	}
	return k
}

func (w *world) artifact(id string) string {
	w.Helper()
	_, r, err := w.Open(w.Context(), tenant, id)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

func TestSave(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		saved := w.save(
			w.result("mfa-all", compliance.Fail, `{"users":[{"name":"ann","password":"hunter2","mfa":false}],"passwordPolicy":{"length":12}}`),
			w.result("audit-chain", compliance.Pass, ``))
		k := w.get(saved[0].EvidenceID)
		if k.Seq != 1 || k.CheckID != "mfa-all" || k.Result != compliance.Fail || k.Method == "" || k.Population.Size != 2 || !k.EffectiveAt.Equal(noon) || !k.ValidUntil.Equal(noon.Add(48*time.Hour)) ||
			k.Collector != (evidence.Collector{Service: "kyra", Version: "1.2.3", Host: "kyra-1"}) || k.CheckVersion != 1 || len(k.PrevHash) != 0 {
			w.Errorf("record is %s", k.JSON)
		}
		if got, want := w.artifact(k.ID), `{"passwordPolicy":{"length":12},"users":[{"mfa":false,"name":"ann","password":"[redacted]"}]}`; got != want {
			w.Errorf("artifact is %s, want %s", got, want)
		}
		if !slices.Equal(k.Redactions, []string{"users.*.password"}) {
			w.Errorf("redactions are %v", k.Redactions)
		}
		if again, err := evidence.Canonical(k.JSON); err != nil || !bytes.Equal(again, k.JSON) {
			w.Errorf("the record is not canonical: %v", err)
		}
		second := w.get(saved[1].EvidenceID)
		if second.Artifact != nil || second.Seq != 2 || !bytes.Equal(second.PrevHash, k.Hash) {
			w.Errorf("second record is %s", second.JSON)
		}
		// What compliance shows names the evidence.
		f, err := w.Compliance.Find(ctx, tenant, "ISO27001")
		if err != nil {
			w.Fatal(err)
		}
		v, err := w.Compliance.View(ctx, tenant, f, compliance.Full, w.clock)
		if err != nil {
			w.Fatal(err)
		}
		shown := 0
		for i := range v.Controls {
			for _, x := range v.Controls[i].Findings {
				if x.Result != nil && x.Result.EvidenceID == k.ID {
					shown++
				}
			}
		}
		if shown == 0 {
			w.Error("no control shows the evidence")
		}
		// The audit log names the head, in the same transaction.
		entries, _, err := audit.List(ctx, w.db, tenant, audit.Filter{Action: "evidence.collect"})
		if err != nil || len(entries) != 1 || !strings.Contains(string(entries[0].Detail), `"lastSeq":2`) || k.AuditSeq != entries[0].Seq {
			w.Errorf("audit has %+v, %v", entries, err)
		}
		w.whole(2)
		// Another tenant sees nothing, and has a chain of its own.
		if _, err := w.Get(ctx, 8, k.ID); !errors.Is(err, fault.NotFound) {
			w.Errorf("another tenant: %v, want NotFound", err)
		}
		if _, err := w.Check(ctx, 8, k.ID); !errors.Is(err, fault.NotFound) {
			w.Errorf("another tenant: %v, want NotFound", err)
		}
	})
}

// whole fails the test where anything is not as it was kept.
func (w *world) whole(want int64) {
	w.Helper()
	n, flaws, err := w.CheckAll(w.Context(), tenant)
	if err != nil || n != want || len(flaws) > 0 {
		w.Errorf("%d records, flaws %v, %v; want %d and none", n, flaws, err, want)
	}
}

// An empty population is no pass, in the evidence as in the status.
func TestNothingLookedAtIsNoPass(t *testing.T) {
	each(t, func(w *world) {
		r := w.result("mfa-all", compliance.Pass, `{}`)
		r.Population.Size = 0
		if k := w.get(w.save(r)[0].EvidenceID); k.Result != compliance.NoData {
			w.Errorf("result is %s", k.Result)
		}
	})
}

// Where the file cannot be kept nothing is: no record, no result, no entry.
func TestSaveIsAllOrNothing(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		if err := os.RemoveAll(w.dir); err != nil {
			w.Fatal(err)
		}
		results := []compliance.Result{w.result("audit-chain", compliance.Pass, ``), w.result("mfa-all", compliance.Fail, `{"a":1}`)}
		if err := w.Save(ctx, tenant, results); err == nil {
			w.Fatal("it was saved without its file")
		}
		bad := []compliance.Result{w.result("audit-chain", compliance.Pass, ``), w.result("mfa-all", compliance.Fail, `{"a":`)}
		if err := w.Save(ctx, tenant, bad); err == nil {
			w.Fatal("facts that are no JSON were saved")
		}
		unknown := []compliance.Result{w.result("no-such-check", compliance.Pass, ``)}
		if err := w.Save(ctx, tenant, unknown); err == nil {
			w.Fatal("a check that there is not was saved")
		}
		for _, table := range []string{"evidence_record", "compliance_result", "audit_entry"} {
			if n, err := sqldb.One(ctx, w.db, sqldb.Value[int64], `SELECT count(*) FROM `+table); err != nil || n != 0 {
				w.Errorf("%s has %d rows, %v", table, n, err)
			}
		}
	})
}

func TestAppendOnly(t *testing.T) {
	each(t, func(w *world) {
		w.save(w.result("mfa-all", compliance.Fail, `{}`))
		for _, query := range []string{`UPDATE evidence_record SET result = 'pass'`, `DELETE FROM evidence_record`} {
			if _, err := sqldb.Exec(w.Context(), w.db, query); err == nil {
				w.Errorf("%s went through", query)
			}
		}
	})
}

// forge writes past the guard of the table, as who owns the database's file can.
func (w *world) forge(statement string) {
	w.Helper()
	disarm := []string{`DROP TRIGGER IF EXISTS evidence_record_no_update`, `DROP TRIGGER IF EXISTS evidence_record_no_delete`}
	if w.db.Dialect() == sqldb.Postgres {
		disarm = []string{`DROP TRIGGER IF EXISTS evidence_record_no_change ON evidence_record`}
	}
	for _, query := range append(disarm, statement) {
		if _, err := sqldb.Exec(w.Context(), w.db, query); err != nil {
			w.Fatal(err)
		}
	}
}

func TestTamperingIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		statement string
		seq       int64
		what      string
	}{
		"a result that is better": {`UPDATE evidence_record SET record = replace(record, '"result":"fail"', '"result":"pass"') WHERE seq = 2`, 2, "the record was changed"},
		"gone":                    {`DELETE FROM evidence_record WHERE seq = 2`, 2, "missing"},
		"the last one gone":       {`DELETE FROM evidence_record WHERE seq = 4`, 4, "missing"},
		"a new hash alone":        {`UPDATE evidence_record SET hash = content WHERE seq = 2`, 2, "does not fit its place"},
		"another head":            {`UPDATE evidence_head SET hash = (SELECT content FROM evidence_record WHERE seq = 4)`, 4, "head"},
		"another entry":           {`UPDATE evidence_record SET audit_seq = 1 WHERE seq = 4`, 4, "no entry that names"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				saved := w.save(w.result("mfa-all", compliance.Fail, `{"a":1}`), w.result("audit-chain", compliance.Fail, `{"a":2}`), w.result("role-separation", compliance.Fail, `{"a":3}`))
				last := w.save(w.result("mfa-all", compliance.Fail, `{"a":4}`))
				w.forge(tt.statement)
				_, flaws, err := w.CheckAll(w.Context(), tenant)
				if err != nil || !slices.ContainsFunc(flaws, func(f evidence.Flaw) bool { return f.Seq == tt.seq && strings.Contains(f.What, tt.what) }) {
					w.Errorf("flaws are %v, %v; want %q at %d", flaws, err, tt.what, tt.seq)
				}
				if tt.what == "the record was changed" {
					if flaws, err := w.Check(w.Context(), tenant, saved[1].EvidenceID); err != nil || len(flaws) != 1 {
						w.Errorf("flaws of the record are %v, %v", flaws, err)
					}
				}
				if flaws, err := w.Check(w.Context(), tenant, saved[0].EvidenceID); err != nil || len(flaws) != 0 {
					w.Errorf("flaws of a good record are %v, %v", flaws, err)
				}
				_ = last
			})
		})
	}
}

func TestFilesOnDiskAreLookedAt(t *testing.T) {
	each(t, func(w *world) {
		saved := w.save(w.result("mfa-all", compliance.Fail, `{"a":1}`), w.result("audit-chain", compliance.Fail, `{"a":2}`))
		one, two := w.get(saved[0].EvidenceID).Artifact.SHA256, w.get(saved[1].EvidenceID).Artifact.SHA256
		path := func(sum string) string { return filepath.Join(w.dir, "7", sum[:2], sum) }
		if err := errors.Join(os.WriteFile(path(one), []byte(`{"a":9}`), 0o600), os.Remove(path(two))); err != nil {
			w.Fatal(err)
		}
		_, flaws, err := w.CheckAll(w.Context(), tenant)
		if err != nil || len(flaws) != 2 || !strings.Contains(flaws[0].What, "changed on disk") || !strings.Contains(flaws[1].What, "not in the vault") {
			w.Errorf("flaws are %v, %v", flaws, err)
		}
		_, r, err := w.Open(w.Context(), tenant, saved[0].EvidenceID)
		if err != nil {
			w.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadAll(r); !errors.Is(err, vault.ErrChanged) {
			w.Errorf("reading it: %v, want ErrChanged", err)
		}
	})
}

// A record that was altered and a file that was altered are found by the next night.
func TestNightly(t *testing.T) {
	each(t, func(w *world) {
		saved := w.save(w.result("mfa-all", compliance.Fail, `{"a":1}`), w.result("audit-chain", compliance.Fail, `{"a":2}`), w.result("role-separation", compliance.Fail, `{"a":3}`))
		raised := 0
		refused := errors.New("refused")
		var refuse error
		raise := func(context.Context, *sqldb.DB, *evidence.Health) error {
			if refuse == nil {
				raised++
			}
			return refuse
		}
		look := func(at time.Time) (*evidence.Health, bool) {
			w.Helper()
			v, fresh, err := w.Nightly(w.Context(), tenant, at, raise)
			if err != nil {
				w.Fatal(err)
			}
			return v, fresh
		}
		if v, fresh := look(noon); v == nil || fresh || v.Records != 3 || v.Flaws != 0 {
			w.Errorf("good evidence: %+v, %v", v, fresh)
		}
		if v, _ := look(noon.Add(11 * time.Hour)); v != nil {
			w.Errorf("looked at twice a day: %+v", v)
		}
		night := noon.Add(12*time.Hour + time.Minute)
		w.forge(`UPDATE evidence_record SET record = replace(record, '"result":"fail"', '"result":"pass"') WHERE seq = 2`)
		// Where the alert cannot be raised the finding is not kept either, so that the next look raises it.
		refuse = refused
		if _, _, err := w.Nightly(w.Context(), tenant, night.Add(-7*time.Hour+24*time.Hour), raise); !errors.Is(err, refused) {
			w.Errorf("raising the alert failed: %v", err)
		}
		refuse = nil
		night = night.Add(24 * time.Hour)
		v, fresh := look(night)
		if v == nil || !fresh || v.Flaws != 1 || v.First.ID != saved[1].EvidenceID || v.First.Seq != 2 || !strings.Contains(v.First.What, "the record was changed") {
			w.Fatalf("a record that was altered: %+v, %v", v, fresh)
		}
		if v, fresh := look(night.Add(24 * time.Hour)); v == nil || fresh || v.Flaws != 1 {
			w.Errorf("the same again: %+v, %v", v, fresh)
		}
		sum := w.get(saved[2].EvidenceID).Artifact.SHA256
		if err := os.WriteFile(filepath.Join(w.dir, "7", sum[:2], sum), []byte(`{"a":9}`), 0o600); err != nil {
			w.Fatal(err)
		}
		if v, fresh := look(night.Add(48 * time.Hour)); v == nil || !fresh || v.Flaws != 2 {
			w.Errorf("a file that was altered, too: %+v, %v", v, fresh)
		}
		last, err := w.LastHealth(w.Context(), tenant)
		if err != nil || last == nil || last.Flaws != 2 || last.First != v.First || !last.At.Equal(night.Add(48*time.Hour)) {
			w.Errorf("kept is %+v, %v", last, err)
		}
		if raised != 2 {
			w.Errorf("raised %d times", raised)
		}
	})
}

// Twice its cadence after it was collected evidence counts no more, by itself.
func TestStaleEvidenceLowersTheStatus(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		w.everything()
		f, err := w.Compliance.Find(ctx, tenant, "ISMS-P")
		if err != nil {
			w.Fatal(err)
		}
		score := func() compliance.Coverage {
			v, err := w.Compliance.View(ctx, tenant, f, compliance.Core, w.clock)
			if err != nil {
				w.Fatal(err)
			}
			return v.Coverage
		}
		if c := score(); c.Compliant != 24 || c.Score != 7742 {
			w.Errorf("coverage is %+v, want 24 compliant", c)
		}
		w.clock = w.clock.Add(30 * 24 * time.Hour)
		if err := w.Compliance.Settle(ctx, tenant); err != nil {
			w.Fatal(err)
		}
		if c := score(); c.Compliant >= 24 || c.NotAssessed+c.Partial == 0 {
			w.Errorf("a month later coverage is %+v", c)
		}
		w.clock = w.clock.Add(800 * 24 * time.Hour)
		if c := score(); c.Compliant != 0 || c.Score != 0 {
			w.Errorf("two years later coverage is %+v", c)
		}
	})
}

func TestOneItemServesEveryFramework(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		saved := w.save(w.result("mfa-all", compliance.Fail, `{}`))
		refs, err := w.Refs(ctx, tenant)
		if err != nil {
			w.Fatal(err)
		}
		k := w.get(saved[0].EvidenceID)
		frameworks := map[string]bool{}
		for _, c := range refs.Of(&k.Record) {
			frameworks[c.Framework] = true
		}
		if len(frameworks) < 8 {
			w.Errorf("it serves %v", frameworks)
		}
		if strings.Contains(string(k.JSON), "ISMSP") {
			w.Error("the record names frameworks: they are derived")
		}
		for c := range slices.Values(refs.Of(&k.Record)) {
			page, n, err := w.List(ctx, tenant, evidence.Filter{Framework: c.Framework, Control: c.Control})
			if err != nil || n != 1 || page[0].ID != k.ID {
				w.Errorf("%v lists %d, %v", c, n, err)
			}
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		w.save(w.result("mfa-all", compliance.Fail, `{}`), w.result("audit-chain", compliance.Pass, `{}`))
		w.clock = noon.Add(24 * time.Hour)
		w.save(w.result("mfa-all", compliance.Pass, `{}`))
		if _, err := w.Upload(ctx, tenant, "ann", evidence.Draft{Name: "june.txt", Content: []byte("reviewed"), Controls: []evidence.Control{{Framework: "isms-p", Control: "2.5.6"}}, EffectiveAt: noon.Add(-30 * 24 * time.Hour)}); err != nil {
			w.Fatal(err)
		}
		for _, x := range []struct {
			f    evidence.Filter
			want int64
		}{
			{evidence.Filter{}, 4},
			{evidence.Filter{Check: "mfa-all"}, 2},
			{evidence.Filter{Result: "fail"}, 1},
			{evidence.Filter{Kind: evidence.Manual}, 1},
			{evidence.Filter{From: noon.Add(time.Hour)}, 1},
			{evidence.Filter{To: noon.Add(time.Hour)}, 3},
			{evidence.Filter{From: noon.Add(-40 * 24 * time.Hour), To: noon.Add(-20 * 24 * time.Hour)}, 1}, // by its effective date
			{evidence.Filter{Framework: "ISMSP", Control: "2.5.6", Kind: evidence.Manual}, 1},
			{evidence.Filter{Framework: "SOC2", Kind: evidence.Manual}, 0},
			{evidence.Filter{Control: "nope"}, 0},
		} {
			page, n, err := w.List(ctx, tenant, x.f)
			if err != nil || n != x.want || int64(len(page)) != x.want {
				w.Errorf("%+v lists %d, %v; want %d", x.f, n, err, x.want)
			}
		}
		if _, _, err := w.List(ctx, tenant, evidence.Filter{Framework: "nope"}); !errors.Is(err, fault.Invalid) {
			w.Errorf("unknown framework: %v", err)
		}
		page, _, err := w.List(ctx, tenant, evidence.Filter{Size: 1, Page: 1})
		if err != nil || len(page) != 1 || page[0].Seq != 2 {
			w.Errorf("second page is %v, %v", page, err)
		}
	})
}
