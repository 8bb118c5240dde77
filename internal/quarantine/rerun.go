package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Input names the door that re-runs go through. A chunk of it names, behind a colon, the
// door that its record came by first.
const Input = "quarantine"

// Again reports whether the records of an input come from a re-run.
func Again(input string) bool {
	rest, ok := strings.CutPrefix(input, Input)
	return ok && (rest == "" || rest[0] == ':')
}

// Door returns the door that the records of an input came by first.
func Door(input string) string {
	if door, ok := strings.CutPrefix(input, Input+":"); ok {
		return door
	}
	return input
}

// RerunJob is the kind of job that reads the quarantine again.
const RerunJob = "quarantine-rerun"

// Config is what a Service needs. DB and Events are required, the next two for re-runs.
type Config struct {
	DB      *sqldb.DB
	Events  eventstore.Store
	Sources *source.Service
	Append  func(ctx context.Context, c *queue.Chunk) error // answers when c is on disk

	// Settings gives the settings by which a tenant's records are read; nil: there are none.
	Settings func(ctx context.Context, tenant uint32) (*parse.Settings, error)
	// Erased tells which of a tenant's events were erased and must not come back; nil, and
	// what it returns may be nil: none.
	Erased func(ctx context.Context, tenant uint32) (func(*event.Event) bool, error)
	Zone   *time.Location // of times that carry none
	Log    *slog.Logger
}

// Service is the use cases.
type Service struct{ Config }

// New returns the use cases.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{c}
}

// Kinds returns the jobs that quarantine can do.
func (s *Service) Kinds() map[string]job.Kind {
	return map[string]job.Kind{RerunJob: {Work: s.rerunJob, Time: 6 * time.Hour}}
}

// A RerunRequest says what to read again.
type RerunRequest struct {
	Source string    `json:"source,omitempty"`
	Reason string    `json:"reason,omitempty"`
	From   time.Time `json:"from"` // arrival of the events: From ≤ t < To, at most microseconds count
	To     time.Time `json:"to"`
	DryRun bool      `json:"dryRun"`
}

// A RerunResult says what came of it.
type RerunResult struct {
	DryRun      bool             `json:"dryRun" doc:"Nothing was changed."`
	Read        int64            `json:"read" doc:"Quarantined events that were read."`
	Understood  int64            `json:"understood" doc:"Of them, those that a parser reads now."`
	Moved       int64            `json:"moved" doc:"Of them, those whose old row was erased: they went through queue and detection again."`
	Erased      int64            `json:"erased" doc:"Of them, those of a person whose events were erased: they are removed."`
	Refused     int64            `json:"refused" doc:"Still in quarantine."`
	WithoutText int64            `json:"withoutText" doc:"Still in quarantine: the index does not hold their whole text."`
	Finished    int64            `json:"finished" doc:"Events of an earlier re-run, which ended too early, whose move was finished."`
	ByParser    map[string]int64 `json:"byParser" doc:"Understood, by parser."`
	ByReason    map[string]int64 `json:"byReason" doc:"Refused, by the reason that holds now."`
}

// Check refuses requests that no re-run takes.
func (r *RerunRequest) Check() error {
	switch {
	case r.Reason != "" && parse.Reasons[parse.Reason(r.Reason)] == "":
		return fault.New(fault.Invalid, "There is no such reason: see the list of the quarantine").In("reason")
	case !r.From.Before(r.To):
		return fault.New(fault.Invalid, "Must be later than from").In("to")
	}
	return nil
}

// Filter finds the quarantined events of a source and a reason, "" for all.
func Filter(from, reason string) query.Node {
	nodes := []query.Node{query.Exists{Field: query.NewField(event.ParseErrorReason)}}
	if reason != "" {
		nodes = append(nodes, query.Equal{Field: query.NewField(event.ParseErrorReason), Value: reason})
	}
	if from != "" {
		nodes = append(nodes, query.Equal{Field: query.NewField(event.Source), Value: from})
	}
	return query.And{Nodes: nodes}
}

func (s *Service) rerunJob(ctx context.Context, t *job.Task) (any, error) {
	var r RerunRequest
	if err := t.Read(&r); err != nil {
		return nil, err
	}
	return s.Rerun(ctx, t.Tenant, r, func(read int64) { t.Progress(read, 0, "events read") })
}

// Rerun reads the quarantined events again with the parsers and settings of now.
// progress is told how many were read.
func (s *Service) Rerun(ctx context.Context, tenant uint32, r RerunRequest, progress func(int64)) (*RerunResult, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	run := &rerun{
		Service: s, tenant: tenant, parser: parse.New(parse.Options{}),
		out: &RerunResult{DryRun: r.DryRun, ByParser: map[string]int64{}, ByReason: map[string]int64{}},
	}
	if s.Settings != nil {
		var err error
		if run.settings, err = s.Settings(ctx, tenant); err != nil {
			return nil, fmt.Errorf("settings of log sources: %w", err)
		}
	}
	if s.Erased != nil {
		var err error
		if run.erased, err = s.Erased(ctx, tenant); err != nil {
			return nil, err
		}
	}
	if !r.DryRun {
		var err error
		if run.out.Finished, err = s.finish(ctx, tenant); err != nil {
			return nil, err
		}
	}
	err := s.Events.Walk(ctx, eventstore.WalkRequest{
		Tenant: tenant, Filter: Filter(r.Source, r.Reason), From: eventstore.MinTime, To: eventstore.MaxTime + 1, // a broken record may say any time
	}, func(events []event.Event) error {
		for i := range events {
			if at := events[i].Arrived; at < r.From.UnixMicro()*1000 || at >= r.To.UnixNano() {
				continue
			}
			if err := run.read(ctx, &events[i]); err != nil {
				return err
			}
		}
		progress(run.out.Read)
		return nil
	})
	if err == nil {
		err = errors.Join(run.send(ctx), run.forget(ctx, 1))
	}
	if err != nil {
		return nil, err
	}
	return run.out, nil
}

// rerun is one Rerun at work.
type rerun struct {
	*Service
	tenant   uint32
	parser   *parse.Parser
	settings *parse.Settings
	out      *RerunResult
	erased   func(*event.Event) bool // nil: none
	wait     []again                 // understood, not sent yet
	gone     []string                // ids of events that were erased and are understood only now
	scratch  event.Event
}

// again is a record that goes through the queue once more.
type again struct {
	raw          string
	id           event.ID
	arrived      int64
	peer, source string
	key          string // of the token or collector that it came through: settings may be chosen by it
	door         string // that it came by, likewise; "" of what came before this was kept
	reason       string
}

// input is the door that a re-run goes through.
func (a *again) input() string {
	if a.door == "" {
		return Input
	}
	return Input + ":" + a.door
}

// atOnce is how many records are moved at a time: each move rewrites parts of the store.
const atOnce = 1000

func (r *rerun) read(ctx context.Context, e *event.Event) error {
	r.out.Read++
	raw, ok := textOf(e)
	if !ok {
		r.out.WithoutText++
		return nil
	}
	a := again{raw: raw, id: e.ID, arrived: e.Arrived, peer: e.Get(event.PeerIP), key: e.Get(event.CollectorID), source: e.Get(event.Source), door: e.Get(event.ParseErrorInput), reason: e.Get(event.ParseErrorReason)}
	x, failure := r.parse(&parse.Record{
		Tenant: r.tenant, Raw: raw, Arrived: a.arrived, Peer: a.peer, Source: a.hint(), Input: Door(a.input()), Key: a.key, Zone: r.Zone, Settings: r.settings,
	})
	if failure != "" {
		r.out.Refused++
		r.out.ByReason[string(failure)]++
		return nil
	}
	r.out.Understood++
	r.out.ByParser[x.Parser]++
	if r.scratch.Tenant, r.scratch.Arrived = r.tenant, a.arrived; r.erased != nil && r.erased(&r.scratch) {
		r.out.Erased++
		if !r.out.DryRun {
			r.gone = append(r.gone, a.id.String())
		}
		return r.forget(ctx, atOnce)
	}
	if r.out.DryRun {
		return nil
	}
	if r.wait = append(r.wait, a); len(r.wait) < atOnce {
		return nil
	}
	return r.send(ctx)
}

// forget removes erased events when there are so many.
func (r *rerun) forget(ctx context.Context, many int) error {
	if len(r.gone) < many {
		return nil
	}
	err := Erase(ctx, r.Events, r.tenant, r.gone)
	r.gone = r.gone[:0]
	return err
}

// parse never panics: a parser that fails again leaves the record where it is.
func (r *rerun) parse(rec *parse.Record) (x parse.Explanation, failure parse.Reason) {
	defer func() {
		if recover() != nil {
			failure = parse.ReasonPanic
			r.parser = parse.New(parse.Options{})
		}
	}()
	x = r.parser.ParseExplain(rec, &r.scratch)
	return x, r.parser.Failure()
}

// textOf returns the record as it came. The index keeps JSON only once.
func textOf(e *event.Event) (string, bool) {
	if e.Raw != "" {
		return e.Raw, true
	}
	m := e.Get(event.Message)
	return m, query.IsJSON(m)
}

// hint is what the record is read as: its source, which a broken record has by its
// format or by its sender's word.
func (a *again) hint() string {
	if a.reason == string(parse.ReasonMismatch) || a.reason == string(parse.ReasonPanic) {
		return "" // by what it is, whatever was said of it
	}
	return a.source
}

// send moves what waits: through the queue, out of the store, over in the counts.
func (r *rerun) send(ctx context.Context) error {
	if len(r.wait) == 0 {
		return nil
	}
	m := newMove(r.tenant, r.wait)
	if err := r.plan(ctx, m); err != nil {
		return err
	}
	all, appendCtx := errgroup.WithContext(ctx)
	all.SetLimit(32)
	for i := range r.wait {
		a := &r.wait[i]
		all.Go(func() error {
			return r.append(appendCtx, &queue.Chunk{
				Tenant: r.tenant, Input: a.input(), Peer: a.peer, Source: a.hint(), Key: a.key, Arrived: a.arrived, Records: []string{a.raw}, IDs: []string{a.id.String()},
			})
		})
	}
	if err := all.Wait(); err != nil {
		return fmt.Errorf("send records through the queue: %w", err)
	}
	if err := r.appended(ctx, m); err != nil {
		return err
	}
	n, err := r.complete(ctx, m)
	r.out.Moved += n
	r.wait = r.wait[:0]
	return err
}

// append waits while the queue is full.
func (r *rerun) append(ctx context.Context, c *queue.Chunk) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := r.Append(ctx, c)
		if !errors.Is(err, fault.Unavailable) && !errors.Is(err, fault.Limited) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return cmp.Or(err, context.Cause(ctx))
		}
	}
}

// Excerpt is the begin of a record, for people.
func Excerpt(e *event.Event) string {
	const most = 500
	text, _ := textOf(e)
	text = cmp.Or(text, e.Get(event.Message))
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
