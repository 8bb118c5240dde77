package assess

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/mask"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// wish is a request of a person about their data.
type wish struct {
	ID, Kind, Law, Status string
	Received              string // YYYY-MM-DD
	Due                   time.Time
	AckBy                 string // YYYY-MM-DD, "" where none is asked for
	Acked, Closed         *time.Time
	Extended              bool
}

const wishSpan = 365 * day

func dsrDeadline(ctx context.Context, q *inquiry) (*finding, error) {
	zones, err := rowsOf(ctx, q, sqldb.Value[string], `SELECT zone FROM dsr_setting WHERE tenant = $1`, q.tenant)
	if err != nil {
		return nil, err
	}
	zone := time.UTC
	if len(zones) > 0 {
		if z, err := time.LoadLocation(zones[0]); err == nil {
			zone = z
		}
	}
	all, err := rowsOf(ctx, q, func(rows *sql.Rows, w *wish) error {
		var extension string
		err := rows.Scan(&w.ID, &w.Kind, &w.Law, &w.Status, &w.Received, sqldb.Micros(&w.Due), &w.AckBy, sqldb.MicrosOrNull(&w.Acked), sqldb.MicrosOrNull(&w.Closed), &extension)
		w.Extended = extension != ""
		return err
	}, `SELECT id, kind, law, status, received_on, due_at, ack_by, acked_at, closed_at, extension FROM dsr_request WHERE tenant = $1 AND (closed_at IS NULL OR closed_at >= $2) ORDER BY id`, q.tenant, q.now.Add(-wishSpan))
	if err != nil {
		return nil, err
	}
	return judgeWishes(all, zone, q.p, q.now), nil
}

// asked tells whether parameters that name a term speak of the request, and by when it
// had to be closed. A term that is a law's own is meant for that law alone, and its
// calendar counts it: holidays, months and extensions are in the due date. Without one, and
// for one that no law has, all requests count.
func (w *wish) asked(p compliance.Params, zone *time.Location) (deadline time.Time, ok bool) {
	optOut := w.Law == "CCPA" && (w.Kind == "objection" || w.Kind == "restriction")
	switch days := p.Int("days"); {
	case p.Int("businessDays") == 15:
		return w.Due, optOut
	case days == 10:
		return w.Due, w.Law == "PIPA"
	case days == 45:
		return w.Due, w.Law == "CCPA" && !optOut
	case days == 30 || days <= 0:
		return w.Due, true
	default:
		received, err := time.ParseInLocation(time.DateOnly, w.Received, zone)
		if err != nil {
			return w.Due, true
		}
		return received.AddDate(0, 0, days+1), true
	}
}

func judgeWishes(all []wish, zone *time.Location, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "requests closed within a year, and open ones that are overdue", from: now.Add(-wishSpan), to: now, resources: []string{"register of data subject requests"},
	}
	list := &table{}
	var good, open int64
	var late, unconfirmed []string
	for i := range all {
		w := &all[i]
		deadline, ok := w.asked(p, zone)
		if !ok {
			continue
		}
		inTime := w.Closed != nil && !w.Closed.After(deadline)
		if w.Closed == nil && now.Before(deadline) {
			continue // its time still runs
		}
		if w.Closed == nil {
			open++
		}
		confirmed := true
		if p.Int("ackBusinessDays") > 0 && w.AckBy != "" {
			by, err := time.ParseInLocation(time.DateOnly, w.AckBy, zone)
			end := by.AddDate(0, 0, 1)
			confirmed = err != nil || w.Acked != nil && w.Acked.Before(end) || w.Closed != nil && w.Closed.Before(end)
		}
		list.add(w.ID, map[string]any{"id": w.ID, "kind": w.Kind, "law": w.Law, "receivedOn": w.Received, "deadline": deadline, "extended": w.Extended, "acknowledgedAt": w.Acked, "closedAt": w.Closed, "inTime": inTime, "acknowledgedInTime": confirmed})
		switch {
		case !inTime:
			late = append(late, w.ID)
		case !confirmed:
			unconfirmed = append(unconfirmed, w.ID)
		default:
			good++
		}
	}
	f.facts = map[string]any{"requests": list, "overdue": open}
	if list.count == 0 {
		return f.nothing("No request was closed within a year or is overdue: enter those that come in other ways with POST /dsr.")
	}
	f.ratio(good, list.count, p)
	f.threshold += " AND none overdue"
	if f.outcome == compliance.Pass && open > 0 {
		f.outcome = compliance.Partly
	}
	found := say("%s requests were closed within their term", of(good, list.count))
	var remedy []phrase
	if open > 0 {
		found = found.And(say(", %s overdue", plural(open, "is", "are")))
		remedy = append(remedy, say("answer what is overdue"))
	}
	if n := int64(len(unconfirmed)); n > 0 {
		found = found.And(say(", of %d receipt was not confirmed in time", n))
	}
	return f.remedied(found, joined("; ", append(remedy, say("begin sooner; late ones are %s", few(append(late, unconfirmed...))))))
}

const systemsPopulation = "assets with the tag personal-data"

func piiAccessAudit(ctx context.Context, q *inquiry) (*finding, error) {
	machines, err := q.machines(ctx)
	if err != nil {
		return nil, err
	}
	began, err := q.began(ctx)
	if err != nil {
		return nil, err
	}
	days, err := q.reviewed(ctx)
	if err != nil {
		return nil, err
	}
	type taken struct{ all, explained int64 }
	exports, err := rowsOf(ctx, q, func(rows *sql.Rows, t *taken) error { return rows.Scan(&t.all, &t.explained) },
		`SELECT count(*), COALESCE(CAST(sum(CASE WHEN detail LIKE '%"reason":"_%' THEN 1 ELSE 0 END) AS BIGINT), 0) FROM audit_entry WHERE tenant = $1 AND at >= $2 AND action = 'export.create'`, q.tenant, q.now.Add(-q.p.Days("everyDays")))
	if err != nil {
		return nil, err
	}
	return judgeSystems(machines, days, began, exports[0].all-exports[0].explained, q.p, q.now), nil
}

const reviewSlots = 2

func judgeSystems(machines []machine, days []reviewDay, began time.Time, unexplained int64, p compliance.Params, now time.Time) *finding {
	every := max(p.Int("everyDays"), 1)
	end := now.UTC().Truncate(day)
	f := &finding{
		population: systemsPopulation, from: end.AddDate(0, 0, -every*reviewSlots), to: now, resources: []string{"assets", "audit log"},
		threshold: fmt.Sprintf("coverage >= %s AND reviewed every %d days AND downloads explained", decimal(p.Float("minCoverage")), every),
	}
	list := &table{}
	var good int64
	var silent []string
	for i := range machines {
		m := &machines[i]
		if !m.personal() {
			continue
		}
		ok := m.Sent != nil && !m.Sent.Before(now.Add(-day))
		list.add(m.ID, map[string]any{"id": m.ID, "name": text(m.Name), "lastLog": m.Sent, "sends": ok})
		if ok {
			good++
		} else {
			silent = append(silent, m.Name)
		}
	}
	f.facts = map[string]any{"systems": list, "exportsWithoutReason": unexplained}
	if list.count == 0 {
		f.absent = true
		f.reason = say("No asset is known to hold personal data: give those that do the tag personal-data (PATCH /assets/{id}), and connect them.")
		return f
	}
	missed := 0
	for slot := range reviewSlots {
		from := end.AddDate(0, 0, -every*(slot+1))
		if from.Before(began) {
			continue
		}
		first, last := from.Unix()/86400, from.AddDate(0, 0, every).Unix()/86400
		if !slices.ContainsFunc(days, func(d reviewDay) bool { return d.Day >= first && d.Day < last }) {
			missed++
		}
	}
	f.facts["missedReviews"] = missed
	coverage := share(good, list.count)
	f.value, f.unit, f.size = new(coverage), "ratio", list.count
	switch minimum := p.Float("minCoverage"); {
	case coverage >= minimum-near && missed == 0 && unexplained == 0:
		f.outcome = compliance.Pass
	case coverage >= 0.80-near && missed <= 1:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("%s systems with personal data sent access records within a day", of(good, list.count))
	var remedy []phrase
	if len(silent) > 0 {
		remedy = append(remedy, say("connect %s", few(silent)))
	}
	if missed > 0 {
		found = found.And(say(", %s of %d days passed without a review", plural(int64(missed), "slot", "slots"), every))
		remedy = append(remedy, say("review what came in every %d days, and note it at an alert or incident", every))
	}
	if unexplained > 0 {
		found = found.And(say(", %s of data carry no reason", plural(unexplained, "export", "exports")))
		remedy = append(remedy, say("ask for the reasons of exports (GET /audit-logs?action=export.create) and keep them as evidence"))
	}
	return f.remedied(found, joined("; ", remedy))
}

// masking is what is taken out of records, and what is found in them all the same.
type masking struct {
	rules   int
	masked  []string         // patterns that enabled rules name
	fields  int              // fields that they name
	sampled int64            // events that were looked at
	found   map[string]int64 // of them those in which a pattern was found
}

func piiMasking(ctx context.Context, q *inquiry) (*finding, error) {
	const population = "newest events of the last 24 hours, since the newest change of a masking rule, looked through for e-mail addresses, card, resident and phone numbers"
	if q.Events == nil {
		return missing(population, "This server sees no events."), nil
	}
	m := masking{found: map[string]int64{}}
	type rule struct {
		patterns, fields string
		changed          time.Time
	}
	rules, err := rowsOf(ctx, q, func(rows *sql.Rows, r *rule) error {
		return rows.Scan(&r.patterns, &r.fields, sqldb.Micros(&r.changed))
	}, `SELECT patterns, fields, updated_at FROM masking_rule WHERE tenant = $1 AND enabled ORDER BY id`, q.tenant)
	if err != nil {
		return nil, err
	}
	m.rules = len(rules)
	from := q.now.Add(-day)
	for _, r := range rules {
		if r.changed.After(from) { // what came before, it could not take out
			from = r.changed
		}
		var patterns, fields []string
		if json.Unmarshal([]byte(r.patterns), &patterns) == nil && json.Unmarshal([]byte(r.fields), &fields) == nil {
			m.masked, m.fields = append(m.masked, patterns...), m.fields+len(fields)
		}
	}
	set, err := mask.Compile([]mask.Rule{{Patterns: mask.Patterns, Action: mask.Mask}}, nil)
	if err != nil {
		return nil, err
	}
	sample := min(max(q.p.Int("sample"), 1), eventstore.MaxLimit)
	q.note("events: *; event time from %s to %s; the newest %d, each raw text looked through with the patterns %s", from.Format(time.RFC3339), q.now.Format(time.RFC3339), sample, strings.Join(mask.Patterns, ", "))
	cursor := ""
	for m.sampled < int64(sample) {
		page, err := q.Events.Search(ctx, eventstore.Request{Tenant: q.tenant, From: from.UnixNano(), To: q.now.UnixNano(), Limit: min(sample-int(m.sampled), 2000), NoTotal: true, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for i := range page.Events {
			e := &page.Events[i]
			_, found := set.Apply(query.Text(e), nil)
			for kind, n := range found.By {
				if n > 0 {
					m.found[mask.Kind(kind).String()]++ //nolint:gosec // there are five
				}
			}
		}
		m.sampled += int64(len(page.Events))
		if cursor = page.Next; cursor == "" || len(page.Events) == 0 {
			break
		}
	}
	f := judgeMasking(&m, q.p, q.now)
	f.population, f.from = population, from
	return f, nil
}

func judgeMasking(m *masking, p compliance.Params, now time.Time) *finding {
	f := &finding{size: m.sampled, from: now.Add(-day), to: now, resources: []string{"masking rules", "events"}}
	f.threshold = "rules for all that is found AND leaks <= " + percent(p.Float("maxLeakRatio"))
	f.facts = map[string]any{"enabledRules": m.rules, "maskedPatterns": m.masked, "maskedFields": m.fields, "sampled": m.sampled, "eventsWith": m.found}
	if m.sampled == 0 {
		return f.nothing("No event of the last 24 hours came after the newest change of a masking rule.")
	}
	var leaks int64
	var open []string
	for _, kind := range mask.Patterns {
		n := m.found[kind]
		switch {
		case n == 0:
		case slices.Contains(m.masked, kind):
			leaks += n
		default:
			open = append(open, fmt.Sprintf("%s in %d", kind, n))
		}
	}
	ratio := share(leaks, m.sampled)
	f.value, f.unit = new(ratio), "ratio of leaks"
	switch {
	case m.rules == 0 && len(open) == 0:
		return f.nothing("No masking rule is on, and the events that were looked through hold nothing that one would take out.")
	case m.rules == 0:
		f.outcome = compliance.Fail
	case len(open) == 0 && ratio <= p.Float("maxLeakRatio")+near:
		f.outcome = compliance.Pass
	default:
		f.outcome = compliance.Partly
	}
	found := say("%s on; of %d events what they take out was still found in %d", plural(int64(m.rules), "masking rule is", "masking rules are"), m.sampled, leaks)
	switch {
	case m.rules == 0:
		found = say("No masking rule is on, and %d events that were looked through hold personal data: %s", m.sampled, few(open))
	case len(open) > 0:
		found = found.And(say(", and what no rule takes out: %s", few(open)))
	}
	return f.remedied(found, say("add or widen masking rules (POST /masking-rules) where the data are not needed"))
}
