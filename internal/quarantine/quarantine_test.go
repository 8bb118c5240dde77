package quarantine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var hour = time.Date(2026, 4, 25, 9, 0, 0, 0, time.UTC)

// platform is what a re-run works on, with the queue and the pipeline behind it.
type platform struct {
	*Service
	store  *memory.Store
	mu     sync.Mutex
	sent   map[string]string // id → record, as the pipeline keeps one of each id
	twice  int
	broken func(step string) error
}

func setup(t *testing.T, db *sqldb.DB) *platform {
	t.Helper()
	p := &platform{store: &memory.Store{}, sent: map[string]string{}, broken: func(string) error { return nil }}
	p.Service = New(Config{DB: db, Events: breaking{p.store, p}, Sources: source.New(db, time.Now), Append: p.take})
	return p
}

func (p *platform) take(_ context.Context, c *queue.Chunk) error {
	if err := p.broken("append"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Input != Input+":http" || Door(c.Input) != "http" || !Again(c.Input) || len(c.Records) != 1 || len(c.IDs) != 1 || c.Arrived == 0 || c.Key != "token-1" {
		return fmt.Errorf("odd chunk %+v", c)
	}
	if _, ok := p.sent[c.IDs[0]]; ok {
		p.twice++
	}
	p.sent[c.IDs[0]] = c.Records[0]
	return nil
}

// breaking is a store whose erasing may fail.
type breaking struct {
	eventstore.Store
	p *platform
}

func (b breaking) EraseMatching(ctx context.Context, tenant uint32, filter query.Node, from, to int64) (int64, error) {
	if err := b.p.broken("erase"); err != nil {
		return 0, err
	}
	n, err := b.Store.EraseMatching(ctx, tenant, filter, from, to)
	if err == nil {
		err = b.p.broken("erased")
	}
	return n, err
}

// put parses records as an older program would have, whose parsers knew less: reason is
// what it said of them.
func (p *platform) put(t *testing.T, tenant uint32, from string, reason parse.Reason, raws ...string) {
	t.Helper()
	events := make([]event.Event, len(raws))
	for i, raw := range raws {
		e := &events[i]
		*e = event.Event{ID: event.ID{Seq: uint64(len(from)) + uint64(reason[0])<<8, Index: uint32(i)}, Tenant: tenant, Time: hour.UnixNano() + int64(i), Arrived: hour.UnixNano(), Raw: raw}
		e.Add(event.Source, from)
		e.Add(event.Message, raw)
		e.Add(event.PeerIP, "192.0.2.7")
		e.Add(event.CollectorID, "token-1")
		e.Add(event.ParseErrorInput, "http")
		e.Tag(event.TagParseError)
		e.Add(event.ParseErrorReason, string(reason))
	}
	must(t, p.store.Append(t.Context(), events))
	must(t, p.Sources.Record(t.Context(), p.DB, []source.Count{{Tenant: tenant, Source: from, Arrived: hour.UnixNano(), Received: int64(len(raws)), Quarantined: int64(len(raws))}}))
	must(t, Record(t.Context(), p.DB, []Count{{Tenant: tenant, Source: from, Reason: reason, First: hour.UnixNano(), Last: hour.UnixNano() + 5000, Records: int64(len(raws)), Sample: events[len(raws)-1].ID}}))
}

func (p *platform) rerun(t *testing.T, r RerunRequest) (*RerunResult, error) {
	t.Helper()
	if r.To.IsZero() {
		r.From, r.To = hour, hour.Add(time.Hour)
	}
	return p.Rerun(t.Context(), 1, r, func(int64) {})
}

// ledger returns what the ledger and the counts have of tenant 1.
func (p *platform) ledger(t *testing.T) (received, quarantined, counted int64) {
	t.Helper()
	b, err := p.Sources.Balance(t.Context(), 1, source.LedgerQuery{From: hour, To: hour.Add(time.Hour)})
	must(t, err)
	if b.Wrong != 0 || !b.Total.Balanced() {
		t.Errorf("the ledger does not add up: %+v", b)
	}
	l, err := p.List(t.Context(), 1, Query{Size: 10})
	must(t, err)
	return b.Total.Received, b.Total.Quarantined, l.Records
}

func fill(t *testing.T, p *platform) {
	t.Helper()
	p.put(t, 1, "json", parse.ReasonJSONInvalid, `{"a":1}`, `{"event_type":"alert","src_ip":"203.0.113.9","alert":{"signature":"x"}}`, `{"a":"cut`)
	p.put(t, 1, "sshd", parse.ReasonMismatch, `Mar  4 05:06:07 h sshd[1]: Failed password for root from 203.0.113.9 port 5 ssh2`)
	p.put(t, 2, "json", parse.ReasonJSONInvalid, `{"a":2}`)
}

func TestListAndRerun(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		fill(t, p)
		l, err := p.List(t.Context(), 1, Query{Size: 1})
		must(t, err)
		if l.Total != 2 || l.Records != 4 || len(l.Groups) != 1 || l.Groups[0].Source != "json" || l.Groups[0].Records != 3 || !l.Groups[0].First.Equal(hour) ||
			!l.Groups[0].Last.Equal(hour.Add(5*time.Microsecond)) || l.Groups[0].Sample.Index != 2 {
			t.Errorf("List = %+v", l)
		}
		for _, q := range []Query{{Source: "sshd", Size: 10}, {Reason: string(parse.ReasonMismatch), From: hour, To: hour.Add(time.Hour), Size: 10}} {
			if l, err := p.List(t.Context(), 1, q); err != nil || l.Total != 1 || l.Groups[0].Source != "sshd" {
				t.Errorf("%+v: %+v, %v", q, l, err)
			}
		}
		if l, err := p.List(t.Context(), 1, Query{From: hour.Add(time.Hour), Size: 10}); err != nil || l.Total != 0 {
			t.Errorf("a later hour has %+v, %v", l, err)
		}

		dry, err := p.rerun(t, RerunRequest{DryRun: true})
		must(t, err)
		if dry.Read != 4 || dry.Understood != 3 || dry.Refused != 1 || dry.Moved != 0 || dry.ByParser["json"] == 0 || dry.ByParser["sshd"] != 1 || dry.ByReason["json_cut"] != 1 {
			t.Errorf("dry run: %+v", dry)
		}
		if len(p.sent) != 0 {
			t.Error("a dry run sent something")
		}
		only, err := p.rerun(t, RerunRequest{Source: "sshd", Reason: string(parse.ReasonMismatch)})
		must(t, err)
		if only.Moved != 1 || len(p.sent) != 1 {
			t.Errorf("of one source: %+v", only)
		}
		got, err := p.rerun(t, RerunRequest{})
		must(t, err)
		if got.Read != 3 || got.Moved != 2 || len(p.sent) != 3 || p.twice != 0 {
			t.Errorf("re-run: %+v, %d sent", got, len(p.sent))
		}
		if received, quarantined, counted := p.ledger(t); received != 1 || quarantined != 1 || counted != 1 {
			t.Errorf("the ledger has %d received, %d quarantined, %d counted; want what is left", received, quarantined, counted)
		}
		if again, err := p.rerun(t, RerunRequest{}); err != nil || again.Moved != 0 || again.Read != 1 || len(p.sent) != 3 {
			t.Errorf("a second re-run: %+v, %v", again, err)
		}
		if u, err := p.store.Usage(t.Context()); err != nil || u.Rows != 2 {
			t.Errorf("the store has %d rows, want the broken one and another tenant's", u.Rows)
		}
	})
}

// Wherever a re-run dies, the next one leaves each record sent and counted once.
func TestRerunDies(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for i, step := range []string{"append", "erase", "erased"} {
			if i > 0 {
				for _, table := range []string{"quarantine_count", "quarantine_move", "source_ledger"} {
					_, err := sqldb.Exec(t.Context(), db, "DELETE FROM "+table)
					must(t, err)
				}
			}
			p := setup(t, db)
			fill(t, p)
			died := errors.New("died")
			appends := 0
			var mu sync.Mutex
			p.broken = func(at string) error {
				mu.Lock()
				defer mu.Unlock()
				if at == "append" {
					appends++
				}
				if at == step && (at != "append" || appends > 1) {
					return died
				}
				return nil
			}
			if _, err := p.rerun(t, RerunRequest{}); !errors.Is(err, died) {
				t.Fatalf("%s: %v", step, err)
			}
			p.broken = func(string) error { return nil }
			if _, err := p.rerun(t, RerunRequest{}); err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			if received, quarantined, counted := p.ledger(t); len(p.sent) != 3 || received != 1 || quarantined != 1 || counted != 1 {
				t.Errorf("died at %s: %d sent, %d received, %d quarantined, %d counted", step, len(p.sent), received, quarantined, counted)
			}
			if step != "append" && p.twice != 0 {
				t.Errorf("died at %s: %d were sent twice", step, p.twice)
			}
		}
	})
}

func TestRerunRefuses(t *testing.T) {
	for _, r := range []RerunRequest{{From: hour, To: hour}, {From: hour, To: hour.Add(1), Reason: "made up"}} {
		if err := r.Check(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRerunHonoursErasures: what is understood only now, and belongs to a person whose
// events were erased, goes, and nothing of it comes back through the queue.
func TestRerunHonoursErasures(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		fill(t, p)
		p.Erased = func(_ context.Context, tenant uint32) (func(*event.Event) bool, error) {
			return func(e *event.Event) bool {
				return tenant == 1 && e.Get(event.User) == "root" && e.Arrived >= hour.UnixNano()
			}, nil
		}
		if dry, err := p.rerun(t, RerunRequest{DryRun: true}); err != nil || dry.Erased != 1 || dry.Understood != 3 {
			t.Errorf("dry run: %+v, %v", dry, err)
		}
		before, err := p.store.Usage(t.Context())
		must(t, err)
		got, err := p.rerun(t, RerunRequest{})
		must(t, err)
		after, err := p.store.Usage(t.Context())
		must(t, err)
		if got.Erased != 1 || got.Moved != 2 || len(p.sent) != 2 || before.Rows-after.Rows != 3 {
			t.Errorf("re-run: %+v, %d sent, %d rows before and %d after", got, len(p.sent), before.Rows, after.Rows)
		}
	})
}

// TestRerunBySettings: a setting that is chosen by what a record came through or by
// holds when it is read again.
func TestRerunBySettings(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		p.put(t, 1, "json", parse.ReasonJSONInvalid, `{"a":"cut`)
		for match, want := range map[parse.Match]int64{{Key: "token-2"}: 0, {Key: "token-1"}: 1, {Input: "syslog-tcp"}: 0, {Input: "http"}: 1} {
			p.Settings = func(context.Context, uint32) (*parse.Settings, error) {
				return parse.NewSettings([]parse.Setting{{ID: "x", Match: match, Format: "plain"}}), nil
			}
			if got, err := p.rerun(t, RerunRequest{DryRun: true}); err != nil || got.Understood != want {
				t.Errorf("%+v: %+v, %v", match, got, err)
			}
		}
	})
}
