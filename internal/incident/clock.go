package incident

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Law asks that somebody is told of an incident within a time.
type Law struct {
	ID        string // "GDPR"
	Name      string
	NameKo    string
	Recipient string        // who is to be told
	Within    time.Duration // of becoming aware
	Personal  bool          // it is about personal data
}

// Laws lists those that KYRA knows. Others are given by name, hours and recipient. That an
// incident falls under one, a person decides.
var Laws = []Law{
	{"KISA", "Intrusion report (Korea, Network Act article 48-3)", "침해사고 신고 (정보통신망법 제48조의3)", "KISA or the Ministry of Science and ICT", 24 * time.Hour, false},
	{"PIPA", "Personal data breach (Korea, PIPA article 34)", "개인정보 유출 통지·신고 (개인정보 보호법 제34조)", "PIPC or KISA, and the people concerned", 72 * time.Hour, true},
	{"GDPR", "Personal data breach (EU, GDPR article 33)", "개인정보 침해 통지 (EU GDPR 제33조)", "the supervisory authority", 72 * time.Hour, true},
	{"DFARS", "Cyber incident (US defence, DFARS 252.204-7012)", "사이버 사고 보고 (미국 DFARS 252.204-7012)", "the Department of Defense (DIBNet)", 72 * time.Hour, false},
	{"CCPA", "Breach of personal information (California, Civil Code 1798.82)", "개인정보 침해 통지 (캘리포니아 민법 1798.82)", "the people concerned", 720 * time.Hour, true},
}

// A Clock runs from becoming aware of an incident to telling somebody of it.
type Clock struct {
	ID        string // UUIDv7
	Incident  string // id
	Law       string // id of one of Laws, or a name that a person gave
	Name      string
	Recipient string
	Personal  bool
	Within    time.Duration // whole hours
	AwareAt   time.Time
	DueAt     time.Time
	MarkedBy  string
	MarkedAt  time.Time
	DraftedAt *time.Time // when a draft notice was asked for first, nil for never

	NotifiedAt  *time.Time // nil: not yet
	NotifiedTo  string
	NotifiedBy  string
	Reference   string // what the recipient calls it
	RecordedAt  *time.Time
	WithdrawnAt *time.Time // it turned out not to be reportable
	WithdrawnBy string
	Reason      string // of withdrawing
}

// A ClockState is how far a clock is.
type ClockState string

// The states.
const (
	Running   ClockState = "running"
	Late      ClockState = "overdue" // its time is over, and nobody was told
	Notified  ClockState = "notified"
	TooLate   ClockState = "notifiedLate"
	Withdrawn ClockState = "withdrawn"
)

// ClockStates lists the states.
var ClockStates = []ClockState{Running, Late, Notified, TooLate, Withdrawn}

// State is how far the clock is at the time now.
func (c *Clock) State(now time.Time) ClockState {
	switch {
	case c.WithdrawnAt != nil:
		return Withdrawn
	case c.NotifiedAt != nil && c.NotifiedAt.After(c.DueAt):
		return TooLate
	case c.NotifiedAt != nil:
		return Notified
	case now.After(c.DueAt):
		return Late
	}
	return Running
}

// An Obligation is a law that an incident falls under. Of one of Laws only ID is needed.
type Obligation struct {
	ID        string
	Hours     int    // 1 to maxHours; of one of Laws at most its own, 0 for just that
	Recipient string // "" for that of the law
	Personal  bool   // of others than Laws
}

const (
	maxClocks = 20
	maxHours  = 90 * 24
	maxShort  = 200 // characters
)

// clock makes a clock of an obligation.
func (o *Obligation) clock() (*Clock, error) {
	id := strings.TrimSpace(clean(o.ID, true))
	c := &Clock{Law: id, Name: id, Recipient: strings.TrimSpace(clean(o.Recipient, true)), Personal: o.Personal, Within: time.Duration(o.Hours) * time.Hour}
	if n := utf8.RuneCountInString(id); n < 1 || n > maxShort || utf8.RuneCountInString(c.Recipient) > maxShort {
		return nil, fault.New(fault.Invalid, "Allowed: a name and a recipient of up to %d characters", maxShort).In("laws")
	}
	most := maxHours
	for _, l := range Laws {
		if strings.EqualFold(l.ID, id) {
			c.Law, c.Name, c.Personal, most = l.ID, l.Name, l.Personal, int(l.Within/time.Hour)
			if o.Hours == 0 {
				c.Within = l.Within
			}
			if c.Recipient == "" {
				c.Recipient = l.Recipient
			}
		}
	}
	if c.Within < time.Hour || c.Within > time.Duration(most)*time.Hour {
		return nil, fault.New(fault.Invalid, "%s: allowed are 1 to %d hours", c.Law, most).In("laws")
	}
	return c, nil
}

// MarkReportable starts the clocks of the laws that the incident falls under, from when
// somebody became aware of it (zero: when the incident was made). Laws whose clock runs
// already stay as they are.
func (s *Service) MarkReportable(ctx context.Context, tenant uint32, actor, id string, laws []Obligation, awareAt time.Time) ([]Clock, error) {
	if len(laws) == 0 || len(laws) > maxClocks {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d", maxClocks).In("laws")
	}
	clocks := make([]*Clock, len(laws))
	for i := range laws {
		var err error
		if clocks[i], err = laws[i].clock(); err != nil {
			return nil, err
		}
	}
	var all []Clock
	err := s.work(ctx, tenant, actor, id, "incident.reportable", func(tx *sqldb.DB, now time.Time, in *Incident) (Step, error) {
		aware := awareAt.UTC().Truncate(time.Microsecond)
		if awareAt.IsZero() {
			aware = in.CreatedAt
		}
		if aware.After(now.Add(time.Minute)) || aware.Before(now.AddDate(-5, 0, 0)) {
			return Step{}, fault.New(fault.Invalid, "Allowed: a time that has been, within five years").In("awareAt")
		}
		before, err := clocksOf(ctx, tx, in.ID)
		if err != nil {
			return Step{}, err
		}
		var names []string
		for _, c := range clocks {
			if slices.ContainsFunc(before, func(b Clock) bool { return b.Law == c.Law && b.WithdrawnAt == nil }) {
				continue
			}
			c.AwareAt, c.DueAt, c.MarkedBy, c.MarkedAt = aware, aware.Add(c.Within), actor, now
			if err := c.insert(ctx, tx, in); err != nil {
				return Step{}, err
			}
			before = append(before, *c)
			names = append(names, fmt.Sprintf("%s until %s", c.Law, c.DueAt.Format(time.RFC3339)))
		}
		if len(before) > maxClocks {
			return Step{}, fault.New(fault.Conflict, "the incident has more than %d clocks", maxClocks)
		}
		all = before
		return Step{Action: "reportable", New: aware.Format(time.RFC3339), Note: strings.Join(names, ", ")}, nil
	})
	return all, fault.Wrap("mark incident as reportable", err)
}

func (c *Clock) insert(ctx context.Context, tx *sqldb.DB, in *Incident) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	c.ID, c.Incident = id.String(), in.ID
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO incident_clock (id, tenant, incident_id, law, name, recipient, personal, hours, aware_at, due_at, marked_by, marked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		c.ID, int64(in.Tenant), in.ID, c.Law, c.Name, c.Recipient, c.Personal, int64(c.Within/time.Hour), c.AwareAt.UnixMicro(), c.DueAt.UnixMicro(), c.MarkedBy, c.MarkedAt.UnixMicro())
	return err
}

const selectClock = `SELECT id, incident_id, law, name, recipient, personal, hours, aware_at, due_at, marked_by, marked_at, drafted_at, notified_at, notified_to, notified_by, reference, recorded_at, withdrawn_at, withdrawn_by, reason FROM incident_clock`

func scanClock(rows *sql.Rows, c *Clock) error {
	var hours int64
	err := rows.Scan(&c.ID, &c.Incident, &c.Law, &c.Name, &c.Recipient, &c.Personal, &hours, sqldb.Micros(&c.AwareAt), sqldb.Micros(&c.DueAt), &c.MarkedBy, sqldb.Micros(&c.MarkedAt), sqldb.MicrosOrNull(&c.DraftedAt),
		sqldb.MicrosOrNull(&c.NotifiedAt), &c.NotifiedTo, &c.NotifiedBy, &c.Reference, sqldb.MicrosOrNull(&c.RecordedAt), sqldb.MicrosOrNull(&c.WithdrawnAt), &c.WithdrawnBy, &c.Reason)
	c.Within = time.Duration(hours) * time.Hour
	return err
}

func clocksOf(ctx context.Context, tx *sqldb.DB, incident string) ([]Clock, error) {
	return sqldb.All(ctx, tx, scanClock, selectClock+` WHERE incident_id = $1 ORDER BY due_at, id`, incident)
}

// Clocks returns the clocks of the tenant's incident, the first to be due first.
func (s *Service) Clocks(ctx context.Context, tenant uint32, id string) ([]Clock, error) {
	var all []Clock
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		all, err = clocksOf(ctx, tx, in.ID)
		return err
	})
	return all, fault.Wrap("list clocks of incident", err)
}

func clockOf(ctx context.Context, tx *sqldb.DB, incident, id string) (*Clock, error) {
	c, err := sqldb.One(ctx, tx, scanClock, selectClock+` WHERE incident_id = $1 AND id = $2`, incident, clean(id, true))
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such clock")
	}
	return &c, err
}

// A Notification says that somebody was told.
type Notification struct {
	At        time.Time // zero: now
	To, By    string    // By "": the actor
	Reference string    // what the recipient calls it
}

// NoteNotified records that a clock's recipient was told.
func (s *Service) NoteNotified(ctx context.Context, tenant uint32, actor, id, clock string, n Notification) (*Clock, error) {
	for _, x := range []struct {
		name string
		text *string
	}{{"to", &n.To}, {"by", &n.By}, {"reference", &n.Reference}} {
		if *x.text = strings.TrimSpace(clean(*x.text, true)); utf8.RuneCountInString(*x.text) > maxShort {
			return nil, fault.New(fault.Invalid, "Allowed: up to %d characters", maxShort).In(x.name)
		}
	}
	return s.wind(ctx, tenant, actor, id, clock, func(c *Clock, now time.Time) (Step, error) {
		at := n.At.UTC().Truncate(time.Microsecond)
		if n.At.IsZero() {
			at = now
		}
		switch {
		case c.NotifiedAt != nil:
			return Step{}, fault.New(fault.Conflict, "it was recorded already that %s was told at %s", c.NotifiedTo, c.NotifiedAt.Format(time.RFC3339))
		case at.After(now.Add(time.Minute)) || at.Before(c.AwareAt):
			return Step{}, fault.New(fault.Invalid, "Allowed: a time from awareAt to now").In("at")
		}
		c.NotifiedAt, c.RecordedAt, c.NotifiedTo, c.NotifiedBy, c.Reference = &at, &now, n.To, n.By, n.Reference
		if c.NotifiedTo == "" {
			c.NotifiedTo = c.Recipient
		}
		if c.NotifiedBy == "" {
			c.NotifiedBy = actor
		}
		return Step{Action: "notified", Old: c.Law, New: at.Format(time.RFC3339), Note: c.NotifiedTo}, nil
	})
}

// WithdrawClock records that nobody has to be told after all.
func (s *Service) WithdrawClock(ctx context.Context, tenant uint32, actor, id, clock, reason string) (*Clock, error) {
	reason = strings.TrimSpace(clean(reason, false))
	if n := utf8.RuneCountInString(reason); n < 1 || n > maxReason {
		return nil, fault.New(fault.Invalid, "Say why: 1 to %d characters", maxReason).In("reason")
	}
	return s.wind(ctx, tenant, actor, id, clock, func(c *Clock, now time.Time) (Step, error) {
		if c.NotifiedAt != nil {
			return Step{}, fault.New(fault.Conflict, "%s was told already", c.NotifiedTo)
		}
		c.WithdrawnAt, c.WithdrawnBy, c.Reason = &now, actor, reason
		return Step{Action: "notReportable", Old: c.Law, Note: reason}, nil
	})
}

// wind changes a clock that was not withdrawn.
func (s *Service) wind(ctx context.Context, tenant uint32, actor, id, clock string, f func(*Clock, time.Time) (Step, error)) (*Clock, error) {
	var c *Clock
	err := s.work(ctx, tenant, actor, id, "incident.notice", func(tx *sqldb.DB, now time.Time, in *Incident) (Step, error) {
		var err error
		if c, err = clockOf(ctx, tx, in.ID, clock); err != nil {
			return Step{}, err
		}
		if c.WithdrawnAt != nil {
			return Step{}, fault.New(fault.Conflict, "the clock was withdrawn: mark the incident as reportable again")
		}
		st, err := f(c, now)
		if err != nil {
			return Step{}, err
		}
		_, err = sqldb.Exec(ctx, tx, `UPDATE incident_clock SET drafted_at = $1, notified_at = $2, notified_to = $3, notified_by = $4, reference = $5, recorded_at = $6, withdrawn_at = $7, withdrawn_by = $8, reason = $9 WHERE id = $10`,
			sqldb.Nullable(c.DraftedAt), sqldb.Nullable(c.NotifiedAt), c.NotifiedTo, c.NotifiedBy, c.Reference, sqldb.Nullable(c.RecordedAt), sqldb.Nullable(c.WithdrawnAt), c.WithdrawnBy, c.Reason, c.ID)
		return st, err
	})
	return c, fault.Wrap("change clock of incident", err)
}

// TellLateNotices tells, once for each clock, that its time has passed and nobody was
// told of the incident. It returns how many these were. Several servers may do it.
func (s *Service) TellLateNotices(ctx context.Context, now time.Time) (int, error) {
	now = now.UTC().Truncate(time.Microsecond)
	const open = ` WHERE due_at < $1 AND notified_at IS NULL AND withdrawn_at IS NULL AND overdue_at IS NULL`
	late, err := sqldb.All(ctx, s.db, scanClock, selectClock+open+` ORDER BY due_at LIMIT 500`, now.UnixMicro())
	if err != nil {
		return 0, fault.Wrap("look for late notices", err)
	}
	told := 0
	for i := range late {
		c := &late[i]
		err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
			n, err := sqldb.Exec(ctx, tx, `UPDATE incident_clock SET overdue_at = $1`+open+` AND id = $2`, now.UnixMicro(), c.ID)
			if err != nil || n == 0 {
				return err
			}
			in, err := sqldb.One(ctx, tx, scan, selectIncident+` WHERE id = $1`, c.Incident)
			if err != nil {
				return err
			}
			if err := step(ctx, tx, in.ID, Step{At: now, Actor: audit.System, Action: "noticeOverdue", Old: c.Law, New: c.DueAt.Format(time.RFC3339)}); err != nil {
				return err
			}
			if err := s.tellLate(ctx, tx, &in, c); err != nil {
				return err
			}
			told++
			return nil
		})
		if err != nil {
			return told, fault.Wrap("tell late notice", err)
		}
	}
	return told, nil
}
