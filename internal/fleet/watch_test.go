package fleet

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// look lets time pass as Run does.
func (b *bench) look(d time.Duration) {
	b.t.Helper()
	for range d / lookEvery {
		b.pass(lookEvery)
		must(b.t, b.Look(b.ctx))
	}
}

// told returns the events of the outbox, the oldest first.
func (b *bench) told() []string {
	b.t.Helper()
	all, err := sqldb.All(b.ctx, b.db, sqldb.Value[string], `SELECT event FROM outbox_message ORDER BY id`)
	must(b.t, err)
	return all
}

func TestGoneAndBackIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		_, silent := b.enrol(b.a) // never started: not missed
		_, c := b.enrol(b.a)
		b.beat(c, Report{})
		must(t, b.Flush(b.ctx))
		b.look(source.OfflineAfter - lookEvery)
		if got := b.told(); len(got) != 0 {
			t.Fatalf("too early: %v", got)
		}
		b.look(3 * lookEvery)
		want := []string{outbox.CollectorDisconnected}
		if got := b.told(); !cmp.Equal(got, want) {
			t.Fatalf("told %v, want %v", got, want)
		}
		b.look(source.OfflineAfter)
		b.restart()
		b.look(3 * source.OfflineAfter)
		if got := b.told(); !cmp.Equal(got, want) {
			t.Fatalf("told again: %v", got)
		}
		list, err := b.Sources.List(b.ctx, b.a)
		if err != nil || list[0].Status != source.Offline {
			t.Errorf("list: %+v %v", list, err)
		}
		for range 2 {
			b.beat(c, Report{})
			must(t, b.Flush(b.ctx))
		}
		want = append(want, outbox.CollectorConnected)
		if got := b.told(); !cmp.Equal(got, want) {
			t.Fatalf("told %v, want %v", got, want)
		}
		m, err := b.Member(b.ctx, b.a, silent.ID)
		if err != nil || m.AwaySince != nil {
			t.Errorf("the one that never started: %+v %v", m, err)
		}
	})
}

func TestNobodyIsGoneWhileTheServerWas(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		_, c := b.enrol(b.a)
		b.beat(c, Report{})
		must(t, b.Flush(b.ctx))
		must(t, b.Look(b.ctx))
		b.pass(time.Hour)
		b.restart()
		b.look(source.OfflineAfter - lookEvery)
		b.pass(time.Hour) // held up, as a suspended machine is
		b.look(source.OfflineAfter - lookEvery)
		b.beat(c, Report{}) // heard, not yet written
		b.look(2 * lookEvery)
		if got := b.told(); len(got) != 0 {
			t.Errorf("told %v", got)
		}
	})
}

func TestReport(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		g, c := b.enrol(b.a)
		r := Report{
			Address: "192.0.2.7", CPUPercent: 1.5, MemoryBytes: 20 << 20, SpoolBytes: 100, SpoolRecords: 3, OldestSpooled: new(start), ClockOffset: -time.Second,
			Sources: []SourceReport{{Name: "auth", Type: "file", Records: 10, LastError: "a\x00b", LastRecord: new(start), Rate: 0.5}},
		}
		b.beat(c, r)
		b.Acknowledged(c.ID, 7)
		b.Acknowledged(c.ID, 6)
		must(t, b.Flush(b.ctx))
		b.Acknowledged(c.ID, 5) // another process is ahead
		must(t, b.Flush(b.ctx))
		m, err := b.Member(b.ctx, b.a, g.ID)
		r.Sources[0].LastError = "a b"
		if d := cmp.Diff(&r, m.Report); err != nil || d != "" || m.Acked != 7 {
			t.Errorf("%v acked %d (-want +got):\n%s", err, m.Acked, d)
		}
		b.beat(c, Report{Sources: make([]SourceReport, maxSources+1)})
		must(t, b.Flush(b.ctx))
		if m, _ := b.Member(b.ctx, b.a, g.ID); len(m.Report.Sources) != maxSources {
			t.Errorf("%d sources are kept", len(m.Report.Sources))
		}
	})
}

func TestWhatCannotBeWrittenIsKept(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		_, c := b.enrol(b.a)
		b.beat(c, Report{Address: "192.0.2.7"})
		b.Acknowledged(c.ID, 9)
		gone, cancel := context.WithCancel(b.ctx)
		cancel()
		if b.Flush(gone) == nil {
			t.Fatal("flushed without a database")
		}
		must(t, b.Flush(b.ctx))
		m, err := b.Member(b.ctx, b.a, c.ID)
		if err != nil || m.Report == nil || m.Acked != 9 {
			t.Errorf("member: %+v %v", m, err)
		}
	})
}

func TestDesired(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		_, c := b.enrol(b.a)
		fresh := func() Caller {
			c, err := b.Admit(b.ctx, c.ID)
			must(t, err)
			return c
		}
		if a := b.beat(c, Report{}); a.Desired != nil {
			t.Errorf("without a configuration: %+v", a.Desired)
		}
		web := map[string]string{"sources.d/web.yaml": "source: {type: file}\n"}
		must(t, b.SetDesired(b.ctx, b.a, "key:admin", "", web, 0))
		must(t, b.SetDesired(b.ctx, b.b, "key:admin", "", web, 0)) // another tenant counts for itself
		a := b.beat(fresh(), Report{})
		if a.Desired == nil || a.Desired.Revision != 1 || a.Desired.Own || !cmp.Equal(a.Desired.Files, web) {
			t.Fatalf("the default: %+v", a.Desired)
		}
		if a := b.beat(fresh(), Report{ConfigRevision: "1"}); a.Desired != nil {
			t.Errorf("it has it already: %+v", a.Desired)
		}
		if a := b.beat(fresh(), Report{ConfigRefused: "1"}); a.Desired != nil {
			t.Errorf("it has refused it: %+v", a.Desired)
		}
		must(t, b.SetDesired(b.ctx, b.a, "key:admin", c.ID, map[string]string{}, 0))
		if a := b.beat(fresh(), Report{ConfigRevision: "1"}); a.Desired == nil || a.Desired.Revision != 2 || !a.Desired.Own || len(a.Desired.Files) != 0 {
			t.Errorf("its own: %+v", a.Desired)
		}
		wantKind(t, "on another revision", b.SetDesired(b.ctx, b.a, "key:admin", c.ID, web, 1), fault.Conflict)
		must(t, b.SetDesired(b.ctx, b.a, "key:admin", c.ID, nil, 2))
		must(t, b.SetDesired(b.ctx, b.a, "key:admin", c.ID, nil, 0)) // there is none to take back
		if a := b.beat(fresh(), Report{ConfigRevision: "2"}); a.Desired == nil || a.Desired.Revision != 1 {
			t.Errorf("back to the default: %+v", a.Desired)
		}
		must(t, b.SetDesired(b.ctx, b.a, "key:admin", "", nil, 0))
		if a := b.beat(fresh(), Report{ConfigRevision: "1"}); a.Desired == nil || a.Desired.Revision != 0 || len(a.Desired.Files) != 0 {
			t.Errorf("taken back: %+v", a.Desired)
		}
		if a := b.beat(fresh(), Report{ConfigRevision: "0"}); a.Desired != nil {
			t.Errorf("it has none already: %+v", a.Desired)
		}
		wantKind(t, "another tenant", b.SetDesired(b.ctx, b.b, "x", c.ID, web, 0), fault.NotFound)
		entries, _, _ := audit.List(b.ctx, b.db, b.a, audit.Filter{Action: "collectorConfig.update"})
		if len(entries) != 4 {
			t.Errorf("%d entries in the audit log", len(entries))
		}
		for name, files := range map[string]map[string]string{
			"a path": {"sources.d/../x.yaml": ""}, "another folder": {"collector.yaml": ""}, "no YAML": {"sources.d/x.yaml": "a: [b"},
			"a list": {"sources.d/x.yaml": "- a"}, "NUL": {"sources.d/x.yaml": "a: \x00"}, "long": {"sources.d/x.yaml": "a: " + strings.Repeat("x", maxFileBytes)},
		} {
			wantKind(t, name, b.SetDesired(b.ctx, b.a, "x", "", files, 0), fault.Invalid)
		}
	})
}

func TestOldRevisionsGo(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		for i := range keptConfigs + 5 {
			must(t, b.SetDesired(b.ctx, b.a, "x", "", map[string]string{"sources.d/a.yaml": fmt.Sprintf("n: %d", i)}, 0))
		}
		n, err := sqldb.One(b.ctx, b.db, sqldb.Value[int64], `SELECT count(*) FROM fleet_config`)
		d, _ := b.Default(b.ctx, b.a)
		if err != nil || n != keptConfigs || d.Revision != keptConfigs+5 {
			t.Errorf("%d revisions are kept, the last is %d, %v", n, d.Revision, err)
		}
	})
}
