package dsr

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

var errNone = fault.New(fault.NotFound, "no such request")

const selectRequest = `SELECT id, tenant, kind, law, status, channel, person, masked, received_on, due_on, due_at, ack_by, acked_at, extension, extension_told, verification,
	verified_how, verified_by, assigned_to, reason, approved_by, closed_at, minimised_at, soon_told, package, findings, created_at, updated_at, version FROM dsr_request`

func scan(rows *sql.Rows, r *Request) error {
	var masked, pack, findings string
	err := rows.Scan(&r.ID, &r.Tenant, &r.Kind, &r.Law, &r.Status, &r.Channel, &r.sealed, &masked, &r.ReceivedOn, &r.DueOn, sqldb.Micros(&r.DueAt), &r.AckBy, sqldb.MicrosOrNull(&r.AckedAt),
		&r.Extension, &r.ExtensionTold, &r.Verification, &r.VerifiedHow, &r.VerifiedBy, &r.AssignedTo, &r.Reason, &r.ApprovedBy, sqldb.MicrosOrNull(&r.ClosedAt), sqldb.MicrosOrNull(&r.MinimisedAt), &r.soonTold,
		&pack, &findings, sqldb.Micros(&r.CreatedAt), sqldb.Micros(&r.UpdatedAt), &r.Version)
	if err != nil {
		return err
	}
	if pack != "" {
		r.Package = &Package{}
		err = json.Unmarshal([]byte(pack), r.Package)
	}
	if findings != "" && err == nil {
		r.Findings = &Findings{}
		err = json.Unmarshal([]byte(findings), r.Findings)
	}
	return errors.Join(err, json.Unmarshal([]byte(masked), &r.Masked))
}

func insert(ctx context.Context, tx *sqldb.DB, r *Request) error {
	masked, err := json.Marshal(r.Masked)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO dsr_request (id, tenant, kind, law, status, channel, person, masked, received_on, due_on, due_at, ack_by, verification, assigned_to, created_at, updated_at, version)
		VALUES `+sqldb.Rows(1, 17), r.ID, int64(r.Tenant), string(r.Kind), string(r.Law), string(r.Status), r.Channel, r.sealed, string(masked), r.ReceivedOn, r.DueOn, r.DueAt.UnixMicro(), r.AckBy,
		r.Verification, r.AssignedTo, r.CreatedAt.UnixMicro(), r.UpdatedAt.UnixMicro(), r.Version)
	return err
}

// update writes what may change of r, one version on.
func update(ctx context.Context, tx *sqldb.DB, r *Request, now time.Time) error {
	text := func(v any, none bool) (string, error) {
		if none {
			return "", nil
		}
		b, err := json.Marshal(v)
		return string(b), err
	}
	pack, err := text(r.Package, r.Package == nil)
	if err != nil {
		return err
	}
	findings, err := text(r.Findings, r.Findings == nil)
	if err != nil {
		return err
	}
	r.Version++
	_, err = sqldb.Exec(ctx, tx, `UPDATE dsr_request SET status = $1, due_on = $2, due_at = $3, acked_at = $4, extension = $5, verification = $6, verified_how = $7, verified_by = $8,
		assigned_to = $9, reason = $10, approved_by = $11, closed_at = $12, soon_told = $13, package = $14, findings = $15, updated_at = $16, version = $17, extension_told = $18 WHERE id = $19`,
		string(r.Status), r.DueOn, r.DueAt.UnixMicro(), sqldb.Nullable(r.AckedAt), r.Extension, r.Verification, r.VerifiedHow, r.VerifiedBy, r.AssignedTo, r.Reason, r.ApprovedBy,
		sqldb.Nullable(r.ClosedAt), r.soonTold, pack, findings, now.UnixMicro(), r.Version, r.ExtensionTold, r.ID)
	return err
}

// Get returns the tenant's request of that id, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Detail, error) {
	var d *Detail
	err := s.DB.View(ctx, func(tx *sqldb.DB) error {
		var err error
		d, err = s.get(ctx, tx, tenant, id)
		return err
	})
	return d, fault.Wrap("get request", err)
}

func (s *Service) get(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Detail, error) {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, errNone
	}
	r, err := sqldb.One(ctx, tx, scan, selectRequest+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	d := &Detail{Request: r}
	d.History, err = sqldb.All(ctx, tx, func(rows *sql.Rows, x *Step) error {
		return rows.Scan(&x.ID, sqldb.Micros(&x.At), &x.Actor, &x.Action, &x.Old, &x.New, &x.Note)
	}, `SELECT id, at, actor, action, old_value, new_value, note FROM dsr_history WHERE request = $1 ORDER BY id LIMIT 10000`, id)
	if err != nil {
		return nil, err
	}
	d.Erasures, err = sqldb.All(ctx, tx, scanProof, selectProof+` WHERE tenant = $1 AND request = $2 ORDER BY id`, int64(tenant), id)
	return d, err
}

// A Filter chooses requests; zero fields choose all.
type Filter struct {
	Kinds      []Kind
	Laws       []Law
	Statuses   []Status
	AssignedTo string
	Overdue    *bool  // open and late, or not
	Search     string // the whole name or a whole identifier, in any case
}

// Sorts lists what requests can be sorted by, the default first.
var Sorts = []string{"createdAt", "dueAt"}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

func (s *Service) where(tenant uint32, f *Filter) (string, []any) {
	args := []any{int64(tenant)}
	p := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var b strings.Builder
	b.WriteString(` WHERE tenant = $1`)
	in(&b, p, "kind", f.Kinds)
	in(&b, p, "law", f.Laws)
	in(&b, p, "status", f.Statuses)
	if f.AssignedTo != "" {
		b.WriteString(` AND assigned_to = ` + p(f.AssignedTo))
	}
	if f.Overdue != nil {
		late := `(closed_at IS NULL AND due_at <= ` + p(s.Now().UnixMicro()) + `)`
		if !*f.Overdue {
			late = `NOT ` + late
		}
		b.WriteString(` AND ` + late)
	}
	if f.Search != "" {
		b.WriteString(` AND id IN (SELECT request FROM dsr_trace WHERE tenant = $1 AND mac = ` + p(s.trace(tenant, f.Search)) + `)`)
	}
	return b.String(), args
}

func in[T ~string](b *strings.Builder, p func(any) string, column string, values []T) {
	if len(values) == 0 {
		return
	}
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = p(string(v))
	}
	b.WriteString(` AND ` + column + ` IN (` + strings.Join(places, ", ") + `)`)
}

// List returns one page of the tenant's requests and how many there are in all.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (list []Request, total int64, err error) {
	if q.Size == 0 {
		q.Size = 20
	}
	column := "id"
	if q.Sort == "dueAt" {
		column = "due_at"
	}
	if q.Size < 1 || q.Size > 100 || q.Page < 0 {
		return nil, 0, fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	where, args := s.where(tenant, &q.Filter)
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM dsr_request`+where, args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scan, fmt.Sprintf(`%s%s ORDER BY %s %s, id %s LIMIT %d OFFSET %d`, selectRequest, where, column, direction, direction, q.Size, int64(q.Page)*int64(q.Size)), args...)
		return err
	})
	return list, total, fault.Wrap("list requests", err)
}

// Stream yields every request that the filter chooses, newest first, from one snapshot
// and in constant memory; at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Request, error] {
	return func(yield func(Request, error) bool) {
		where, args := s.where(tenant, &f)
		stopped := errors.New("stopped")
		err := s.DB.View(ctx, func(tx *sqldb.DB) error {
			for r, err := range sqldb.Stream(ctx, tx, scan, selectRequest+where+` ORDER BY id DESC`, args...) {
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
			yield(Request{}, fault.Wrap("export requests", err))
		}
	}
}
