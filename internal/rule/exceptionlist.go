package rule

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// ExceptionStates lists the states that ListExceptions can choose: "expiring" is
// active with at most ExpiresSoon to go.
var ExceptionStates = []string{"active", "expiring", "expired"}

// ExpiresSoon is how long before its end an exception counts as expiring.
const ExpiresSoon = 7 * 24 * time.Hour

// ExceptionSorts lists what ListExceptions can sort by, the default first.
var ExceptionSorts = []string{"createdAt", "updatedAt", "expiresAt", "hits", "lastHitAt"}

// An ExceptionQuery asks for one page of exceptions; zero fields choose all.
type ExceptionQuery struct {
	RuleID string // of a rule that the tenant sees, else fault.NotFound
	Kind   string // of Kinds
	Owner  string // in any case
	State  string // of ExceptionStates
	Search string // stands literally, in any case, in reason, owner or scope

	Sort       string // of ExceptionSorts, "" for the default
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// ListExceptions returns one page of the tenant's exceptions, the newest first by
// default, and how many there are.
func (s *Service) ListExceptions(ctx context.Context, tenant uint32, q ExceptionQuery) (page []Exception, total int64, err error) {
	now := time.Now()
	where, args, err := q.where(tenant, now)
	if err != nil {
		return nil, 0, err
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if q.RuleID != "" {
			if _, err := get(ctx, tx, now, tenant, q.RuleID); err != nil {
				return err
			}
		}
		// $2 is used in the page only; a parameter that nothing uses has no type.
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*)`+fromException+where+` AND CAST($2 AS BIGINT) <> 0`, args...); err != nil {
			return err
		}
		limit := fmt.Sprintf(" ORDER BY %s LIMIT %d OFFSET %d", q.order(), q.Size, q.Page*q.Size)
		page, err = sqldb.All(ctx, tx, func(rows *sql.Rows, x *Exception) error { return x.scan(rows) }, selectException+fromException+where+limit, args...)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list exceptions: %w", err)
	}
	return page, total, nil
}

func (q *ExceptionQuery) where(tenant uint32, now time.Time) (string, []any, error) {
	if q.Size == 0 {
		q.Size = 20
	}
	if q.Sort == "" {
		q.Sort = ExceptionSorts[0]
	}
	allowed := func(field string, list []string) error {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(list, ", ")).In(field)
	}
	switch {
	case q.Size < 1 || q.Size > 100:
		return "", nil, fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return "", nil, fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	case !slices.Contains(ExceptionSorts, q.Sort):
		return "", nil, allowed("sort", ExceptionSorts)
	case q.Kind != "" && !slices.Contains(Kinds, q.Kind):
		return "", nil, allowed("kind", Kinds)
	case q.State != "" && !slices.Contains(ExceptionStates, q.State):
		return "", nil, allowed("state", ExceptionStates)
	}
	var b strings.Builder
	args := []any{int64(tenant), now.UnixMicro()}
	and := func(condition string, v any) {
		args = append(args, v)
		b.WriteString(" AND " + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	if q.RuleID != "" {
		and("x.rule_id = ?", q.RuleID)
	}
	if q.Kind != "" {
		and("x.kind = ?", q.Kind)
	}
	if q.Owner != "" {
		and("lower(x.owner) = ?", strings.ToLower(storable(q.Owner)))
	}
	if q.Search != "" {
		search := strings.ToLower(storable(q.Search))
		inJSON := quoted(search)
		args = append(args, inJSON[1:len(inJSON)-1])
		scope := "$" + strconv.Itoa(len(args))
		and("(instr(lower(x.reason), ?) > 0 OR instr(lower(x.owner), ?) > 0 OR instr(lower(x.scope), "+scope+") > 0)", search)
	}
	switch q.State {
	case "active":
		b.WriteString(" AND (x.expires_at IS NULL OR x.expires_at > $2)")
	case "expired":
		b.WriteString(" AND x.expires_at <= $2")
	case "expiring":
		b.WriteString(" AND x.expires_at > $2")
		and("x.expires_at <= ?", now.Add(ExpiresSoon).UnixMicro())
	}
	return b.String(), args, nil
}

func (q *ExceptionQuery) order() string {
	dir := " DESC"
	if q.Ascending {
		dir = " ASC"
	}
	column := map[string]string{
		"createdAt": "x.created_at", "updatedAt": "x.updated_at", "hits": "x.hits", "lastHitAt": "COALESCE(x.last_hit_at, 0)",
		"expiresAt": "COALESCE(x.expires_at, 9223372036854775807)",
	}[q.Sort]
	return column + dir + ", x.id" + dir
}

// storable replaces what a database cannot hold.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
