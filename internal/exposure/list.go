package exposure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

var errNoName = fault.New(fault.NotFound, "no such subdomain")

// A Filter chooses names; zero fields choose all.
type Filter struct {
	Domains []string // names of domains
	States  []State
	Sources []string // that showed them, any of these
	Search  string   // part of the name, in any case, or an address
	Found   *bool    // whether the last check found something wrong
}

// Sorts lists what names can be sorted by, the default first.
var Sorts = []string{"lastSeen", "firstSeen", "name"}

var columns = map[string]string{"lastSeen": "n.last_seen", "firstSeen": "n.first_seen", "name": "n.name"}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// A Page is part of a list.
type Page struct {
	Names []Name // never nil
	Total int64
}

// where is the condition of f, and its arguments.
func (f *Filter) where(tenant uint32) (string, []any, error) {
	args := []any{int64(tenant)}
	p := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var b strings.Builder
	b.WriteString(` WHERE n.tenant = $1`)
	in := func(column string, values []string) {
		if len(values) == 0 {
			return
		}
		places := make([]string, len(values))
		for i, v := range values {
			places[i] = p(v)
		}
		b.WriteString(` AND ` + column + ` IN (` + strings.Join(places, ", ") + `)`)
	}
	states := make([]string, len(f.States))
	for i, st := range f.States {
		if !slices.Contains(States, st) {
			return "", nil, fault.New(fault.Invalid, "Allowed: new, known, ignored, gone").In("state")
		}
		states[i] = string(st)
	}
	in(`n.state`, states)
	domains := make([]string, len(f.Domains))
	for i, d := range f.Domains {
		domains[i] = strings.ToLower(strings.TrimSuffix(strings.ToValidUTF8(d, "\uFFFD"), "."))
	}
	in(`d.name`, domains)
	if len(f.Sources) > 0 {
		parts := make([]string, len(f.Sources))
		for i, source := range f.Sources {
			if !slices.Contains(Sources, source) {
				return "", nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sources, ", ")).In("source")
			}
			parts[i] = `instr(n.sources, ` + p(`"`+source+`"`) + `) > 0`
		}
		b.WriteString(` AND (` + strings.Join(parts, " OR ") + `)`)
	}
	if f.Search != "" {
		text := p(strings.ToLower(strings.ToValidUTF8(f.Search, "\uFFFD")))
		b.WriteString(` AND (instr(n.name, ` + text + `) > 0 OR instr(n.addresses, ` + text + `) > 0)`)
	}
	if f.Found != nil {
		b.WriteString(` AND (n.found <> '') = ` + p(*f.Found))
	}
	return b.String(), args, nil
}

// List returns one page of the tenant's names.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	if q.Size == 0 {
		q.Size = 20
	}
	if q.Sort == "" {
		q.Sort = Sorts[0]
	}
	column, ok := columns[q.Sort]
	switch {
	case q.Size < 1 || q.Size > 100:
		return nil, fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return nil, fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	case !ok:
		return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sorts, ", ")).In("sort")
	}
	where, args, err := q.where(tenant)
	if err != nil {
		return nil, err
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	p := &Page{}
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if p.Total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM exposure_name n JOIN exposure_domain d ON d.id = n.domain`+where, args...); err != nil {
			return err
		}
		p.Names, err = sqldb.All(ctx, tx, scanName, fmt.Sprintf(`%s%s ORDER BY %s %s, n.id %s LIMIT %d OFFSET %d`, selectName, where, column, direction, direction, q.Size, int64(q.Page)*int64(q.Size)), args...)
		return err
	})
	return p, fault.Wrap("list subdomains", err)
}

// Stream yields every name that the filter chooses, the one seen last first, from one
// snapshot and in constant memory; at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Name, error] {
	return func(yield func(Name, error) bool) {
		where, args, err := f.where(tenant)
		if err != nil {
			yield(Name{}, err)
			return
		}
		stopped := errors.New("stopped")
		err = s.DB.View(ctx, func(tx *sqldb.DB) error {
			for n, err := range sqldb.Stream(ctx, tx, scanName, selectName+where+` ORDER BY n.last_seen DESC, n.id DESC`, args...) {
				if err != nil {
					return err
				}
				if !yield(n, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Name{}, fault.Wrap("export subdomains", err))
		}
	}
}

// Get returns the tenant's name of that id, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Name, error) {
	n, err := nameByID(ctx, s.DB, tenant, id)
	return n, fault.Wrap("get subdomain", err)
}

func nameByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Name, error) {
	if !sane(id) {
		return nil, errNoName
	}
	n, err := sqldb.One(ctx, db, scanName, selectName+` WHERE n.tenant = $1 AND n.id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoName
	}
	return &n, err
}

// A Patch is a person's change; nil fields stay as they are.
type Patch struct {
	State   *State
	Notes   *string
	Version int64 // that the caller has seen, 0 for any; another is fault.Conflict in field "version"
}

// Patch changes what people say of a name.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Name, error) {
	switch {
	case p.State == nil && p.Notes == nil:
		return nil, fault.New(fault.Invalid, "Give at least one of state, notes")
	case p.State != nil && !slices.Contains(States, *p.State):
		return nil, fault.New(fault.Invalid, "Allowed: new, known, ignored, gone").In("state")
	case p.Notes != nil && utf8.RuneCountInString(*p.Notes) > maxNotes:
		return nil, fault.New(fault.Invalid, "Allowed: up to %d characters", maxNotes).In("notes")
	}
	var n *Name
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if n, err = nameByID(ctx, tx, tenant, id); err != nil {
			return err
		}
		if p.Version != 0 && p.Version != n.Version {
			return fault.New(fault.Conflict, "the subdomain has changed since").In("version")
		}
		detail := map[string]any{"name": n.Name}
		if p.State != nil && *p.State != n.State {
			detail["state"] = map[string]State{"from": n.State, "to": *p.State}
			n.State = *p.State
		}
		if p.Notes != nil && *p.Notes != n.Notes {
			detail["notes"] = map[string]string{"from": n.Notes, "to": *p.Notes}
			n.Notes = *p.Notes
		}
		if len(detail) == 1 {
			return nil // everything is so already
		}
		n.Version++
		n.UpdatedBy = actor
		if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_name SET state = $1, notes = $2, version = $3, updated_by = $4 WHERE id = $5`, string(n.State), n.Notes, n.Version, actor, n.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "subdomain.update", Object: n.ID, Detail: detail})
	})
	if err != nil {
		return nil, fault.Wrap("change subdomain", err)
	}
	return n, nil
}
