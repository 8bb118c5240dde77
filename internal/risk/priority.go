package risk

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Priority says what to look at first, and why: the sum of its parts, 0 to 100.
type Priority struct {
	Score int64
	Parts []PriorityPart // what counts most first; their points add up to Score unless it is at a bound
}

// A PriorityPart is one reason.
type PriorityPart struct {
	Name   string // severity, confidence, risk, worth or waiting
	Points int64  // negative where it lowers
	Reason string // for people, in English
}

// What the parts weigh. Severity leads; the others together may lift an alert above one
// that is one step more severe, not two.
var severityPoints = map[string]int64{"critical": 60, "high": 42, "medium": 26, "low": 12, "info": 2}

// answerWithin is when somebody should have looked at an alert that waits.
var answerWithin = map[string]time.Duration{"critical": time.Hour, "high": 4 * time.Hour, "medium": 24 * time.Hour, "low": 72 * time.Hour, "info": 168 * time.Hour}

const (
	maxRiskPoints    = 14 // of the riskiest entity that is named
	maxWorthPoints   = 12 // of the one that is worth most
	maxWaitingPoints = 14 // when twice the time in which it should have been answered has passed
	// priorityWindow is how many alerts are weighed for a list by priority, at most: those
	// that come first by severity.
	priorityWindow = 1000
)

// Weighed is a page of alerts with what was found out to order it.
type Weighed struct {
	alert.Page
	Entities   map[string][]alert.Entity // that each alert names, by its id
	Priorities []Priority                // of the alerts, in their order
}

// Queue returns one page of alerts by priority, the most urgent first, or the least with
// Ascending, all of one moment. The thousand that come first by severity are weighed, from
// the least severe on with Ascending; what lies behind them follows by severity, so that a
// list costs the same at any number of alerts.
func (s *Service) Queue(ctx context.Context, tenant uint32, q alert.Query) (*Weighed, error) {
	q.Sort = "severity"
	size := max(q.Size, 1)
	window := priorityWindow / size * size
	offset := q.Page * size
	w := &Weighed{}
	known, err := s.weighing(ctx, tenant, func(tx *sqldb.DB) ([]alert.Alert, error) {
		if offset >= window {
			p, err := s.Alerts.ListIn(ctx, tx, tenant, q)
			if err != nil {
				return nil, err
			}
			w.Page = *p
			return w.Alerts, nil
		}
		wanted := q
		wanted.Page, wanted.Size = 0, 100
		for len(w.Alerts) < window {
			p, err := s.Alerts.ListIn(ctx, tx, tenant, wanted)
			if err != nil {
				return nil, err
			}
			w.Total, w.Capped = p.Total, p.Capped
			w.Alerts = append(w.Alerts, p.Alerts...)
			if wanted.Page++; len(p.Alerts) < wanted.Size {
				break
			}
		}
		w.Alerts = w.Alerts[:min(len(w.Alerts), window)]
		return w.Alerts, nil
	})
	if err != nil {
		return nil, err
	}
	all, weighed := w.Alerts, known.weigh(w.Alerts)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	if offset < window {
		slices.SortStableFunc(order, func(a, b int) int {
			if q.Ascending {
				a, b = b, a
			}
			return cmp.Compare(weighed[b].Score, weighed[a].Score)
		})
		order = order[min(offset, len(order)):min(offset+size, len(order))]
	}
	w.Entities = known.entities
	w.Alerts, w.Priorities = make([]alert.Alert, len(order)), make([]Priority, len(order))
	for i, at := range order {
		w.Alerts[i], w.Priorities[i] = all[at], weighed[at]
	}
	return w, nil
}

// Weigh finds out the entities and priorities of alerts of a tenant.
func (s *Service) Weigh(ctx context.Context, tenant uint32, p *alert.Page) (*Weighed, error) {
	known, err := s.weighing(ctx, tenant, func(*sqldb.DB) ([]alert.Alert, error) { return p.Alerts, nil })
	if err != nil {
		return nil, err
	}
	return &Weighed{Page: *p, Entities: known.entities, Priorities: known.weigh(p.Alerts)}, nil
}

// A weighing is what priorities are made of.
type weighing struct {
	entities   map[string][]alert.Entity
	scores     map[Key]scored
	confidence map[string]float64
	worth      map[Key]Worth
	now        time.Time
}

// weighing reads alerts, what they name and the risk of that in one snapshot. Confidence
// and worth come from where they are kept for a while.
func (s *Service) weighing(ctx context.Context, tenant uint32, read func(tx *sqldb.DB) ([]alert.Alert, error)) (*weighing, error) {
	w := &weighing{now: s.now()}
	rules, named := map[string]bool{}, map[Key]bool{}
	var keys []Key
	err := s.DB.View(ctx, func(tx *sqldb.DB) error {
		alerts, err := read(tx)
		if err != nil || len(alerts) == 0 {
			return err
		}
		ids := make([]string, len(alerts))
		for i := range alerts {
			ids[i] = alerts[i].ID
			rules[alerts[i].Rule.ID] = true
		}
		if w.entities, err = s.Alerts.EntitiesByAlert(ctx, tx, tenant, ids); err != nil {
			return err
		}
		for _, list := range w.entities {
			for _, e := range list {
				if k, ok := KeyOf(e); ok && !named[k] {
					named[k] = true
					keys = append(keys, k)
				}
			}
		}
		w.scores, err = scoresOf(ctx, tx, tenant, keys)
		return err
	})
	if err == nil {
		w.confidence, err = s.confidence(ctx, tenant, rules)
	}
	if err == nil && s.Worth != nil && len(keys) > 0 {
		w.worth, err = s.Worth(ctx, s.DB, tenant, keys)
	}
	return w, fault.Wrap("weigh alerts", err)
}

func (w *weighing) weigh(alerts []alert.Alert) []Priority {
	out := make([]Priority, len(alerts))
	for i := range alerts {
		out[i] = weigh(&alerts[i], w.entities[alerts[i].ID], w.confidence, w.scores, w.worth, w.now)
	}
	return out
}

// scored is what is known of an entity's risk.
type scored struct {
	score int64 // hundredths
	label string
}

func scoresOf(ctx context.Context, db *sqldb.DB, tenant uint32, keys []Key) (map[Key]scored, error) {
	out := make(map[Key]scored, len(keys))
	type row struct {
		Key
		scored
	}
	const most = 200 // places in one statement
	for chunk := range slices.Chunk(keys, most) {
		args, marks := []any{int64(tenant)}, make([]string, len(chunk))
		for i, k := range chunk {
			args = append(args, k.Value)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		all, err := sqldb.All(ctx, db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.Kind, &r.Value, &r.score, &r.label) },
			`SELECT kind, entity, score, label FROM risk_entity WHERE tenant = $1 AND entity IN (`+strings.Join(marks, ", ")+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			out[r.Key] = r.scored
		}
	}
	return out, nil
}

func weigh(a *alert.Alert, entities []alert.Entity, confidence map[string]float64, scores map[Key]scored, worth map[Key]Worth, now time.Time) Priority {
	var p Priority
	add := func(name string, points int64, reason string) {
		if points != 0 {
			p.Parts = append(p.Parts, PriorityPart{name, points, reason})
			p.Score += points
		}
	}
	base := severityPoints[a.Severity]
	add("severity", base, "severity "+a.Severity)
	if c, known := confidence[a.Rule.ID]; known && c < 1 {
		// A rule that was never right still keeps half: the next alert may be the one.
		add("confidence", -int64(math.Round(float64(base)*(1-c)/2)), fmt.Sprintf("%.0f%% of what its rule raised was right", 100*c))
	}
	var risky scored
	var best Worth
	bestOf := ""
	for _, e := range entities {
		k, ok := KeyOf(e)
		if !ok {
			continue
		}
		if x := scores[k]; x.score > risky.score {
			risky = x
		}
		if w := worth[k]; w.Factor > max(best.Factor, 1) {
			best, bestOf = w, e.Value
		}
	}
	if a.Rule.Origin == Origin { // it says nothing but that: the risk must not count twice
		risky.score = 0
	}
	add("risk", risky.score*maxRiskPoints/10_000, fmt.Sprintf("%s has a risk of %d", risky.label, risky.score/100))
	const mostFactor = 0.6 // above 1, of what is critical
	if best.Factor > 1 {
		add("worth", int64(math.Round(maxWorthPoints*min((best.Factor-1)/mostFactor, 1))), bestOf+": "+best.Reason)
	}
	if within := answerWithin[a.Severity]; a.Status == alert.Open && a.AssignedTo == "" && within > 0 {
		waits := now.Sub(a.CreatedAt)
		share := min(float64(waits)/float64(2*within), 1)
		add("waiting", int64(math.Round(maxWaitingPoints*max(share, 0))), "nobody has taken it for "+roundWait(waits))
	}
	p.Score = min(max(p.Score, 0), 100)
	slices.SortStableFunc(p.Parts, func(a, b PriorityPart) int { return cmp.Compare(b.Points, a.Points) })
	return p
}

// roundWait writes a time as people say it: 40 min, 5 h, 3 d.
func roundWait(d time.Duration) string {
	switch {
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}
