package intel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// RetroKind is the kind of job that looks for indicators in stored events.
const RetroKind = "intel-retro"

// A RetroRequest says which active indicators to look for, and how far back. Zero
// fields choose all.
type RetroRequest struct {
	Days          int        `json:"days"` // 1 to 365
	IDs           []string   `json:"ids,omitempty"`
	Types         []Type     `json:"types,omitempty"`
	Sources       []string   `json:"sources,omitempty"`
	Tags          []string   `json:"tags,omitempty"`
	FeedID        string     `json:"feedId,omitempty"`
	MinConfidence int        `json:"minConfidence,omitempty"`
	CreatedAfter  *time.Time `json:"createdAfter,omitempty"`
}

// Bounds of one retro-match.
const (
	MaxRetroDays       = 365
	MaxRetroIndicators = 50_000
	maxRetroEvents     = 20_000 // that are counted
	maxRetroHits       = 500    // that are listed
	valuesAtOnce       = 50     // in one query of the store
)

// A RetroResult is what came of a retro-match.
type RetroResult struct {
	Indicators int        `json:"indicators"` // looked for
	From       time.Time  `json:"from"`
	To         time.Time  `json:"to"`
	Events     int64      `json:"events"`    // stored ones that carry one of them
	NewEvents  int64      `json:"newEvents"` // of them, those that had not been counted before
	Alerts     []string   `json:"alerts"`    // ids
	Hits       []RetroHit `json:"hits"`      // at most 500
	Truncated  string     `json:"truncated"` // what is missing; "" for nothing
}

// A RetroHit is one indicator that was found.
type RetroHit struct {
	ID       string    `json:"id"`
	Type     Type      `json:"type"`
	Value    string    `json:"value"`
	Source   string    `json:"source"`
	Events   int64     `json:"events"`
	First    time.Time `json:"firstSeen"`
	Last     time.Time `json:"lastSeen"`
	EventIDs []string  `json:"eventIds"` // at most 20
}

// RecordFunc writes findings in the transaction of the caller.
type RecordFunc func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error

// Retro looks for indicators in stored events.
type Retro struct {
	service *Service
	events  eventstore.Store
	record  RecordFunc
}

// NewRetro returns what does the work of jobs of RetroKind.
func NewRetro(s *Service, events eventstore.Store, record RecordFunc) *Retro {
	return &Retro{s, events, record}
}

// Check tells what is wrong with a request before it becomes a job.
func (r *RetroRequest) Check() error {
	if r.Days < 1 || r.Days > MaxRetroDays {
		return fault.New(fault.Invalid, "Allowed: 1 to %d", MaxRetroDays).In("days")
	}
	if len(r.IDs) > 10_000 {
		return fault.New(fault.Invalid, "Allowed: at most 10000 ids").In("ids")
	}
	for _, t := range r.Types {
		if !slices.Contains(Types, t) {
			return fault.New(fault.Invalid, "Allowed: ipv4, ipv6, cidr, domain, url, md5, sha1, sha256, email, ja3").In("types")
		}
	}
	return nil
}

// A search is one retro-match under way.
type search struct {
	*Retro
	tenant uint32
	now    time.Time
	from   int64
	set    *Snapshot
	ids    map[indicatorKey]*Indicator
	hits   map[indicatorKey]*RetroHit
	order  []indicatorKey
	result RetroResult
}

// Work does a job of RetroKind.
func (r *Retro) Work(ctx context.Context, t *job.Task) (any, error) {
	var asked RetroRequest
	if err := t.Read(&asked); err != nil {
		return nil, err
	}
	return r.Run(ctx, t.Tenant, asked, t.Progress)
}

// Run looks for the indicators and records what is found; told hears of indicators.
func (r *Retro) Run(ctx context.Context, tenant uint32, asked RetroRequest, told func(done, total int64, note string)) (*RetroResult, error) {
	if err := asked.Check(); err != nil {
		return nil, err
	}
	now := r.service.now().UTC()
	s := &search{Retro: r, tenant: tenant, now: now, from: now.Add(-time.Duration(asked.Days) * 24 * time.Hour).UnixNano(), ids: map[indicatorKey]*Indicator{}, hits: map[indicatorKey]*RetroHit{}}
	s.result = RetroResult{From: time.Unix(0, s.from).UTC(), To: now, Alerts: []string{}, Hits: []RetroHit{}}
	list, err := s.choose(ctx, &asked)
	if err != nil {
		return nil, err
	}
	s.result.Indicators = len(list)
	total := int64(len(list))
	for done := 0; done < len(list); done += valuesAtOnce {
		told(int64(done), total, fmt.Sprintf("%d events found", s.result.Events))
		if err := s.batch(ctx, list[done:min(done+valuesAtOnce, len(list))]); err != nil {
			return nil, err
		}
	}
	told(total, total, fmt.Sprintf("%d events found", s.result.Events))
	return s.finish(ctx)
}

// choose reads the active indicators that are asked for and compiles them, sorted by
// type so that one query asks for few fields.
func (s *search) choose(ctx context.Context, asked *RetroRequest) ([]Indicator, error) {
	active := true
	f := Filter{Types: asked.Types, Sources: asked.Sources, Tags: asked.Tags, FeedID: asked.FeedID, MinConfidence: asked.MinConfidence, Active: &active}
	wanted := map[string]bool{}
	for _, id := range asked.IDs {
		wanted[id] = true
	}
	var list []Indicator
	for i, err := range s.service.Stream(ctx, s.tenant, f) {
		if err != nil {
			return nil, err
		}
		if len(wanted) > 0 && !wanted[i.ID] || asked.CreatedAfter != nil && i.CreatedAt.Before(*asked.CreatedAfter) {
			continue
		}
		if len(list) == MaxRetroIndicators {
			s.result.Truncated = fmt.Sprintf("only the first %d indicators were looked for: ask for fewer at a time", MaxRetroIndicators)
			break
		}
		list = append(list, i)
	}
	b := newBuilder(len(list))
	for i := range list {
		x := &list[i]
		b.add(compact{Type: x.Type, Value: x.Value, Source: x.Source, Tags: strings.Join(x.Tags, "\x00"), Confidence: x.Confidence, SeverityRank: event.SeverityRank(x.Severity)})
		key := indicatorKey{s.tenant, x.Type, x.Value}
		if s.ids[key] == nil {
			s.ids[key] = x
		}
	}
	s.set = b.build()
	err := s.service.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if s.set.allow, err = compileAllowed(ctx, tx, s.tenant); err != nil {
			return err
		}
		s.set.thresholds, err = thresholds(ctx, tx, s.tenant)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read allow-list: %w", err)
	}
	slices.SortStableFunc(list, func(a, b Indicator) int { return strings.Compare(string(a.Type), string(b.Type)) })
	return list, nil
}

// batch asks the store for events with some of the indicators.
func (s *search) batch(ctx context.Context, list []Indicator) error {
	var nodes []query.Node
	for i := range list {
		nodes = append(nodes, nodesOf(&list[i])...)
	}
	if len(nodes) == 0 {
		return nil
	}
	var filter query.Node = query.Or{Nodes: nodes}
	if len(nodes) == 1 {
		filter = nodes[0]
	}
	from, to := eventstore.Clamp(s.from, s.now.Add(24*time.Hour).UnixNano())
	r := eventstore.Request{Tenant: s.tenant, Filter: filter, From: from, To: to, Limit: 1000, NoTotal: true}
	for {
		res, err := s.events.Search(ctx, r)
		if err != nil {
			return fmt.Errorf("search stored events: %w", err)
		}
		if err := s.found(ctx, res.Events); err != nil {
			return err
		}
		if res.Next == "" {
			return nil
		}
		if s.result.Events >= maxRetroEvents {
			s.result.Truncated = fmt.Sprintf("more than %d events carry these indicators: the newest of each batch were counted", maxRetroEvents)
			return nil
		}
		r.Cursor = res.Next
	}
}

// found confirms what the store gave and records what is new in one transaction.
func (s *search) found(ctx context.Context, events []event.Event) error {
	type one struct {
		e event.Event
		x sight
	}
	var all []one
	for i := range events {
		e := events[i]
		e.Tenant = s.tenant
		l := look{s: s.set, e: &e}
		l.run()
		for _, h := range l.found() {
			x, ok := s.set.sight(h, s.now.UnixNano())
			if !ok {
				continue
			}
			s.note(&e, &x)
			if !live(&e, x.value) {
				all = append(all, one{e, x})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	fresh := int64(0)
	err := s.service.db.Tx(ctx, func(tx *sqldb.DB) error {
		fresh = 0
		var findings []alert.Finding
		for i := range all {
			n, err := sqldb.Exec(ctx, tx, `INSERT INTO intel_retro_event (tenant, event_id, value, at) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, event_id, value) DO NOTHING`,
				int64(s.tenant), all[i].e.ID.String(), all[i].x.value, s.now.UnixMicro())
			if err != nil {
				return err
			}
			if n > 0 {
				fresh++
				findings = append(findings, s.set.finding(&all[i].e, &all[i].x))
			}
		}
		if len(findings) == 0 {
			return nil
		}
		return s.record(ctx, tx, s.now, findings)
	})
	if err != nil {
		return fmt.Errorf("record what was found: %w", err)
	}
	s.result.NewEvents += fresh
	return nil
}

// live tells whether the event was matched by that indicator when it came.
func live(e *event.Event, value string) bool {
	for i := range e.Fields {
		if e.Fields[i].Name == FieldName && e.Fields[i].Value == value {
			return true
		}
	}
	return false
}

func (s *search) note(e *event.Event, x *sight) {
	s.result.Events++
	key := indicatorKey{s.tenant, x.indicatorType, x.value}
	at := time.Unix(0, e.Time).UTC()
	h := s.hits[key]
	if h == nil {
		h = &RetroHit{Type: x.indicatorType, Value: x.value, Source: strings.Join(x.sources, ", "), First: at, Last: at, EventIDs: []string{}}
		if i := s.ids[key]; i != nil {
			h.ID = i.ID
		}
		s.hits[key] = h
		s.order = append(s.order, key)
	}
	h.Events++
	if at.Before(h.First) {
		h.First = at
	}
	if at.After(h.Last) {
		h.Last = at
	}
	if len(h.EventIDs) < 20 {
		h.EventIDs = append(h.EventIDs, e.ID.String())
	}
}

// finish words the result, with the alerts that the indicators have.
func (s *search) finish(ctx context.Context) (*RetroResult, error) {
	for _, key := range s.order {
		ids, err := sqldb.All(ctx, s.service.db, sqldb.Value[string], `SELECT DISTINCT alert_id FROM intel_sighting WHERE tenant = $1 AND type = $2 AND value = $3 AND last_at >= $4 AND alert_id <> '' ORDER BY alert_id`,
			int64(s.tenant), string(key.t), key.value, s.from/1000)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return nil, fmt.Errorf("read alerts of indicators: %w", err)
		}
		for _, id := range ids {
			if len(s.result.Alerts) < maxRetroHits && !slices.Contains(s.result.Alerts, id) {
				s.result.Alerts = append(s.result.Alerts, id)
			}
		}
		if len(s.result.Hits) < maxRetroHits {
			s.result.Hits = append(s.result.Hits, *s.hits[key])
		}
	}
	return &s.result, nil
}

var (
	addressFields = []string{event.SrcIP, event.DstIP, event.SrcNATIP, event.DstNATIP, event.RelatedIP, event.DNSAnswer}
	hostFields    = []string{event.Domain, event.DNSQuery, event.TLSSNI, event.SrcHost, event.DstHost, event.RelatedHost, event.DNSAnswer}
	hashFields    = []string{event.HashSHA256, event.HashMD5, "hash_sha1", "sha1", "sha256", "md5", "hash", "file_hash"}
	emailFields   = []string{event.User, event.SrcUser, event.TargetUser, event.RelatedUser, "from", "to", "sender", "recipient", "mail_from"}
)

// nodesOf is the searches that find at least every event that carries an indicator.
func nodesOf(i *Indicator) []query.Node {
	var nodes []query.Node
	equal := func(fields []string, value string) {
		for _, f := range fields {
			nodes = append(nodes, query.Equal{Field: query.NewField(f), Value: value})
		}
	}
	part := func(field string, parts ...query.Part) {
		nodes = append(nodes, query.NewWildcard(query.NewField(field), parts))
	}
	literal := func(s string) query.Part { return query.Part{Kind: query.Literal, Text: s} }
	star := query.Part{Kind: query.Any}
	switch i.Type {
	case IPv4, IPv6:
		equal(addressFields, i.Value)
		equal(hostFields[:1], i.Value)
		part(event.URL, star, literal("//"+i.Value), star)
	case CIDR:
		p, err := netip.ParsePrefix(i.Value)
		if err != nil {
			return nil
		}
		for _, f := range addressFields[:5] {
			nodes = append(nodes, query.CIDR{Field: query.NewField(f), Prefix: p})
		}
	case Domain:
		equal(hostFields, i.Value)
		for _, f := range hostFields {
			part(f, star, literal("."+i.Value))
		}
		part(event.URL, star, literal(i.Value), star)
	case URL:
		_, rest, _ := strings.Cut(i.Value, "://")
		part(event.URL, star, literal("://"+rest))
		host, path, _ := strings.Cut(rest, "/")
		nodes = append(nodes, query.And{Nodes: []query.Node{
			query.Equal{Field: query.NewField(event.Domain), Value: host}, query.Equal{Field: query.NewField(event.URL), Value: "/" + path},
		}})
	case MD5, SHA1, SHA256:
		equal(hashFields, i.Value)
		part("Hashes", star, literal("="+i.Value), star)
	case Email:
		equal(emailFields, i.Value)
	case JA3:
		equal([]string{event.JA3}, i.Value)
	}
	return nodes
}
