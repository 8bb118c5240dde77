// Package outbox keeps what happened until everybody who is to be told has been
// named. A message is written in the transaction of what it tells, so that a crash
// neither loses one nor invents one. It sends nothing: sinks take the messages over,
// in a transaction too.
package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// The events that people and machines can be told of. The first five are those of the
// public reference.
const (
	AlertCreated          = "alert.created"
	AlertUpdated          = "alert.updated" // its status changed
	IncidentCreated       = "incident.created"
	IncidentUpdated       = "incident.updated" // its status changed
	CollectorDisconnected = "collector.disconnected"
	CollectorConnected    = "collector.connected"
	IncidentOverdue       = "incident.overdue"       // its due time passed while it was not closed
	NoticeOverdue         = "incident.noticeOverdue" // somebody had to be told of it by law, and it is not recorded that they were
	Canary                = "canary"                 // a record that proves the way through did not come out, or does again
	WebhookDisabled       = "webhook.disabled"       // a receiver is not called any more
	PlaybookNotice        = "playbook.notice"        // a step of a playbook tells something
	PlaybookAsks          = "playbook.asks"          // a run waits for a person
	ChannelDisabled       = "channel.disabled"       // of notifications
	ConnectorDisabled     = "connector.disabled"
	ConnectorUnhealthy    = "connector.unhealthy" // its checks fail, or do no more
	RequestDueSoon        = "dsr.dueSoon"         // the term of a data subject request ends soon
	RequestOverdue        = "dsr.overdue"         // it has ended
)

// Events lists the events in the order of the documentation.
var Events = []string{AlertCreated, AlertUpdated, IncidentCreated, IncidentUpdated, CollectorDisconnected, CollectorConnected, IncidentOverdue, NoticeOverdue, Canary, WebhookDisabled, PlaybookNotice, PlaybookAsks, ChannelDisabled, ConnectorDisabled, ConnectorUnhealthy, RequestDueSoon, RequestOverdue}

// A Message tells that something happened to an object.
type Message struct {
	ID       string // UUIDv7, given by Add
	Tenant   uint32
	Event    string // one of Events
	Object   string // id of what it is about: messages of one object are told in order
	Kind     string // where the console shows the object: "alerts", "incidents", "collectors"
	Title    string
	Severity string // one of event.Severities, "" where it has none
	Text     string // a sentence or two for people, "" for none
	Rule     string // id of the rule, "" where there is none
	Source   string // product short name, "" where there is none
	At       time.Time
	Cause    string // id of the playbook run that it follows from, "" for none: Add takes it from Because
}

type causeKey struct{}

// Because returns a context under which Add notes that messages follow from the playbook
// run of that id.
func Because(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, causeKey{}, run)
}

const (
	maxTitle = 500  // characters
	maxText  = 4000 // characters
	maxShort = 256  // characters of every other text
)

// Add writes messages in the caller's transaction, each with an id of its own. The zero
// At means now. Texts are cut to their bounds and freed of what no database stores.
//
// Messages of one object are told in the order of their Adds as long as those who add
// them exclude each other, as writers of one row do.
func Add(ctx context.Context, tx *sqldb.DB, messages ...Message) error {
	for i := range messages {
		m := messages[i]
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
		m.ID = id.String()
		if cause, ok := ctx.Value(causeKey{}).(string); ok {
			m.Cause = cause
		}
		if m.At.IsZero() {
			m.At = time.Now()
		}
		m.At = m.At.UTC().Truncate(time.Microsecond)
		m.Title, m.Text = tidy(m.Title, maxTitle), tidy(m.Text, maxText)
		for _, s := range []*string{&m.Event, &m.Kind, &m.Object, &m.Severity, &m.Rule, &m.Source} {
			*s = tidy(*s, maxShort)
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO outbox_message (id, tenant, event, kind, object, title, severity, text, rule, source, at, cause)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			m.ID, int64(m.Tenant), m.Event, m.Kind, m.Object, m.Title, m.Severity, m.Text, m.Rule, m.Source, m.At.UnixMicro(), m.Cause); err != nil {
			return fmt.Errorf("outbox: add %s of %s: %w", m.Event, m.Object, err)
		}
	}
	return nil
}

// tidy makes a text storable and cuts it to n characters.
func tidy(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count++; count > n {
			return s[:i]
		}
	}
	return s
}

// A Sink notes, in the transaction tx, whom messages are to be told: in order, oldest
// first. It may be called again with the same messages where tx did not commit.
type Sink func(ctx context.Context, tx *sqldb.DB, messages []Message) error

// Dispatch hands up to limit waiting messages to every sink and notes that they were,
// all in one transaction. It returns how many there were. Servers that share a database
// take turns, so that messages of one object stay in order.
func Dispatch(ctx context.Context, db *sqldb.DB, now time.Time, limit int, sinks ...Sink) (int, error) {
	waiting, err := sqldb.All(ctx, db, sqldb.Value[string], `SELECT id FROM outbox_message WHERE dispatched_at IS NULL ORDER BY id LIMIT 1`)
	if err != nil || len(waiting) == 0 {
		return 0, wrap("look for messages", err)
	}
	n := 0
	err = db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE outbox_turn SET turn = turn + 1 WHERE one = 1`); err != nil {
			return err
		}
		messages, err := sqldb.All(ctx, tx, scan, selectMessage+` WHERE dispatched_at IS NULL ORDER BY id LIMIT $1`, limit)
		if err != nil {
			return err
		}
		n = len(messages)
		for _, sink := range sinks {
			if err := sink(ctx, tx, messages); err != nil {
				return err
			}
		}
		for i := range messages {
			if _, err := sqldb.Exec(ctx, tx, `UPDATE outbox_message SET dispatched_at = $1 WHERE id = $2`, now.UnixMicro(), messages[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, wrap("dispatch messages", err)
	}
	return n, nil
}

// Range returns up to limit dispatched messages of the tenant that happened at from or
// later and before to, oldest first.
func Range(ctx context.Context, db *sqldb.DB, tenant uint32, from, to time.Time, limit int) ([]Message, error) {
	list, err := sqldb.All(ctx, db, scan, selectMessage+` WHERE tenant = $1 AND at >= $2 AND at < $3 AND dispatched_at IS NOT NULL ORDER BY at, id LIMIT $4`,
		int64(tenant), from.UnixMicro(), to.UnixMicro(), limit)
	return list, wrap("read messages", err)
}

// Sweep forgets what was dispatched and happened before the given time, and returns how
// many messages that were.
func Sweep(ctx context.Context, db *sqldb.DB, before time.Time) (int64, error) {
	n, err := sqldb.Exec(ctx, db, `DELETE FROM outbox_message WHERE at < $1 AND dispatched_at IS NOT NULL`, before.UnixMicro())
	return n, wrap("sweep messages", err)
}

const selectMessage = `SELECT id, tenant, event, kind, object, title, severity, text, rule, source, at, cause FROM outbox_message`

// Waiting returns how many messages nobody has been told of yet, of all tenants.
func Waiting(ctx context.Context, db *sqldb.DB) (int64, error) {
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM outbox_message WHERE dispatched_at IS NULL`)
	return n, wrap("count messages that wait", err)
}

func scan(rows *sql.Rows, m *Message) error {
	var tenant int64
	err := rows.Scan(&m.ID, &tenant, &m.Event, &m.Kind, &m.Object, &m.Title, &m.Severity, &m.Text, &m.Rule, &m.Source, sqldb.Micros(&m.At), &m.Cause)
	m.Tenant = uint32(tenant)
	return err
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("outbox: %s: %w", doing, err)
}
