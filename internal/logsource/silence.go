package logsource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// RuleID is by what alerts of silent sources name their rule.
const RuleID = "7f1d2c1e-52a7-4c3b-9a55-0d6b6b0f5a11"

// behind is how old the newest processed record may be while others wait.
const behind = time.Minute

// A silence is a source that has just become silent, or has just ended being so.
type silence struct {
	e       *entry
	tenant  uint32
	source  string
	host    string
	last    int64
	age     time.Duration
	limit   time.Duration
	set     bool // the limit was set by people
	perHour float64
	since   int64 // of one that ended
	via     string
}

// Watch looks for sources that have fallen silent, raises an alert for each, and
// resolves those that send again. Run calls it each minute.
func (s *Service) Watch(ctx context.Context) error {
	now := s.options.Now().UnixNano()
	begun, err := s.listening(ctx, now)
	if err != nil || !begun {
		return err
	}
	quiet, back := s.look(now)
	var problems []error
	for i := range back {
		problems = append(problems, s.ended(ctx, &back[i]))
	}
	var told []*silence
	for i := range quiet {
		q := &quiet[i]
		offline, err := s.offline(ctx, q)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if !s.settle(q, offline, now) {
			continue
		}
		told = append(told, q)
	}
	return errors.Join(append(problems, s.tell(ctx, told, now))...)
}

// listening notes that silence is watched now, and tells whether what arrived until
// now has been seen.
func (s *Service) listening(ctx context.Context, now int64) (bool, error) {
	o := s.observer
	o.mu.Lock()
	newest := o.newest
	o.mu.Unlock()
	if s.options.Waiting != nil {
		waiting, err := s.options.Waiting(ctx)
		if err != nil {
			return false, err
		}
		if waiting && now-newest > int64(behind) {
			return false, nil
		}
	}
	last, err := sqldb.All(ctx, s.db, sqldb.Value[int64], `SELECT last_at FROM log_source_watch WHERE id = 1`)
	if err != nil {
		return false, fmt.Errorf("read when silence was looked for: %w", err)
	}
	if _, err := sqldb.Exec(ctx, s.db, `INSERT INTO log_source_watch (id, last_at) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at`, now/1000); err != nil {
		return false, fmt.Errorf("write when silence is looked for: %w", err)
	}
	if len(last) == 0 {
		return true, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	const usual = 3 * time.Minute // between two looks
	if gap := now - last[0]*1000; gap > int64(usual) {
		o.watch = watch{since: now, down: gap}
		return false, nil // what waited at the senders comes now
	}
	return true, nil
}

// look compares each source with its limit.
func (s *Service) look(now int64) (quiet, back []silence) {
	o := s.observer
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.byKey {
		if e.others || e.first == 0 {
			continue
		}
		x := silence{
			e: e, tenant: e.tenant, source: e.key.source, host: e.host, last: e.last, via: e.via, set: e.silentAfter > 0, since: e.silentSince,
			perHour: float64(e.hours.since(e.last/int64(time.Hour), weekHours)) / min(max(float64(e.last-e.first)/float64(time.Hour), 1), weekHours),
		}
		age := now - e.base(&o.watch)
		if e.unheard && e.last > e.held {
			e.unheard, e.changed = false, true
		}
		switch {
		case e.silentSince != 0 && e.last > e.silentSince:
			e.silentSince, e.unheard, e.changed = 0, false, true
			back = append(back, x)
		case e.silentSince != 0:
		case e.muted, age <= floor*int64(time.Second) && !x.set:
		default:
			if x.limit = e.limit(now); x.limit > 0 && age > int64(x.limit) {
				x.age = time.Duration(now - e.last)
				quiet = append(quiet, x)
			}
		}
	}
	return quiet, back
}

func (s *Service) offline(ctx context.Context, q *silence) (bool, error) {
	if s.options.Offline == nil || q.via == "" {
		return false, nil
	}
	return s.options.Offline(ctx, q.tenant, q.via)
}

// settle marks a source as silent, unless its collector is, and tells whether it is
// to be told.
func (s *Service) settle(q *silence, offline bool, now int64) bool {
	o := s.observer
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case q.e.last != q.last: // something came meanwhile
		return false
	case offline:
		q.e.unheard, q.e.held = true, now // when it returns, its silence is counted anew
		return false
	}
	return true
}

// tell raises the alerts, and then marks the sources: what is not recorded is tried
// again in a minute.
func (s *Service) tell(ctx context.Context, told []*silence, now int64) error {
	if len(told) == 0 {
		return nil
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var findings []alert.Finding
		for _, q := range told {
			another, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM log_source WHERE tenant = $1 AND id = $2 AND (silent_since > $3 OR last_at > $3)`, int64(q.tenant), q.e.id, q.last/1000)
			if err != nil {
				return err
			}
			if another > 0 { // server has told it, or has heard the source since
				continue
			}
			if _, err := sqldb.Exec(ctx, tx, `UPDATE log_source SET silent_since = $1 WHERE tenant = $2 AND id = $3`, now/1000, int64(q.tenant), q.e.id); err != nil {
				return err
			}
			findings = append(findings, q.finding(now))
		}
		if s.options.Record == nil {
			return nil
		}
		return s.options.Record(ctx, tx, time.Unix(0, now).UTC(), findings)
	})
	if err != nil {
		return fmt.Errorf("tell of silent log sources: %w", err)
	}
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	for _, q := range told {
		q.e.silentSince, q.e.unheard, q.e.changed = now, false, true
	}
	return nil
}

func (q *silence) finding(now int64) alert.Finding {
	f := alert.Finding{
		Tenant: q.tenant, Rule: alert.RuleRef{ID: RuleID, Name: "Log source fell silent", Author: "KYRA", Origin: "builtin", Version: 1},
		Title: "Log source fell silent", Severity: "medium", Source: q.source,
		Description: "{log_source} of {host} " + q.usual() + " Nothing has come since " + moment(q.last).Truncate(time.Second).Format(time.RFC3339) + ", for " + words(q.age) + ".",
		Values:      map[string][]string{"log_source": {q.source}, "host": {q.host}},
		Key:         "log_source=" + q.source + " host=" + q.host,
		First:       now, Last: now, Count: 1,
	}
	if q.host != "" {
		f.Entities = []alert.Entity{{Type: "host", Field: "host", Value: q.host}}
	}
	return f
}

// usual says what the source does usually.
func (q *silence) usual() string {
	rate := fmt.Sprintf("usually sends about %s", rateText(q.perHour))
	if q.set {
		return rate + " and is set to be told after " + words(q.limit) + " without any."
	}
	return rate + " and at this hour of the week is hardly ever silent for more than " + words(q.limit) + "."
}

func rateText(perHour float64) string {
	switch {
	case perHour >= 7200:
		return fmt.Sprintf("%.0f events a second", perHour/3600)
	case perHour >= 2:
		return fmt.Sprintf("%.0f events an hour", perHour)
	case perHour*24 >= 2:
		return fmt.Sprintf("%.0f events a day", perHour*24)
	}
	return fmt.Sprintf("%.0f events a week", max(perHour*weekHours, 1))
}

// words writes a duration without zeros at its end: "6m", "26h".
func words(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Minute)
	} else {
		d = d.Round(time.Second)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// ended resolves the open alerts of a source that sends again.
func (s *Service) ended(ctx context.Context, q *silence) error {
	if s.options.Alerts == nil {
		return nil
	}
	page, err := s.options.Alerts.List(ctx, q.tenant, alert.Query{
		Filter: alert.Filter{RuleID: RuleID, Sources: []string{q.source}, Entity: q.host, Statuses: []alert.Status{alert.Open, alert.InProgress}}, Size: 100,
	})
	if err != nil {
		return fmt.Errorf("find the alert of a silence that ended: %w", err)
	}
	resolved := alert.Resolved
	note := fmt.Sprintf("Events of %s come again, since %s.", q.source, moment(q.last).Truncate(time.Second).Format(time.RFC3339))
	for i := range page.Alerts {
		if _, err := s.options.Alerts.Patch(ctx, q.tenant, "system", page.Alerts[i].ID, alert.Patch{Status: &resolved, Note: note}); err != nil {
			return fmt.Errorf("resolve the alert of a silence that ended: %w", err)
		}
	}
	return nil
}
