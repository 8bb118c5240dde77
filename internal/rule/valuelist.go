package rule

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A ValueList is named values of a tenant that stand in for a placeholder of rules:
// %name% with the modifier expand.
type ValueList struct {
	Name        string
	Description string
	Values      []string // nil in the answer of ValueLists
	Count       int64    // of values
	Version     int64    // from 1, rises with each change
	UpdatedBy   string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Bounds of value lists.
const (
	MaxListValues = 20_000 // what a rule may grow to
	maxLists      = 500    // of a tenant
	maxListValue  = 1024   // bytes
	maxListBytes  = 1 << 20
)

var listName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

var errNoList = fault.New(fault.NotFound, "no such list")

const selectList = `SELECT name, description, n, version, updated_by, created_at, updated_at`

func (l *ValueList) scan(rows *sql.Rows, more ...any) error {
	return rows.Scan(append([]any{&l.Name, &l.Description, &l.Count, &l.Version, &l.UpdatedBy, sqldb.Micros(&l.CreatedAt), sqldb.Micros(&l.UpdatedAt)}, more...)...)
}

// ValueLists returns the tenant's lists by name, without their values.
func (s *Service) ValueLists(ctx context.Context, tenant uint32) ([]ValueList, error) {
	all, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, l *ValueList) error { return l.scan(rows) },
		selectList+` FROM value_list WHERE tenant = $1 ORDER BY name`, int64(tenant))
	if err != nil {
		return nil, fmt.Errorf("list value lists: %w", err)
	}
	return all, nil
}

// ValueList returns one list with its values, or fault.NotFound.
func (s *Service) ValueList(ctx context.Context, tenant uint32, name string) (*ValueList, error) {
	l, err := getList(ctx, s.db, tenant, name)
	if err != nil {
		return nil, fmt.Errorf("get value list: %w", err)
	}
	return l, nil
}

func getList(ctx context.Context, db *sqldb.DB, tenant uint32, name string) (*ValueList, error) {
	if !listName.MatchString(name) {
		return nil, errNoList
	}
	l, err := sqldb.One(ctx, db, func(rows *sql.Rows, l *ValueList) error {
		var text string
		if err := l.scan(rows, &text); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &l.Values)
	}, selectList+`, entries FROM value_list WHERE tenant = $1 AND name = $2`, int64(tenant), name)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoList
	}
	return &l, err
}

// Lists returns the tenant's lists for detect.Options: the values by name.
func (s *Service) Lists(ctx context.Context, tenant uint32) (map[string][]string, error) {
	type row struct{ name, text string }
	out := map[string][]string{}
	for r, err := range sqldb.Stream(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.name, &r.text) },
		`SELECT name, entries FROM value_list WHERE tenant = $1`, int64(tenant)) {
		if err == nil {
			var values []string
			err = json.Unmarshal([]byte(r.text), &values)
			out[r.name] = values
		}
		if err != nil {
			return nil, fmt.Errorf("read value lists: %w", err)
		}
	}
	return out, nil
}

// SetValueList makes a list be exactly these values, or makes it. Rules that use it
// change with it. isNew tells whether it was not there before.
func (s *Service) SetValueList(ctx context.Context, tenant uint32, actor, name, description string, values []string) (l *ValueList, isNew bool, err error) {
	if err := checkList(name, values); err != nil {
		return nil, false, err
	}
	if description, err = checkText(description, "description", maxReason); err != nil {
		return nil, false, err
	}
	if values == nil {
		values = []string{}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, false, fmt.Errorf("set value list: %w", err)
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		_, err := getList(ctx, tx, tenant, name)
		if isNew = errors.Is(err, fault.NotFound); isNew {
			n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM value_list WHERE tenant = $1`, int64(tenant))
			if err != nil {
				return err
			}
			if n >= maxLists {
				return fault.New(fault.Conflict, "there are %d lists, which is the most: remove one first", maxLists)
			}
		} else if err != nil {
			return err
		}
		now := time.Now()
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO value_list (tenant, name, description, entries, n, version, updated_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $7)
			ON CONFLICT (tenant, name) DO UPDATE SET description = excluded.description, entries = excluded.entries, n = excluded.n,
				version = value_list.version + 1, updated_by = excluded.updated_by, updated_at = excluded.updated_at`,
			int64(tenant), name, description, string(text), int64(len(values)), actor, now.UnixMicro()); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "list.set", Object: name, Detail: map[string]any{"values": len(values)}}); err != nil {
			return err
		}
		l, err = getList(ctx, tx, tenant, name)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("set value list: %w", err)
	}
	return l, isNew, nil
}

func checkList(name string, values []string) error {
	switch {
	case !listName.MatchString(name):
		return fault.New(fault.Invalid, "Allowed: 1 to 100 of the characters A-Z a-z 0-9 _ . -").In("name")
	case len(values) > MaxListValues:
		return fault.New(fault.Invalid, "Allowed: up to %d values", MaxListValues).In("values")
	}
	total := 0
	for i, v := range values {
		if v == "" || len(v) > maxListValue || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return fault.New(fault.Invalid, "Allowed: 1 to %d bytes of UTF-8 without NUL", maxListValue).In(fmt.Sprintf("values[%d]", i))
		}
		total += len(v)
	}
	if total > maxListBytes {
		return fault.New(fault.TooLarge, "the values of a list have at most %d KiB", maxListBytes>>10)
	}
	return nil
}

// DeleteValueList removes a list. Rules that use it are blind from then on.
func (s *Service) DeleteValueList(ctx context.Context, tenant uint32, actor, name string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		if _, err := getList(ctx, tx, tenant, name); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM value_list WHERE tenant = $1 AND name = $2`, int64(tenant), name); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, Actor: actor, Action: "list.delete", Object: name})
	})
	if err != nil {
		return fmt.Errorf("delete value list: %w", err)
	}
	return nil
}
