package notice

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// DigestEvent is the event of a message that stands for several.
const DigestEvent = "digest"

// Sink makes notices of messages, and queues them for the channels that they are routed
// to, in the transaction of the outbox.
func (s *Service) Sink(ctx context.Context, tx *sqldb.DB, messages []outbox.Message) error {
	if err := s.insert(ctx, tx, messages); err != nil {
		return fault.Wrap("make notices", err)
	}
	known := map[uint32]*routing{}
	var queued []webhook.Queued
	for i := range messages {
		m := &messages[i]
		to, ok := known[m.Tenant]
		if !ok {
			var err error
			if to, err = s.routing(ctx, tx, m.Tenant); err != nil {
				return fault.Wrap("find channels", err)
			}
			known[m.Tenant] = to
		}
		for _, c := range to.of(m) {
			due, later := c.later(m, s.now())
			if !later {
				queued = append(queued, webhook.Queued{Receiver: c.ID, Body: s.Render(c.Kind.Format(), m), Message: m})
				continue
			}
			if err := s.gather(ctx, tx, c, m, due); err != nil {
				return fault.Wrap("gather for digest", err)
			}
		}
	}
	for _, to := range known {
		for _, c := range to.channels {
			if !c.windowModified {
				continue
			}
			if _, err := sqldb.Exec(ctx, tx, `UPDATE notice_channel SET window_at = $2, window_n = $3 WHERE id = $1`, c.ID, c.windowAt.UnixMicro(), c.windowN); err != nil {
				return fault.Wrap("count for digest", err)
			}
		}
	}
	return s.hooks.Queue(ctx, tx, queued)
}

// insert stores notices. The outbox is dispatched by one server at a time, so that the
// numbers are in the order of commits.
func (s *Service) insert(ctx context.Context, tx *sqldb.DB, messages []outbox.Message) error {
	if _, err := sqldb.Exec(ctx, tx, `UPDATE notice_seq SET seq = seq + $1 WHERE one = 1`, len(messages)); err != nil {
		return err
	}
	last, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT seq FROM notice_seq WHERE one = 1`)
	if err != nil {
		return err
	}
	const columns, atOnce = 12, 100
	for from := 0; from < len(messages); from += atOnce {
		part := messages[from:min(from+atOnce, len(messages))]
		args := make([]any, 0, len(part)*columns)
		for i := range part {
			m := &part[i]
			seq := last - int64(len(messages)) + int64(from+i) + 1
			args = append(args, seq, m.ID, int64(m.Tenant), m.Event, m.Kind, m.Object, m.Title, m.Severity, m.Text, m.Rule, m.Source, m.At.UnixMicro())
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO notice (seq, id, tenant, event, kind, object, title, severity, text, rule, source, at) VALUES `+sqldb.Rows(len(part), columns), args...); err != nil {
			return err
		}
	}
	return nil
}

// routing is what decides who is told of a tenant's messages.
type routing struct {
	channels map[string]*Channel // that are enabled, and their receivers too
	routes   []Route             // that are enabled
}

func (s *Service) routing(ctx context.Context, tx *sqldb.DB, tenant uint32) (*routing, error) {
	r := &routing{channels: map[string]*Channel{}}
	list, err := s.channels(ctx, tx, tenant)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if c := &list[i]; c.Enabled {
			r.channels[c.ID] = c
		}
	}
	r.routes, err = sqldb.All(ctx, tx, scanRoute, selectRoute+` WHERE tenant = $1 AND enabled ORDER BY id`, int64(tenant))
	return r, err
}

// of returns the channels that are to be told of m, each once, in the order of their ids.
func (r *routing) of(m *outbox.Message) []*Channel {
	ids := map[string]bool{}
	for i := range r.routes {
		if r.routes[i].Filters.matches(m) {
			for _, id := range r.routes[i].Channels {
				ids[id] = true
			}
		}
	}
	var out []*Channel
	for id, c := range r.channels {
		own := c.Reader != "" && (&Wanted{Severity: c.Severity, Events: c.Settings.Events}).wants(m)
		// A channel is not told of its own end.
		if (ids[id] || own) && m.Object != id {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *Channel) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// later tells whether a message is to wait for a digest, and for how long.
func (c *Channel) later(m *outbox.Message, now time.Time) (due time.Time, later bool) {
	if c.Quiet != nil && !slices.Contains(c.Quiet.Except, m.Severity) {
		if end, quiet := c.Quiet.end(now); quiet {
			return end, true
		}
	}
	if c.Digest.Above == 0 {
		return now, false
	}
	span := time.Duration(c.Digest.Minutes) * time.Minute
	if now.Sub(c.windowAt) >= span {
		c.windowAt, c.windowN = now, 0
	}
	c.windowModified = true
	if c.windowN++; c.windowN > int64(c.Digest.Above) {
		return c.windowAt.Add(span), true
	}
	return now, false
}

// gathered is what a digest tells: counts of everything, and the first few messages.
type gathered struct {
	Total      int64            `json:"total"`
	BySeverity map[string]int64 `json:"bySeverity"`
	ByEvent    map[string]int64 `json:"byEvent"`
	First      []gatheredItem   `json:"first"`
	From       time.Time        `json:"from"`
	Until      time.Time        `json:"until"`
}

type gatheredItem struct {
	Kind, Object, Title, Severity string
}

const maxItems = 20

// gather adds m to what the channel is told at the given time, or at that of a digest
// which waits already.
func (s *Service) gather(ctx context.Context, tx *sqldb.DB, c *Channel, m *outbox.Message, due time.Time) error {
	texts, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT content FROM notice_digest WHERE channel_id = $1`, c.ID)
	if err != nil {
		return err
	}
	g := gathered{BySeverity: map[string]int64{}, ByEvent: map[string]int64{}, From: m.At}
	if len(texts) > 0 {
		if err := json.Unmarshal([]byte(texts[0]), &g); err != nil {
			return err
		}
	}
	g.Total++
	g.BySeverity[severityOf(m)]++
	g.ByEvent[m.Event]++
	g.Until = m.At
	if len(g.First) < maxItems {
		g.First = append(g.First, gatheredItem{m.Kind, m.Object, m.Title, severityOf(m)})
	}
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO notice_digest (channel_id, tenant, due_at, content) VALUES ($1, $2, $3, $4) ON CONFLICT (channel_id) DO UPDATE SET content = $4`, c.ID, int64(c.Tenant), due.UnixMicro(), string(text))
	return err
}

func severityOf(m *outbox.Message) string {
	if m.Severity == "" {
		return "info"
	}
	return m.Severity
}

// message words a digest: its text is lines of severity and title, each with the place of
// its object under the public address in the next line.
func (g *gathered) message(c *Channel, id string, link func(kind, object string) string) outbox.Message {
	worst, counts := "info", []string{}
	for _, sev := range event.Severities {
		if g.BySeverity[sev] > 0 && event.SeverityRank(sev) > event.SeverityRank(worst) {
			worst = sev
		}
	}
	for _, sev := range event.Severities {
		if n := g.BySeverity[sev]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, sev))
		}
	}
	var b strings.Builder
	for _, e := range slices.Sorted(maps.Keys(g.ByEvent)) {
		fmt.Fprintf(&b, "%d × %s\n", g.ByEvent[e], e)
	}
	for _, item := range g.First {
		fmt.Fprintf(&b, "\n%s: %s\n%s\n", item.Severity, strings.ReplaceAll(item.Title, "\n", " "), link(item.Kind, item.Object))
	}
	if more := g.Total - int64(len(g.First)); more > 0 {
		fmt.Fprintf(&b, "\nand %d more\n", more)
	}
	return outbox.Message{
		ID: id, Tenant: c.Tenant, Event: DigestEvent, Kind: "notifications", Object: c.ID, Severity: worst, At: g.Until,
		Title: fmt.Sprintf("%d messages since %s: %s", g.Total, g.From.UTC().Format("15:04 MST"), strings.Join(counts, ", ")), Text: strings.TrimSpace(b.String()),
	}
}

// Flush queues the digests that are due.
func (s *Service) Flush(ctx context.Context) error {
	type due struct{ channel, content string }
	scan := func(rows *sql.Rows, d *due) error { return rows.Scan(&d.channel, &d.content) }
	read := func(ctx context.Context, db *sqldb.DB) ([]due, error) {
		return sqldb.All(ctx, db, scan, `SELECT channel_id, content FROM notice_digest WHERE due_at <= $1 ORDER BY due_at, channel_id LIMIT 100`, s.now().UnixMicro())
	}
	if waiting, err := read(ctx, s.db); err != nil || len(waiting) == 0 {
		return err
	}
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		// As the outbox is dispatched, so that nothing is gathered meanwhile.
		if _, err := sqldb.Exec(ctx, tx, `UPDATE outbox_turn SET turn = turn + 1 WHERE one = 1`); err != nil {
			return err
		}
		waiting, err := read(ctx, tx)
		if err != nil {
			return err
		}
		for _, d := range waiting {
			if err := s.tell(ctx, tx, d.channel, d.content); err != nil {
				return err
			}
		}
		return nil
	})
}

// tell queues one digest.
func (s *Service) tell(ctx context.Context, tx *sqldb.DB, channel, content string) error {
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM notice_digest WHERE channel_id = $1`, channel); err != nil {
		return err
	}
	c, err := sqldb.One(ctx, tx, scanChannel, selectChannel+` WHERE id = $1`, channel)
	if err != nil {
		return err
	}
	var g gathered
	if err := json.Unmarshal([]byte(content), &g); err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	m := g.message(&c, id, s.Link)
	return s.hooks.Queue(ctx, tx, []webhook.Queued{{Receiver: c.ID, Body: s.Render(c.Kind.Format(), &m), Message: &m}})
}
