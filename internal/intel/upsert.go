package intel

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// MaxIndicators is how many indicators a tenant may have.
const MaxIndicators = 3_000_000

// Upserted is what became of one draft: its indicator, or what is wrong with it.
type Upserted struct {
	Indicator *Indicator
	Created   bool
	Changed   bool // of one that was there
	Err       error
}

// Upsert makes or changes one indicator for each draft: there is one of each type, value
// and source. A draft that is wrong stops no other; doing it again changes nothing.
func (s *Service) Upsert(ctx context.Context, tenant uint32, actor string, drafts []Draft) ([]Upserted, error) {
	out := make([]Upserted, len(drafts))
	now := s.now().UTC().Truncate(time.Microsecond)
	good := make([]Draft, 0, len(drafts))
	index := make([]int, 0, len(drafts))
	for i := range drafts {
		if out[i].Err = drafts[i].check(now); out[i].Err == nil {
			good = append(good, drafts[i])
			index = append(index, i)
		}
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		w := writer{tx: tx, tenant: tenant, actor: actor, now: now}
		n, err := w.write(ctx, good)
		if err != nil {
			return err
		}
		if n.Created+n.Changed > 0 {
			if err := bump(ctx, tx, tenant); err != nil {
				return err
			}
			if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "indicator.upsert", Detail: map[string]any{
				"created": n.Created, "changed": n.Changed, "unchanged": n.Unchanged, "values": someValues(good),
			}}); err != nil {
				return err
			}
		}
		for j, i := range index {
			id := n.ids[j]
			if out[i].Indicator, err = indicatorByID(ctx, tx, tenant, id); err != nil {
				return err
			}
			out[i].Created, out[i].Changed = n.how[j] == created, n.how[j] == changed
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write indicators: %w", err)
	}
	return out, nil
}

// someValues names what was written, for the audit log.
func someValues(drafts []Draft) []string {
	const most = 20
	var out []string
	for _, d := range drafts[:min(len(drafts), most)] {
		out = append(out, clip(d.Value, 200))
	}
	return out
}

type fate uint8

const (
	unchanged fate = iota
	created
	changed
)

// written counts what a writer did.
type written struct {
	Created, Changed, Unchanged int
	ids                         []string // of each draft
	how                         []fate
}

// A writer writes checked drafts in a transaction. For a feed it notes the run.
type writer struct {
	tx     *sqldb.DB
	tenant uint32
	actor  string
	now    time.Time
	feedID string
	run    int64
}

// stored is what is known of an indicator that is there.
type stored struct {
	id, kind, value, source string
	confidence              int
	severity, tags, text    string
	until                   sql.NullInt64
	gone                    bool
	lastSeen                int64
}

type identity struct{ kind, value, source string }

func (w *writer) write(ctx context.Context, drafts []Draft) (written, error) {
	out := written{ids: make([]string, len(drafts)), how: make([]fate, len(drafts))}
	const few = 400 // at a time
	for from := 0; from < len(drafts); from += few {
		to := min(from+few, len(drafts))
		if err := w.some(ctx, drafts[from:to], &out, from); err != nil {
			return out, err
		}
	}
	if out.Created > 0 {
		n, err := sqldb.One(ctx, w.tx, sqldb.Value[int64], `SELECT count(*) FROM intel_indicator WHERE tenant = $1`, int64(w.tenant))
		if err != nil {
			return out, err
		}
		if n > MaxIndicators {
			return out, fault.New(fault.Conflict, "there would be %d indicators, and %d are allowed: delete some, or narrow a feed", n, MaxIndicators)
		}
	}
	return out, nil
}

func (w *writer) some(ctx context.Context, drafts []Draft, out *written, offset int) error {
	have, err := w.existing(ctx, drafts)
	if err != nil {
		return err
	}
	var rows []any
	var same []string
	inserted := map[identity]string{}
	for i := range drafts {
		d := &drafts[i]
		key := identity{string(d.Type), d.Value, d.Source}
		tags := tagsText(d.Tags)
		if id, ok := inserted[key]; ok { // twice in one call: the first counts
			out.ids[offset+i] = id
			out.Unchanged++
			continue
		}
		old, ok := have[key]
		switch {
		case !ok:
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			inserted[key] = id.String()
			out.ids[offset+i], out.how[offset+i] = id.String(), created
			out.Created++
			rows = append(rows, id.String(), int64(w.tenant), string(d.Type), d.Value, d.Source, w.feedID, *d.Confidence, d.Severity, tags, d.Description,
				d.ValidFrom.UnixMicro(), sqldb.Nullable(d.ValidUntil), d.FirstSeen.UnixMicro(), d.LastSeen.UnixMicro(), w.run, w.now.UnixMicro(), w.actor)
		case old.differs(d, tags):
			inserted[key] = old.id
			out.ids[offset+i], out.how[offset+i] = old.id, changed
			out.Changed++
			if _, err := sqldb.Exec(ctx, w.tx, `UPDATE intel_indicator SET confidence = $1, severity = $2, tags = $3, description = $4, valid_until = $5, gone = FALSE,
				last_seen = CASE WHEN last_seen < $6 THEN $6 ELSE last_seen END, feed_id = CASE WHEN $7 <> '' THEN $7 ELSE feed_id END, run = $8, version = version + 1, updated_at = $9 WHERE id = $10`,
				*d.Confidence, d.Severity, tags, d.Description, sqldb.Nullable(d.ValidUntil), d.LastSeen.UnixMicro(), w.feedID, w.run, w.now.UnixMicro(), old.id); err != nil {
				return err
			}
		default:
			inserted[key] = old.id
			out.ids[offset+i] = old.id
			out.Unchanged++
			same = append(same, old.id)
		}
	}
	if len(rows) > 0 {
		const columns = 17
		n := len(rows) / columns
		query := `INSERT INTO intel_indicator (id, tenant, type, value, source, feed_id, confidence, severity, tags, description, valid_from, valid_until, first_seen, last_seen, run, created_at, created_by, updated_at) VALUES ` + rowsOf(n, columns)
		if _, err := sqldb.Exec(ctx, w.tx, query, rows...); err != nil {
			return err
		}
	}
	if len(same) > 0 && w.feedID != "" {
		args := []any{w.run, w.feedID}
		for _, id := range same {
			args = append(args, id)
		}
		_, err := sqldb.Exec(ctx, w.tx, `UPDATE intel_indicator SET run = $1, feed_id = $2 WHERE id IN (`+places(3, len(same))+`)`, args...)
		return err
	}
	return nil
}

// rowsOf is sqldb.Rows with created_at also as updated_at.
func rowsOf(rows, columns int) string {
	var b strings.Builder
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		first := r*columns + 1
		b.WriteString("(" + places(first, columns) + fmt.Sprintf(", $%d)", first+columns-2))
	}
	return b.String()
}

// places is "$3, $4, $5" for the first of three.
func places(first, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(all, ", ")
}

func (w *writer) existing(ctx context.Context, drafts []Draft) (map[identity]stored, error) {
	if len(drafts) == 0 {
		return nil, nil
	}
	values := make([]string, len(drafts))
	for i := range drafts {
		values[i] = drafts[i].Value
	}
	slices.Sort(values)
	values = slices.Compact(values)
	args := []any{int64(w.tenant)}
	for _, t := range Types {
		args = append(args, string(t))
	}
	for _, v := range values {
		args = append(args, v)
	}
	have := map[identity]stored{}
	for o, err := range sqldb.Stream(ctx, w.tx, func(rows *sql.Rows, o *stored) error {
		return rows.Scan(&o.id, &o.kind, &o.value, &o.source, &o.confidence, &o.severity, &o.tags, &o.text, &o.until, &o.gone, &o.lastSeen)
	}, `SELECT id, type, value, source, confidence, severity, tags, description, valid_until, gone, last_seen FROM intel_indicator
		WHERE tenant = $1 AND type IN (`+places(2, len(Types))+`) AND value IN (`+places(2+len(Types), len(values))+`)`, args...) {
		if err != nil {
			return nil, err
		}
		have[identity{o.kind, o.value, o.source}] = o
	}
	return have, nil
}

func (o *stored) differs(d *Draft, tags string) bool {
	until := int64(0)
	if d.ValidUntil != nil {
		until = d.ValidUntil.UnixMicro()
	}
	return o.confidence != *d.Confidence || o.severity != d.Severity || o.tags != tags || o.text != d.Description || o.until.Int64 != until || o.gone
}
