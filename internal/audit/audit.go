// Package audit is the log of who changed what: append-only, each tenant's entries
// chained by their hashes. It records what it is told inside the caller's
// transaction, and never changes or removes an entry.
package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// System is the actor of what KYRA does by itself.
const System = "system"

// Playbook stands before the name of a playbook that is the actor.
const Playbook = "playbook:"

// Automatic tells whether an actor is a playbook and no person.
func Automatic(actor string) bool { return strings.HasPrefix(actor, Playbook) }

// An Entry is one change to record.
type Entry struct {
	Tenant uint32    // tenant.Tenant.Number, 0 for the server itself
	At     time.Time // zero means now
	Actor  string    // who: System, or a name such as "key:SIEM Integration"
	Action string    // what, as noun and verb: "alert.update"
	Object string    // id of what was changed, "" for none
	Detail any       // particulars, stored as JSON; nil for none
}

// Stored is an entry as it stands in the log.
type Stored struct {
	ID     string // UUIDv7
	Seq    int64  // place in the tenant's chain, from 1
	Tenant uint32
	At     time.Time
	Actor  string
	Action string
	Object string
	Detail json.RawMessage
	Hash   []byte // SHA-256 over the entry and the hash before it
	Origin
}

// Record appends e to its tenant's chain, in the transaction tx. Writers of one
// tenant thereby run one after another.
func Record(ctx context.Context, tx *sqldb.DB, e Entry) error {
	detail := []byte("{}")
	if e.Detail != nil {
		var err error
		if detail, err = json.Marshal(e.Detail); err != nil {
			return fmt.Errorf("audit %s: %w", e.Action, err)
		}
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	r := Stored{ID: id.String(), Tenant: e.Tenant, At: e.At.Truncate(time.Microsecond).UTC(), Actor: e.Actor, Action: e.Action, Object: e.Object, Detail: detail, Origin: originOf(ctx)}
	err = tx.Tx(ctx, func(tx *sqldb.DB) error {
		prev, err := head(ctx, tx, e.Tenant)
		if err != nil {
			return err
		}
		r.Seq = prev.seq + 1
		r.Hash = r.digest(prev.hash)
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO audit_head (tenant, seq, hash) VALUES ($1, $2, $3)
			ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, hash = excluded.hash`, int64(r.Tenant), r.Seq, r.Hash); err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, tx, `
			INSERT INTO audit_entry (tenant, seq, id, at, actor, action, object, detail, hash, address, key_id, request)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			int64(r.Tenant), r.Seq, r.ID, r.At.UnixMicro(), r.Actor, r.Action, r.Object, string(r.Detail), r.Hash, r.Address, r.KeyID, r.Request)
		return err
	})
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

// digest is the hash of r in a chain whose last hash is prev. Lengths stand before
// texts, so that no two entries have one encoding.
func (r *Stored) digest(prev []byte) []byte {
	h := sha256.New()
	number(h, int64(r.Tenant), r.Seq, r.At.UnixMicro())
	text(h, prev, []byte(r.ID), []byte(r.Actor), []byte(r.Action), []byte(r.Object), r.Detail)
	if r.Origin != (Origin{}) {
		text(h, []byte(r.Address), []byte(r.KeyID), []byte(r.Request))
	}
	return h.Sum(nil)
}

func number(h hash.Hash, numbers ...int64) {
	for _, n := range numbers {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
}

func text(h hash.Hash, texts ...[]byte) {
	for _, s := range texts {
		number(h, int64(len(s)))
		h.Write(s)
	}
}

type headRow struct {
	seq  int64
	hash []byte
}

func head(ctx context.Context, db *sqldb.DB, tenant uint32) (headRow, error) {
	h, err := sqldb.One(ctx, db, func(rows *sql.Rows, h *headRow) error { return rows.Scan(&h.seq, &h.hash) },
		`SELECT seq, hash FROM audit_head WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return headRow{}, nil
	}
	return h, err
}

// Head returns the number and hash of the tenant's last entry, for keeping
// elsewhere: Verify cannot see a chain that was rewritten from its beginning.
func Head(ctx context.Context, db *sqldb.DB, tenant uint32) (seq int64, hash []byte, err error) {
	h, err := head(ctx, db, tenant)
	if err != nil {
		return 0, nil, fmt.Errorf("audit head: %w", err)
	}
	return h.seq, h.hash, nil
}

// A Broken error names the first entry of a chain that is not what was written.
type Broken struct {
	Tenant uint32
	Seq    int64
	Why    string
}

func (b *Broken) Error() string {
	return fmt.Sprintf("audit chain of tenant %d is broken at entry %d: %s", b.Tenant, b.Seq, b.Why)
}

// Verify recomputes the tenant's chain and returns how many entries are good. The
// error is a *Broken where one was changed, removed or added, or where the chain does not
// fit a signed head.
func Verify(ctx context.Context, db *sqldb.DB, tenant uint32) (int64, error) {
	var good headRow
	err := db.View(ctx, func(tx *sqldb.DB) error {
		end, err := head(ctx, tx, tenant)
		if err != nil {
			return err
		}
		seals, err := sealsOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for r, err := range sqldb.Stream(ctx, tx, scan, selectRecord+` WHERE tenant = $1 ORDER BY seq`, int64(tenant)) {
			switch {
			case err != nil:
				return err
			case r.Seq != good.seq+1:
				return &Broken{tenant, good.seq + 1, "missing"}
			case !bytes.Equal(r.Hash, r.digest(good.hash)):
				return &Broken{tenant, r.Seq, "changed"}
			}
			good = headRow{r.Seq, r.Hash}
			for len(seals) > 0 && seals[0].Seq == good.seq {
				if !bytes.Equal(seals[0].Hash, good.hash) {
					return &Broken{tenant, good.seq, "not the entry that the signed head of " + seals[0].Day.Format(time.DateOnly) + " names"}
				}
				seals = seals[1:]
			}
		}
		if len(seals) > 0 {
			return &Broken{tenant, good.seq + 1, "missing: the signed head of " + seals[0].Day.Format(time.DateOnly) + " names it"}
		}
		switch {
		case good.seq < end.seq:
			return &Broken{tenant, good.seq + 1, "missing"}
		case good.seq > end.seq || !bytes.Equal(good.hash, end.hash):
			return &Broken{tenant, good.seq, "not the entry that the head names"}
		}
		return nil
	})
	if err != nil {
		return good.seq, fmt.Errorf("verify audit: %w", err)
	}
	return good.seq, nil
}

// A Filter chooses entries; zero fields choose all.
type Filter struct {
	Actor, Object string
	Action        string    // a whole action such as "alert.update", or its noun "alert"
	KeyID         string    // of the API key
	Address       string    // of the caller
	From, To      time.Time // From inclusive, To exclusive
	Ascending     bool      // the oldest first
	Page, Size    int       // Page from 0; Size 0 means 20
}

const selectRecord = `SELECT id, seq, tenant, at, actor, action, object, detail, hash, address, key_id, request FROM audit_entry`

func scan(rows *sql.Rows, r *Stored) error {
	var tenant int64
	var detail string
	err := rows.Scan(&r.ID, &r.Seq, &tenant, sqldb.Micros(&r.At), &r.Actor, &r.Action, &r.Object, &detail, &r.Hash, &r.Address, &r.KeyID, &r.Request)
	r.Tenant, r.Detail = uint32(tenant), json.RawMessage(detail)
	return err
}

// where is the condition of f, and its arguments.
func (f *Filter) where(tenant uint32) (string, []any) {
	from, to := int64(-1<<63), int64(1<<63-1)
	if !f.From.IsZero() {
		from = f.From.UnixMicro()
	}
	if !f.To.IsZero() {
		to = f.To.UnixMicro()
	}
	return ` WHERE tenant = $1 AND ($2 = '' OR actor = $2) AND ($3 = '' OR action = $3 OR substr(action, 1, length($3) + 1) = $3 || '.') AND ($4 = '' OR object = $4)
		AND at >= $5 AND at < $6 AND ($7 = '' OR key_id = $7) AND ($8 = '' OR address = $8)`,
		[]any{int64(tenant), f.Actor, f.Action, f.Object, from, to, f.KeyID, f.Address}
}

// List returns one page of the tenant's entries, newest first unless f says otherwise,
// and how many there are in all.
func List(ctx context.Context, db *sqldb.DB, tenant uint32, f Filter) (page []Stored, total int64, err error) {
	if f.Size == 0 {
		f.Size = 20
	}
	order := ` ORDER BY seq DESC`
	if f.Ascending {
		order = ` ORDER BY seq`
	}
	where, args := f.where(tenant)
	err = db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM audit_entry`+where, args...); err != nil {
			return err
		}
		page, err = sqldb.All(ctx, tx, scan, selectRecord+where+order+` LIMIT $9 OFFSET $10`, append(args, f.Size, int64(f.Page)*int64(f.Size))...)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list audit: %w", err)
	}
	return page, total, nil
}

// Get returns the tenant's entry of that id, or fault.NotFound.
func Get(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Stored, error) {
	r, err := sqldb.One(ctx, db, scan, selectRecord+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such audit entry")
	}
	if err != nil {
		return nil, fmt.Errorf("get audit entry: %w", err)
	}
	return &r, nil
}

// Stream yields every entry that the filter chooses, newest first unless it says
// otherwise, from one snapshot and in constant memory; at most one error, at the end.
func Stream(ctx context.Context, db *sqldb.DB, tenant uint32, f Filter) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		order := ` ORDER BY seq DESC`
		if f.Ascending {
			order = ` ORDER BY seq`
		}
		where, args := f.where(tenant)
		stopped := errors.New("stopped")
		err := db.View(ctx, func(tx *sqldb.DB) error {
			for r, err := range sqldb.Stream(ctx, tx, scan, selectRecord+where+order, args...) {
				if err != nil {
					return err
				}
				if !yield(r, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Stored{}, fmt.Errorf("export audit: %w", err))
		}
	}
}
