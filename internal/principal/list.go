package principal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Filter chooses accounts; what is empty chooses nothing away.
type Filter struct {
	Search              string // part of a name or domain, in any case
	Privileged, Dormant *bool
	Domains             []string
	Types, Statuses     []string
	Host                string // seen on it
}

// A Query is one page. Sort is one of Sorts, "" for the first.
type Query struct {
	Filter
	Sort       string
	Ascending  bool
	Page, Size int
}

// Sorts lists what List sorts by.
var Sorts = []string{"lastSeen", "firstSeen", "name", "domain", "lastSignIn", "failedSignIns24h", "failedSignIns7d"}

var sortColumns = map[string]string{
	"lastSeen": "p.last_at", "firstSeen": "p.first_at", "name": "p.name", "domain": "p.domain", "lastSignIn": "p.signin_at", "failedSignIns24h": "failed_day", "failedSignIns7d": "failed_week",
}

const privileged = `(p.set_privileged = 1 OR p.set_privileged = 0 AND p.evidence <> 0)`

type where struct {
	text strings.Builder
	args []any
}

func (w *where) p(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *where) in(column string, values []string, fold bool) {
	if len(values) == 0 {
		return
	}
	w.text.WriteString(" AND " + column + " IN (")
	for i, v := range values {
		if i > 0 {
			w.text.WriteString(", ")
		}
		if fold {
			v = strings.ToLower(v)
		}
		w.text.WriteString(w.p(v))
	}
	w.text.WriteString(")")
}

// where is the condition; its first three arguments are the tenant, the hour of now and
// the moment before which the newest sign-in makes an account dormant.
func (f *Filter) where(tenant uint32, now time.Time, days int64) *where {
	w := &where{args: []any{int64(tenant), now.Unix() / 3600, now.AddDate(0, 0, -int(days)).UnixMicro()}}
	w.text.WriteString(" WHERE p.tenant = $1")
	flag := func(condition string, is *bool) {
		if is != nil && *is {
			w.text.WriteString(" AND " + condition)
		} else if is != nil {
			w.text.WriteString(" AND NOT " + condition)
		}
	}
	flag(privileged, f.Privileged)
	flag(dormant, f.Dormant)
	w.in("p.domain", f.Domains, true)
	w.in("p.type", f.Types, false)
	w.in("p.status", f.Statuses, false)
	if f.Host != "" {
		w.text.WriteString(" AND p.id IN (SELECT t.principal FROM principal_trait t WHERE t.tenant = $1 AND t.kind = 'host' AND t.value = " + w.p(f.Host) + ")")
	}
	if text := strings.ToLower(strings.TrimSpace(f.Search)); text != "" {
		text = w.p("%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text) + "%")
		w.text.WriteString(" AND (p.word LIKE " + text + " ESCAPE '!' OR p.uid LIKE " + text + " ESCAPE '!')")
	}
	return w
}

const dormant = `((CASE WHEN p.signin_at > 0 THEN p.signin_at ELSE p.last_at END) < $3)`

const columns = `p.id, p.word, p.name, p.domain, p.uid, p.type, p.status, p.owner, p.tags, p.evidence, p.set_privileged, p.first_at, p.last_at, p.signin_at, p.signin_from, p.signin_host, p.version, ` +
	`CASE WHEN ` + dormant + ` THEN 1 ELSE 0 END,
	COALESCE((SELECT SUM(f.failed) FROM principal_failure f WHERE f.tenant = p.tenant AND f.principal = p.id AND f.hour > $2 - 24), 0) AS failed_day,
	COALESCE((SELECT SUM(f.failed) FROM principal_failure f WHERE f.tenant = p.tenant AND f.principal = p.id AND f.hour > $2 - 168), 0) AS failed_week`

func scan(rows *sql.Rows, p *Principal) error {
	var set, signIn, asleep int64
	if err := rows.Scan(&p.ID, &p.Word, &p.Name, &p.Domain, &p.UID, &p.Type, &p.Status, &p.Owner, &p.tags, &p.evidence, &set, sqldb.Micros(&p.First), sqldb.Micros(&p.Last), &signIn, &p.SignInFrom, &p.SignInHost, &p.Version,
		&asleep, &p.Failed24h, &p.Failed7d); err != nil {
		return err
	}
	p.Dormant, p.Reasons = asleep == 1, reasonsOf(p.evidence)
	p.Privileged = set == 1 || set == 0 && p.evidence != 0
	if set != 0 {
		p.Override = &p.Privileged
	}
	if signIn > 0 {
		at := time.UnixMicro(signIn).UTC()
		p.SignIn = &at
	}
	return json.Unmarshal([]byte(p.tags), &p.Tags)
}

// List returns one page of a tenant's accounts and how many there are.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (list []Principal, total int64, err error) {
	days, err := s.Setting(ctx, tenant)
	if err != nil {
		return nil, 0, err
	}
	w := q.where(tenant, s.options.Now(), days)
	column, ok := sortColumns[q.Sort]
	if !ok {
		column = "p.last_at"
	}
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		// The count has all three first arguments too, so that it may name any.
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT COUNT(*) FROM principal p`+w.text.String()+` AND CAST($2 AS BIGINT) > 0 AND CAST($3 AS BIGINT) IS NOT NULL`, w.args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scan, `SELECT `+columns+` FROM principal p`+w.text.String()+
			fmt.Sprintf(` ORDER BY %s %s, p.id %s LIMIT %d OFFSET %d`, column, direction, direction, q.Size, int64(q.Page)*int64(q.Size)), w.args...)
		if err != nil {
			return err
		}
		return fill(ctx, tx, tenant, list)
	})
	return list, total, wrap("list identities", err)
}

// Stream yields the accounts that f chooses from one snapshot, the newest first.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Principal, error] {
	return func(yield func(Principal, error) bool) {
		stopped := false
		days, err := s.Setting(ctx, tenant)
		if err == nil {
			err = s.db.View(ctx, func(tx *sqldb.DB) error {
				last, id := int64(1)<<62, ""
				for {
					w := f.where(tenant, s.options.Now(), days)
					at, after := w.p(last), w.p(id)
					list, err := sqldb.All(ctx, tx, scan, `SELECT `+columns+` FROM principal p`+w.text.String()+` AND (p.last_at < `+at+` OR p.last_at = `+at+` AND p.id < `+after+`) ORDER BY p.last_at DESC, p.id DESC LIMIT 500`, w.args...)
					if err == nil {
						err = fill(ctx, tx, tenant, list)
					}
					if err != nil || len(list) == 0 {
						return err
					}
					for i := range list {
						if !yield(list[i], nil) {
							stopped = true
							return nil
						}
					}
					last, id = list[len(list)-1].Last.UnixMicro(), list[len(list)-1].ID
				}
			})
		}
		if err != nil && !stopped {
			yield(Principal{}, wrap("read identities", err))
		}
	}
}

const shown = 10

// fill adds where accounts are seen usually.
func fill(ctx context.Context, tx *sqldb.DB, tenant uint32, list []Principal) error {
	if len(list) == 0 {
		return nil
	}
	w := &where{args: []any{int64(tenant)}}
	ids := make([]string, len(list))
	at := map[string]*Principal{}
	for i := range list {
		ids[i], at[list[i].ID] = list[i].ID, &list[i]
	}
	w.in("principal", ids, false)
	type placed struct {
		id, kind string
		Place
	}
	for p, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, p *placed) error {
		return rows.Scan(&p.id, &p.kind, &p.Value, sqldb.Micros(&p.First), sqldb.Micros(&p.Last), &p.Times)
	}, `SELECT principal, kind, value, first_at, last_at, times FROM principal_trait WHERE tenant = $1`+w.text.String()+` ORDER BY times DESC, last_at DESC, value`, w.args...) {
		if err != nil {
			return err
		}
		into := &at[p.id].Hosts
		if p.kind == "address" {
			into = &at[p.id].Addresses
		}
		if len(*into) < shown {
			*into = append(*into, p.Place)
		}
	}
	return nil
}

// Get returns one account, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Principal, error) {
	days, err := s.Setting(ctx, tenant)
	if err != nil {
		return nil, err
	}
	f := Filter{}
	w := f.where(tenant, s.options.Now(), days)
	list, err := sqldb.All(ctx, s.db, scan, `SELECT `+columns+` FROM principal p`+w.text.String()+` AND p.id = `+w.p(id), w.args...)
	if err != nil {
		return nil, wrap("read identity", err)
	}
	if len(list) == 0 {
		return nil, unknown()
	}
	if err := fill(ctx, s.db, tenant, list); err != nil {
		return nil, wrap("read identity", err)
	}
	return &list[0], nil
}

// A Seen is an account that was seen on a host.
type Seen struct {
	ID, Word string
	Last     time.Time
}

// On returns up to 50 accounts that were seen on any of the hosts, the newest first.
func (s *Service) On(ctx context.Context, tenant uint32, hosts []string) ([]Seen, error) {
	if len(hosts) == 0 {
		return nil, nil
	}
	w := &where{args: []any{int64(tenant)}}
	w.in("LOWER(t.value)", hosts, true)
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, x *Seen) error { return rows.Scan(&x.ID, &x.Word, sqldb.Micros(&x.Last)) },
		`SELECT p.id, p.word, MAX(t.last_at) FROM principal_trait t JOIN principal p ON p.tenant = t.tenant AND p.id = t.principal WHERE t.tenant = $1 AND t.kind = 'host'`+w.text.String()+
			` GROUP BY p.id, p.word ORDER BY MAX(t.last_at) DESC, p.id LIMIT 50`, w.args...)
	return list, wrap("read identities of a host", err)
}
