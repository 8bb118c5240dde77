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
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Priority says what to look at first, and why: the sum of its parts, 0 to 100.
type Priority struct {
	Score int64
	Parts []PriorityPart // what counts most first; their points add up to Score unless it is at a bound
}

// A PriorityPart is one reason.
type PriorityPart struct {
	Name   string // one of PriorityNames
	Points int64  // negative where it lowers
	Reason string // for people, in English
}

// PriorityNames lists what a priority is made of.
var PriorityNames = []string{"severity", "confidence", "risk", "worth", "waiting"}

// What the parts weigh. Severity leads; the others together may lift an alert above one
// that is one step more severe, not two.
var severityPoints = map[string]int64{"critical": 60, "high": 42, "medium": 26, "low": 12, "info": 2}

// answerWithin is when somebody should have looked at an alert that waits.
var answerWithin = map[string]time.Duration{"critical": time.Hour, "high": 4 * time.Hour, "medium": 24 * time.Hour, "low": 72 * time.Hour, "info": 168 * time.Hour}

const (
	maxRiskPoints    = 14 // of the riskiest entity that is named
	maxWorthPoints   = 12 // of the one that is worth most
	maxWaitingPoints = 14 // when twice the time in which it should have been answered has passed
	// priorityWindow is how many alerts are weighed for a list by priority: the most
	// severe ones. Those behind them follow by severity.
	priorityWindow = 1000
)

// Queue returns one page of alerts by priority, the most urgent first, or the least with
// Ascending. The thousand that come first by severity are weighed; what lies behind them
// follows by severity, so that a list costs the same at any number of alerts.
func (s *Service) Queue(ctx context.Context, tenant uint32, q alert.Query) (*alert.Page, error) {
	q.Sort = "severity"
	size := max(q.Size, 1)
	window := priorityWindow / size * size
	offset := q.Page * size
	if offset >= window {
		return s.Alerts.List(ctx, tenant, q)
	}
	wanted := q
	wanted.Page, wanted.Size = 0, 100
	var out alert.Page
	var all []alert.Alert
	for len(all) < window {
		p, err := s.Alerts.List(ctx, tenant, wanted)
		if err != nil {
			return nil, err
		}
		if wanted.Page == 0 {
			out.Total, out.Capped = p.Total, p.Capped
		}
		all = append(all, p.Alerts...)
		if wanted.Page++; len(p.Alerts) < wanted.Size {
			break
		}
	}
	all = all[:min(len(all), window)]
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	entities, err := s.Alerts.EntitiesByAlert(ctx, s.DB, tenant, ids)
	if err != nil {
		return nil, err
	}
	weighed, err := s.Prioritise(ctx, tenant, all, entities)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if q.Ascending {
			a, b = b, a
		}
		return cmp.Compare(weighed[b].Score, weighed[a].Score)
	})
	out.Alerts = make([]alert.Alert, 0, size)
	for _, i := range order[min(offset, len(order)):min(offset+size, len(order))] {
		out.Alerts = append(out.Alerts, all[i])
	}
	return &out, nil
}

// Prioritise weighs alerts of a tenant; entities are those that each names, by its id.
func (s *Service) Prioritise(ctx context.Context, tenant uint32, alerts []alert.Alert, entities map[string][]alert.Entity) ([]Priority, error) {
	out := make([]Priority, len(alerts))
	if len(alerts) == 0 {
		return out, nil
	}
	rules, named := map[string]bool{}, map[Key]bool{}
	for i := range alerts {
		rules[alerts[i].Rule.ID] = true
		for _, e := range entities[alerts[i].ID] {
			if k, ok := KeyOf(e); ok {
				named[k] = true
			}
		}
	}
	confidence, err := s.confidence(ctx, tenant, rules)
	if err != nil {
		return nil, wrap("weigh alerts", err)
	}
	keys := make([]Key, 0, len(named))
	for k := range named {
		keys = append(keys, k)
	}
	scores, err := s.scoresOf(ctx, tenant, keys)
	if err != nil {
		return nil, wrap("weigh alerts", err)
	}
	var worth map[Key]Worth
	if s.Worth != nil && len(keys) > 0 {
		if worth, err = s.Worth(ctx, s.DB, tenant, keys); err != nil {
			return nil, wrap("weigh alerts", err)
		}
	}
	now := s.now()
	for i := range alerts {
		out[i] = weigh(&alerts[i], entities[alerts[i].ID], confidence, scores, worth, now)
	}
	return out, nil
}

// scored is what is known of an entity's risk.
type scored struct {
	score int64 // hundredths
	label string
}

func (s *Service) scoresOf(ctx context.Context, tenant uint32, keys []Key) (map[Key]scored, error) {
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
		all, err := sqldb.All(ctx, s.DB, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.Kind, &r.Value, &r.score, &r.label) },
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
