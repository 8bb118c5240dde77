package connector

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Events are forwarded to syslog servers in the order in which they were stored. How far
// they went is written down after the receiver has taken a part: what a server that ends
// before that has sent, it sends again.

// Formats of forwarded events.
const (
	rawFormat  = "raw"
	jsonFormat = "json"
)

const (
	forwardEvery   = 2 * time.Second
	forwardAtOnce  = 8                // connectors
	forwardTurn    = 20 * time.Second // then others have theirs
	forwardFor     = 2 * time.Minute  // one part
	forwardLease   = 3 * time.Minute  // longer than a turn and its last part
	forwardRecords = 20_000           // of a part, but for those of one batch: each costs the store a search
	carefulRecords = 500              // while a receiver fails: it may be too slow for more
	// giveUpAfter is how long a receiver may fail before events that are older than that go.
	giveUpAfter = 72 * time.Hour
	firstPause  = 5 * time.Second
	longPause   = 5 * time.Minute
	maxLine     = 64 << 10 // bytes of a line over TCP and TLS
)

// runForwards sends events until ctx is done. A receiver that is slow keeps none of the
// others waiting but where as many are slow as there are slots.
func (s *Service) runForwards(ctx context.Context) {
	tick := time.NewTicker(forwardEvery)
	defer tick.Stop()
	var work sync.WaitGroup
	slots := make(chan struct{}, forwardAtOnce)
	for {
		s.report(ctx, "events are not forwarded", s.forwardDue(ctx, slots, &work))
		select {
		case <-ctx.Done():
			work.Wait()
			return
		case <-tick.C:
		}
	}
}

// forwardDue lets every connector that may send events now begin its turn. Where all slots
// are taken it waits for one: were the rest put off to the next tick, those at the head of
// the list would be the first again, and who stands behind would never come.
func (s *Service) forwardDue(ctx context.Context, slots chan struct{}, work *sync.WaitGroup) error {
	due, err := s.dueForwards(ctx)
	if err != nil {
		return err
	}
	for i := range due {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		work.Go(func() {
			defer func() { <-slots }()
			s.report(ctx, "events are not forwarded", s.forward(ctx, &due[i]))
		})
	}
	return nil
}

// dueForwards returns the connectors that may send events now, those that waited longest
// first.
func (s *Service) dueForwards(ctx context.Context) (due []Connector, err error) {
	all, err := sqldb.All(ctx, s.db, scan, selectConnector+` c WHERE kind = 'syslog' AND enabled AND next_at <= $1 AND lease_until <= $1
		AND EXISTS (SELECT 1 FROM webhook w WHERE w.id = c.id AND w.enabled) ORDER BY COALESCE(last_success, 0), id`, s.now().UnixMicro())
	if err != nil {
		return nil, fault.Wrap("look for events to forward", err)
	}
	for i := range all {
		if all[i].forwards() {
			due = append(due, all[i])
		}
	}
	return due, nil
}

// forward sends what was stored for a connector since its last turn, until the turn is over.
func (s *Service) forward(ctx context.Context, c *Connector) error {
	stored, err := s.Events.Stored(ctx, c.Tenant)
	if err != nil || c.eventsSeq >= 0 && uint64(c.eventsSeq) >= stored {
		return err
	}
	if c.eventsSeq >= 0 { // most of what moves a partition on is of other tenants, and worth no writing
		next, err := s.Events.Next(ctx, c.Tenant, uint64(c.eventsSeq), stored, 1)
		if err != nil || next.Records == 0 {
			return fault.Wrap("look for events to forward", err)
		}
	}
	lease := s.now().Add(forwardLease)
	n, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET lease_until = $2 WHERE id = $1 AND lease_until = $3 AND events_seq = $4 AND version = $5`,
		c.ID, lease.UnixMicro(), c.leaseUntil.UnixMicro(), c.eventsSeq, c.Version)
	if err != nil || n == 0 { // another server has it or had its turn, or somebody changed it while it waited for a slot
		return fault.Wrap("take events to forward", err)
	}
	defer func() {
		_, err := sqldb.Exec(context.WithoutCancel(ctx), s.db, `UPDATE connector SET lease_until = 0 WHERE id = $1 AND lease_until = $2`, c.ID, lease.UnixMicro())
		s.report(ctx, "the turn of a connector is not given back", err)
	}()
	conf, err := s.settings(c)
	var filter query.Node
	if err == nil {
		filter, err = filterOf(conf)
	}
	if err != nil {
		return s.stumble(ctx, c, err)
	}
	if err := s.beginEvents(ctx, c); err != nil {
		return fault.Wrap("forward events", err)
	}
	most := int64(forwardRecords)
	if c.Events.FailingSince != nil {
		most = carefulRecords
	}
	for begin := time.Now(); uint64(c.eventsSeq) < stored && time.Since(begin) < forwardTurn && ctx.Err() == nil; { //nolint:gosec // not negative here
		part, err := s.Events.Next(ctx, c.Tenant, uint64(c.eventsSeq), stored, most) //nolint:gosec // as above
		if err != nil {
			return fault.Wrap("forward events", err)
		}
		sent, err := s.sendPart(ctx, c, conf, part, filter)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return s.stumble(ctx, c, err)
		}
		if more, err := s.passed(ctx, c, part, sent, 0); err != nil || !more {
			return err
		}
	}
	return nil
}

// sendPart sends the events of a part that match, over one connection, and returns how many.
func (s *Service) sendPart(ctx context.Context, c *Connector, conf settings, part arrival.Stretch, filter query.Node) (sent int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, forwardFor)
	defer cancel()
	var line *syslogLine // opened for the first event
	var text bytes.Buffer
	size := 0
	begin := s.Now()
	var refused error // by the receiver, not by the store
	err = s.Events.Walk(ctx, c.Tenant, part, filter, func(events []event.Event) error {
		if line == nil {
			if line, refused = s.openSyslog(ctx, conf); refused != nil {
				return refused
			}
		}
		for i := range events {
			text.Reset()
			if err := eventLine(&text, &events[i], conf); err != nil {
				return err
			}
			if refused = line.send(text.String()); refused != nil {
				return refused
			}
			sent, size = sent+1, size+text.Len()
		}
		return nil
	})
	if line != nil {
		if closed := line.close(err); err == nil {
			err, refused = closed, closed
		}
	}
	if line != nil || refused != nil {
		s.countMany(c.ID, err == nil, sent, size, s.Now().Sub(begin))
	}
	switch {
	case refused != nil:
		return sent, refused
	case err != nil && ctx.Err() == nil:
		return sent, fault.New(fault.Unavailable, "stored events cannot be read").Because(err)
	}
	return sent, err
}

// passed notes that a part is done with. It tells whether the connector is as it was.
func (s *Service) passed(ctx context.Context, c *Connector, part arrival.Stretch, sent, dropped int64) (bool, error) {
	was, at := c.eventsSeq, s.now()
	c.eventsSeq = int64(part.To) //nolint:gosec // sequences are small
	query, args := `UPDATE connector SET events_seq = $2, events_sent = events_sent + $4, events_dropped = events_dropped + $5`, []any{c.ID, c.eventsSeq, was, sent, dropped}
	if sent > 0 {
		query += `, last_success = $6, last_error = '', failing_since = NULL`
		args = append(args, at.UnixMicro())
		c.Events.FailingSince = nil
	}
	n, err := sqldb.Exec(context.WithoutCancel(ctx), s.db, query+` WHERE id = $1 AND events_seq = $3`, args...)
	return n > 0, fault.Wrap("note forwarded events", err)
}

// stumble notes that events could not be sent, lets go of those that could not for days,
// and waits the longer the longer it goes on.
func (s *Service) stumble(ctx context.Context, c *Connector, why error) error {
	now := s.now()
	since := now
	if c.Events.FailingSince != nil {
		since = *c.Events.FailingSince
	}
	pause := min(max(now.Sub(since), firstPause), longPause)
	pause += rand.N(pause / 4) //nolint:gosec // only spreads attempts
	s.Log.WarnContext(ctx, "events cannot be forwarded", "connector", c.ID, "tenant", c.Tenant, "pause", pause, "err", why)
	_, err := sqldb.Exec(context.WithoutCancel(ctx), s.db, `UPDATE connector SET next_at = $2, last_failure = $3, last_error = $4, failing_since = COALESCE(failing_since, $3) WHERE id = $1`,
		c.ID, now.Add(pause).UnixMicro(), now.UnixMicro(), outbound.Reason(why))
	if err != nil {
		return fault.Wrap("note events that were not forwarded", err)
	}
	if now.Sub(since) < giveUpAfter {
		return nil
	}
	return fault.Wrap("drop events that could not be forwarded", s.giveUp(ctx, c, now.Add(-giveUpAfter), "they could not be sent for days"))
}

// LetGo passes over what a tenant's connectors have not reached of what arrived before
// limit, and counts it: it is about to be removed. That keeps nothing from being removed.
func (s *Service) LetGo(ctx context.Context, tenant uint32, limit time.Time) {
	all, err := sqldb.All(ctx, s.db, scan, selectConnector+` WHERE tenant = $1 AND kind IN ('s3', 'syslog') ORDER BY id`, int64(tenant))
	s.report(ctx, "events that are removed before a connector had them are not counted", err)
	for i := range all {
		c := &all[i]
		if !c.forwards() && !slices.Contains(settings(c.Config).list("contents"), "events") {
			continue
		}
		err := s.beginEvents(ctx, c)
		if err == nil {
			err = s.giveUp(ctx, c, limit, "they are removed since their term is over or room is short")
		}
		s.report(ctx, "events that are removed before a connector had them are not counted", err)
	}
}

// giveUp passes over what arrived before limit, and counts the events in it that would
// have been sent.
func (s *Service) giveUp(ctx context.Context, c *Connector, limit time.Time, why string) error {
	filter, err := filterOf(settings(c.Config))
	if err != nil {
		return err
	}
	stored, err := s.Events.Stored(ctx, c.Tenant)
	if err != nil {
		return err
	}
	dropped := int64(0)
	defer func() {
		if dropped > 0 {
			s.Log.WarnContext(ctx, "events were dropped that a connector had not been sent", "connector", c.ID, "tenant", c.Tenant, "events", dropped, "why", why)
		}
	}()
	most := int64(forwardRecords)
	for c.eventsSeq >= 0 && uint64(c.eventsSeq) < stored && ctx.Err() == nil {
		part, err := s.Events.Next(ctx, c.Tenant, uint64(c.eventsSeq), stored, most) //nolint:gosec // not negative here
		switch {
		case err != nil:
			return err
		case part.Records == 0:
			return nil
		case !part.Last.Before(limit) && most > 1: // the end of what is old lies in it
			most = 1
			continue
		case !part.Last.Before(limit):
			return nil
		}
		lost := int64(0)
		err = s.Events.Walk(ctx, c.Tenant, part, filter, func(events []event.Event) error {
			lost += int64(len(events))
			return nil
		})
		if err != nil {
			return err
		}
		more, err := s.passed(ctx, c, part, 0, lost)
		if err != nil || !more {
			return err
		}
		dropped += lost
	}
	return nil
}

// eventLine writes an event as RFC 5424 has it.
func eventLine(b *bytes.Buffer, e *event.Event, conf settings) error {
	b.WriteString("<" + strconv.Itoa(priority(conf.text("facility"), e.Get(event.Severity))) + ">1 ")
	b.WriteString(time.Unix(0, e.Time).UTC().Format("2006-01-02T15:04:05.000000Z"))
	app := e.Get(event.Program)
	if app == "" {
		app = e.Get(event.Source)
	}
	for _, part := range []struct {
		text string
		most int
	}{{e.Get(event.Host), 255}, {app, 48}, {e.Get(event.PID), 128}} {
		b.WriteString(" " + headerPart(part.text, part.most))
	}
	b.WriteString(" event [" + enterprise)
	for _, p := range [][2]string{{"id", e.ID.String()}, {"source", e.Get(event.Source)}, {"severity", e.Get(event.Severity)}} {
		if p[1] != "" {
			b.WriteString(" " + p[0] + `="` + escapeParam.Replace(oneLine(p[1])) + `"`)
		}
	}
	b.WriteString("] ")
	if conf.text("eventFormat") == jsonFormat || e.Raw == "" {
		var text bytes.Buffer
		if err := encodeEvent(&text, e); err != nil {
			return fmt.Errorf("write event %s: %w", e.ID, err)
		}
		b.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	} else {
		b.WriteString(oneLine(e.Raw))
	}
	if b.Len() > maxLine {
		b.Truncate(len(cutBytes(b.String(), maxLine)))
	}
	return nil
}

// headerPart is a text as the header of a message takes it: printable ASCII, or "-" for none.
func headerPart(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}
