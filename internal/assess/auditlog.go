package assess

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const chainPopulation = "entries of the tenant's audit log, among them one for every item of evidence"

func auditChain(ctx context.Context, q *inquiry) (*finding, error) {
	q.note("the last verification of the hash chain and its signed heads, as kyra serve does it every 6 hours")
	check, err := audit.LastCheck(ctx, q.DB, q.tenant)
	if err != nil {
		return nil, err
	}
	seal, err := audit.LastSeal(ctx, q.DB, q.tenant)
	if err != nil {
		return nil, err
	}
	q.note("the last nightly look at all evidence, records and files")
	kept, err := evidence.LastHealth(ctx, q.DB, q.tenant)
	if err != nil {
		return nil, err
	}
	return judgeChain(check, seal, kept, q.p, q.now), nil
}

const longestUnverified = 7 * day

func judgeChain(c *audit.Check, seal *audit.Seal, kept *evidence.Health, p compliance.Params, now time.Time) *finding {
	limit := p.Hours("maxAgeHours")
	f := &finding{population: chainPopulation, resources: []string{"audit log"}, to: now, threshold: fmt.Sprintf("no break AND verified within %s", span(limit))}
	if c == nil {
		f.absent = true
		f.reason = say("The audit log was never verified: kyra serve does so at its start and every 6 hours; look into its log.")
		return f
	}
	age := now.Sub(c.At)
	f.size, f.from, f.value, f.unit = c.Entries, c.At, new(age.Hours()), "hours"
	f.facts = map[string]any{"verifiedAt": c.At, "entries": c.Entries, "firstEntry": min(c.Entries, 1), "brokenAt": c.BrokenAt, "why": c.Why}
	if seal != nil {
		f.facts["signedHead"] = map[string]any{"day": seal.Day.Format(time.DateOnly), "entry": seal.Seq, "hash": fmt.Sprintf("%x", seal.Hash), "key": seal.KeyID}
	}
	if kept != nil {
		f.facts["evidence"] = map[string]any{"checkedAt": kept.At, "records": kept.Records, "flaws": kept.Flaws, "firstFlaw": kept.First.What, "firstFlawRecord": kept.First.ID}
	}
	found := say("%s of the audit log were verified %s ago", plural(c.Entries, "entry", "entries"), span(age))
	switch {
	case c.BrokenAt != 0:
		f.outcome, f.size = compliance.Fail, max(c.Entries, 1)
		return f.remedied(say("The audit log is broken at entry %d: %s", c.BrokenAt, c.Why), say("compare it with an exported copy and find out who had access to the database"))
	case kept != nil && kept.Flaws > 0:
		f.outcome, f.size = compliance.Fail, max(c.Entries, 1)
		return f.remedied(say("Evidence is not as it was kept, first at record %d: %s", kept.First.Seq, kept.First.What), say("compare it with an exported bundle or a backup, and find out who had access to database and data folder"))
	case age > longestUnverified:
		f.outcome, f.size = compliance.Fail, max(c.Entries, 1)
		return f.remedied(found, say("look into the server's log for why verification does not run"))
	case age > limit:
		f.outcome = compliance.Partly
		return f.remedied(found.And(say(" without a break")), say("look into the server's log for why verification does not run: it does every 6 hours"))
	case c.Entries == 0:
		return f.nothing("The audit log is empty: nothing was changed yet.")
	}
	f.outcome = compliance.Pass
	return f.remedied(found.And(say(" without a break")), none)
}

// reviewDay is a day on which somebody worked on alerts or incidents.
type reviewDay struct {
	Day     int64 // since 1970, UTC
	Actor   string
	Actions int64
	First   time.Time
}

// reviewed returns who worked on alerts and incidents, by day, over the last hundred days.
func (q *inquiry) reviewed(ctx context.Context) ([]reviewDay, error) {
	return q.reviews.get(ctx, q, func(ctx context.Context, q *inquiry) ([]reviewDay, error) {
		return rowsOf(ctx, q, func(rows *sql.Rows, d *reviewDay) error {
			return rows.Scan(&d.Day, &d.Actor, &d.Actions, sqldb.Micros(&d.First))
		}, `SELECT at / 86400000000, actor, count(*), min(at) FROM audit_entry WHERE tenant = $1 AND at >= $2 AND action IN ('alert.update', 'incident.create', 'incident.update', 'incident.comment', 'incident.task', 'incident.evidence', 'search.review')
			AND actor <> 'system' AND actor NOT LIKE 'playbook:%' GROUP BY 1, 2 ORDER BY 1 DESC, 2`, q.tenant, q.now.Add(-100*day))
	})
}

func logReview(ctx context.Context, q *inquiry) (*finding, error) {
	began, err := q.began(ctx)
	if err != nil {
		return nil, err
	}
	days, err := q.reviewed(ctx)
	if err != nil {
		return nil, err
	}
	return judgeReview(days, began, q.p, q.now), nil
}

func judgeReview(days []reviewDay, began time.Time, p compliance.Params, now time.Time) *finding {
	every, period := max(p.Int("everyDays"), 1), max(p.Int("periodDays"), 1)
	end := now.UTC().Truncate(day)
	f := &finding{
		population: fmt.Sprintf("slots of %s that have ended in the period and since the tenant was made", plural(int64(every), "day", "days")),
		from:       end.AddDate(0, 0, -period), to: end, resources: []string{"audit log"},
	}
	slots, done := int64(0), int64(0)
	list := &table{}
	var missed []string
	for from := end.AddDate(0, 0, -every); !from.Before(f.from) && !from.Before(began.UTC().Truncate(day).Add(day)); from = from.AddDate(0, 0, -every) {
		slots++
		row := map[string]any{"from": from.Format(time.DateOnly), "days": every}
		var by []string
		n := int64(0)
		first, last := from.Unix()/86400, from.AddDate(0, 0, every).Unix()/86400
		for _, d := range days {
			if d.Day >= first && d.Day < last {
				n += d.Actions
				if !slices.Contains(by, text(d.Actor)) {
					by = append(by, text(d.Actor))
				}
			}
		}
		row["actions"], row["by"] = n, by[:min(len(by), 10)]
		list.add(from.Format(time.DateOnly), row)
		if n > 0 {
			done++
		} else {
			missed = append(missed, from.Format(time.DateOnly))
		}
	}
	f.facts = map[string]any{"slots": list}
	if slots == 0 {
		return f.nothing("No slot for a review has ended since the tenant was made: wait for the first one.")
	}
	f.ratio(done, slots, p)
	return f.remedied(say("In %s slots somebody worked on alerts or incidents", of(done, slots)), say("look at what came in at least every %s, and note it at an alert or incident; nobody did in the slots of %s", plural(int64(every), "day", "days"), few(missed)))
}

// taken is how often something was searched for or taken out.
type taken struct {
	Action    string `json:"action"`
	N         int64  `json:"n"`
	Explained int64  `json:"withReason"`
}

func piiSearchAudit(ctx context.Context, q *inquiry) (*finding, error) {
	from := q.now.Add(-30 * day)
	rows, err := rowsOf(ctx, q, func(rows *sql.Rows, r *taken) error { return rows.Scan(&r.Action, &r.N, &r.Explained) },
		`SELECT action, count(*), CAST(sum(CASE WHEN detail LIKE '%"reason":"_%' THEN 1 ELSE 0 END) AS BIGINT) FROM audit_entry WHERE tenant = $1 AND at >= $2 AND (action LIKE 'search.%' OR action LIKE 'export.%' OR action IN ('dsr.reveal', 'dsr.download')) GROUP BY action ORDER BY action`, q.tenant, from)
	if err != nil {
		return nil, err
	}
	machines, err := q.machines(ctx)
	if err != nil {
		return nil, err
	}
	return judgeSearches(rows, slices.ContainsFunc(machines, func(m machine) bool { return m.personal() }), q.p, q.now), nil
}

// judgeSearches weighs entries of the audit log. One is written before the answer is
// given, so that there is none where nothing was searched for; what can be missing is why
// something was taken out where systems hold personal data.
func judgeSearches(all []taken, personal bool, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "searches in events and exports of the last 30 days", from: now.Add(-30 * day), to: now, resources: []string{"audit log"},
		facts: map[string]any{"entries": all, "systemsWithPersonalData": personal},
	}
	var size, good int64
	for _, t := range all {
		size += t.N
		if personal && t.Action == "export.create" {
			good += t.Explained
		} else {
			good += t.N
		}
	}
	if size == 0 {
		return f.nothing("Nobody has searched in events or exported anything for 30 days.")
	}
	return f.ratio(good, size, p).remedied(say("%s searches and exports of 30 days stand in the audit log with who, what and, where systems hold personal data, why", of(good, size)),
		say("say why with each export: the parameter reason"))
}
