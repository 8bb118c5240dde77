package risk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// raise returns what the tenant's risk rules say of an entity whose score was before and
// is e.Score now. What reaches a line is told each time that it does so from below; a
// rise once within the rule's hours.
func (s *Service) raise(ctx context.Context, tx *sqldb.DB, tenant uint32, set *Settings, e *Entity, before int64, now time.Time) ([]alert.Finding, error) {
	var out []alert.Finding
	for i := range set.Rules {
		r := &set.Rules[i]
		if !r.Enabled || r.Watched && !e.Watched || len(r.Kinds) > 0 && !slices.Contains(r.Kinds, e.Kind) {
			continue
		}
		line := int64(r.Score) * 100
		if r.When == Reaches {
			if before < line && e.Score >= line {
				out = append(out, r.finding(tenant, e, before, now))
			}
			continue
		}
		if e.Score < line {
			continue
		}
		from, told, err := s.lowest(ctx, tx, r, e, now)
		if err != nil {
			return nil, err
		}
		if told || e.Score-from < line {
			continue
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_raised (entity, rule, at) VALUES ($1, $2, $3) ON CONFLICT (entity, rule) DO UPDATE SET at = excluded.at`, e.ID, r.ID, now.UnixMicro()); err != nil {
			return nil, err
		}
		out = append(out, r.finding(tenant, e, from, now))
	}
	return out, nil
}

// lowest returns the lowest score of the rule's hours, and whether the rule has told of
// the entity in them.
func (s *Service) lowest(ctx context.Context, tx *sqldb.DB, r *Rule, e *Entity, now time.Time) (from int64, told bool, err error) {
	since := now.Add(-time.Duration(r.Hours) * time.Hour)
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM risk_raised WHERE entity = $1 AND rule = $2 AND at > $3`, e.ID, r.ID, since.UnixMicro())
	if err != nil || n > 0 {
		return 0, true, err
	}
	from, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT coalesce(min(lowest), 0) FROM risk_hour WHERE entity = $1 AND hour > $2`, e.ID, since.UnixMicro()/hourMicros)
	return from, false, err
}

// finding is the rule's alert about e.
func (r *Rule) finding(tenant uint32, e *Entity, from int64, now time.Time) alert.Finding {
	about := alert.Entity{Type: "host", Field: event.Host, Value: e.Label}
	switch e.Kind {
	case Identity:
		about.Type, about.Field = "user", event.User
	case Address:
		about.Type, about.Field = "ip", event.SrcIP
	case Asset:
	}
	text := fmt.Sprintf("The risk score of %s {entity} is %.2f, it was %.2f.", e.Kind, points(e.Score), points(from))
	if r.When == Rises {
		text = fmt.Sprintf("The risk score of %s {entity} rose from %.2f to %.2f within %d hours.", e.Kind, points(from), points(e.Score), r.Hours)
	}
	return alert.Finding{
		Tenant: tenant, Title: r.Name, Severity: r.Severity, Source: "kyra",
		Rule:        alert.RuleRef{ID: r.ID, Name: r.Name, Author: "KYRA", Origin: Origin, Version: 1},
		Description: text, Values: map[string][]string{"entity": {e.Label}},
		Key: "risk=" + string(e.Kind) + ":" + e.key, Entities: []alert.Entity{about},
		First: now.UnixNano(), Last: now.UnixNano(), Count: 1,
	}
}

// points is a score as people read it.
func points(hundredths int64) float64 { return float64(hundredths) / 100 }
