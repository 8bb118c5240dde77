package assess

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// dormant is an account that nobody has used for long.
type dormant struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Last time.Time `json:"lastUse"`
	Kind string    `json:"kind"` // identity of the estate, or user of KYRA
}

const accountPopulation = "identities of people and services that events name, active or watched, and active people who may sign in to KYRA"

func dormantAccounts(ctx context.Context, q *inquiry) (*finding, error) {
	limit := q.now.Add(-q.p.Days("maxIdleDays"))
	const these = ` FROM principal WHERE tenant = $1 AND status IN ('active', 'watched') AND type IN ('human', 'service')`
	counted, err := rowsOf(ctx, q, sqldb.Value[int64], `SELECT count(*)`+these, q.tenant)
	if err != nil {
		return nil, err
	}
	old, err := rowsOf(ctx, q, func(rows *sql.Rows, d *dormant) error { return rows.Scan(&d.ID, &d.Name, sqldb.Micros(&d.Last)) },
		`SELECT id, word, last_at`+these+` AND last_at < $2 ORDER BY last_at, id`, q.tenant, limit)
	if err != nil {
		return nil, err
	}
	people, err := q.people(ctx)
	if err != nil {
		return nil, err
	}
	for i := range old {
		old[i].Kind = "identity"
	}
	for i := range people {
		u := &people[i]
		last := u.Added
		if u.SignedIn != nil && u.SignedIn.After(last) {
			last = *u.SignedIn
		}
		if last.Before(limit) {
			old = append(old, dormant{u.ID, u.Email, last, "user"})
		}
	}
	began, err := q.began(ctx)
	if err != nil {
		return nil, err
	}
	return judgeDormant(old, counted[0]+int64(len(people)), began, q.p, q.now), nil
}

func judgeDormant(old []dormant, all int64, began time.Time, p compliance.Params, now time.Time) *finding {
	idle := p.Days("maxIdleDays")
	f := &finding{population: accountPopulation, size: all, from: now.Add(-idle), to: now, resources: []string{"identities", "users"}, threshold: "share unused for " + span(idle).String() + " <= " + percent(p.Float("passRatio"))}
	list := &table{}
	var names []string
	for _, d := range old {
		d.Name = text(d.Name)
		list.add(d.ID, d)
		names = append(names, d.Name)
	}
	f.facts = map[string]any{"dormant": list, "accounts": all}
	if all == 0 {
		f.absent = true
		f.reason = say("No account is known: connect sources that log sign-ins.")
		return f
	}
	if list.count == 0 && began.After(now.Add(-idle)) {
		return f.nothing("Accounts have been watched for %s: that none is unused for %s shows only after that time.", span(now.Sub(began)), span(idle))
	}
	v := share(list.count, all)
	f.value, f.unit = new(v), "ratio"
	switch {
	case v <= p.Float("passRatio")+near:
		f.outcome = compliance.Pass
	case v <= p.Float("partialRatio")+near:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("%s accounts were not used for %s", of(list.count, all), span(idle)), say("disable %s where they live, and set their status to disabled or departed (PATCH /identities/{id})", few(names)))
}

// holder is an account whose rights are to be looked at now and then.
type holder struct {
	ID, Name, Kind string
	Decided        *time.Time // when a person last decided about it
}

// decisions are the actions of the audit log by which people decide about accounts of
// others: what they do to their own is none.
const decisions = `action IN ('identity.update', 'identity.review', 'user.create', 'user.update', 'user.review', 'key.create', 'key.update', 'key.review')`

func accessReview(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := rowsOf(ctx, q, func(rows *sql.Rows, h *holder) error { return rows.Scan(&h.ID, &h.Name) },
		`SELECT id, word FROM principal WHERE tenant = $1 AND status IN ('active', 'watched') AND type IN ('human', 'service') AND (set_privileged = 1 OR set_privileged = 0 AND evidence <> 0) ORDER BY id`, q.tenant)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Kind = "privileged identity"
	}
	people, err := q.people(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range people {
		all = append(all, holder{ID: u.ID, Name: u.Email, Kind: "user"})
	}
	keys, err := q.apiKeys(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		all = append(all, holder{ID: k.ID, Name: "key " + k.Name, Kind: "API key"})
	}
	type decided struct {
		id, actor string
		at        time.Time
	}
	log, err := rowsOf(ctx, q, func(rows *sql.Rows, d *decided) error { return rows.Scan(&d.id, &d.actor, sqldb.Micros(&d.at)) },
		`SELECT object, actor, at FROM audit_entry WHERE tenant = $1 AND at >= $2 AND `+decisions+` AND actor NOT IN ('system', 'setup') AND actor NOT LIKE 'playbook:%' LIMIT 200000`,
		q.tenant, q.now.Add(-q.p.Days("maxAgeDays")*3/2))
	if err != nil {
		return nil, err
	}
	of := make(map[string]*holder, len(all))
	for i := range all {
		of[all[i].ID] = &all[i]
	}
	for _, d := range log {
		h := of[d.id]
		if h == nil || h.Kind == "user" && d.actor == "user:"+h.Name { // nobody reviews oneself
			continue
		}
		if h.Decided == nil || d.at.After(*h.Decided) {
			h.Decided = new(d.at)
		}
	}
	return judgeAccessReview(all, q.p, q.now), nil
}

func judgeAccessReview(all []holder, p compliance.Params, now time.Time) *finding {
	age := p.Days("maxAgeDays")
	f := &finding{
		population: "active privileged identities, people who may sign in to KYRA, and API keys", size: int64(len(all)), from: now.Add(-age), to: now, resources: []string{"identities", "users", "API keys", "audit log"},
		threshold: fmt.Sprintf("a person decided about every one within %s", span(age)),
	}
	if len(all) == 0 {
		return f.nothing("There is no account whose rights could be reviewed.")
	}
	list := &table{}
	var done, late int64
	var open []string
	for _, want := range []int{0, 1, 2} {
		for i := range all {
			h := &all[i]
			state := 0
			switch {
			case h.Decided == nil:
			case !h.Decided.Before(now.Add(-age)):
				state = 2
			case !h.Decided.Before(now.Add(-age * 3 / 2)):
				state = 1
			}
			if state != want {
				continue
			}
			list.add(h.ID, map[string]any{"id": h.ID, "name": text(h.Name), "kind": h.Kind, "decidedAt": h.Decided})
			switch state {
			case 0:
				open = append(open, h.Name)
			case 1:
				late++
				open = append(open, h.Name)
			case 2:
				done++
			}
		}
	}
	f.value, f.unit = new(share(done, f.size)), "ratio"
	f.facts = map[string]any{"accounts": list, "reviewed": done, "overdue": late}
	switch {
	case done == f.size:
		f.outcome = compliance.Pass
	case done+late == f.size || share(done, f.size) >= 0.80-near:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("About %s accounts a person decided within %s", of(done, f.size), span(age)),
		say("review %s: confirm or change owner, tags, status or role of each (PATCH /identities/{id}), and revoke keys that nobody needs", few(open)))
}

// leaver is an account whose owner has left.
type leaver struct {
	ID, Name string
	Left     time.Time
	Disabled *time.Time
	SignIn   *time.Time // after leaving
}

const leaverSpan = 365 * day

func leaverDisabled(ctx context.Context, q *inquiry) (*finding, error) {
	since := q.now.Add(-leaverSpan)
	type change struct {
		id, detail string
		at         time.Time
	}
	changes, err := rowsOf(ctx, q, func(rows *sql.Rows, c *change) error { return rows.Scan(&c.id, &c.detail, sqldb.Micros(&c.at)) },
		`SELECT object, detail, at FROM audit_entry WHERE tenant = $1 AND at >= $2 AND action = 'identity.update' AND (detail LIKE '%"departed"%' OR detail LIKE '%"disabled"%') ORDER BY seq`, q.tenant, since)
	if err != nil {
		return nil, err
	}
	of := map[string]*leaver{}
	var order []string
	for _, c := range changes {
		l := of[c.id]
		switch {
		case strings.Contains(c.detail, `"status":"departed"`):
			if l == nil {
				of[c.id] = &leaver{ID: c.id, Left: c.at}
				order = append(order, c.id)
			}
		case strings.Contains(c.detail, `"status":"disabled"`) && l != nil && l.Disabled == nil:
			l.Disabled = new(c.at)
		}
	}
	const most = 500
	order = order[max(0, len(order)-most):]
	var all []leaver
	for _, id := range order {
		type row struct {
			name   string
			signIn int64
		}
		found, err := sqldb.All(ctx, q.DB, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.name, &r.signIn) }, `SELECT name, signin_at FROM principal WHERE tenant = $1 AND id = $2`, int64(q.tenant), id)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		l := of[id]
		l.Name = found[0].name
		if at := time.UnixMicro(found[0].signIn).UTC(); at.After(l.Left) {
			l.SignIn = new(at)
		}
		all = append(all, *l)
	}
	q.note("SQL: SELECT name, signin_at FROM principal WHERE tenant = $1 AND id = $2; for each of those")
	if err := q.disabledBy(ctx, all); err != nil {
		return nil, err
	}
	return judgeLeavers(all, q.p, q.now), nil
}

// disabledBy looks in the events for what disabled or deleted the accounts.
func (q *inquiry) disabledBy(ctx context.Context, all []leaver) error {
	if len(all) == 0 || q.Events == nil {
		return nil
	}
	names := query.Or{}
	from := q.now
	for i := range all {
		names.Nodes = append(names.Nodes, query.Equal{Field: query.NewField(event.TargetUser), Value: all[i].Name}, query.And{Nodes: []query.Node{
			query.Equal{Field: query.NewField(event.User), Value: all[i].Name}, query.Not{Node: query.Exists{Field: query.NewField(event.TargetUser)}},
		}})
		if all[i].Left.Before(from) {
			from = all[i].Left
		}
	}
	acts, err := query.Parse(`action:(account_delete OR account_lock OR account_disable)`)
	if err != nil {
		return err
	}
	filter := query.And{Nodes: []query.Node{acts, names}}
	// An account that was disabled before its owner had left was disabled in time.
	from = from.Add(-30 * day)
	q.note("events: %s; event time from %s to %s", filter.String(), from.Format(time.RFC3339), q.now.Format(time.RFC3339))
	found, err := q.Events.Search(ctx, eventstore.Request{Tenant: q.tenant, Filter: filter, From: from.UnixNano(), To: q.now.UnixNano(), Limit: 2000, NoTotal: true})
	if err != nil {
		return err
	}
	for i := range found.Events {
		e := &found.Events[i]
		name := e.Get(event.TargetUser)
		if name == "" {
			name = e.Get(event.User)
		}
		at := time.Unix(0, e.Time).UTC()
		for k := range all {
			if l := &all[k]; strings.EqualFold(l.Name, name) && (l.Disabled == nil || at.Before(*l.Disabled)) {
				l.Disabled = new(at)
			}
		}
	}
	return nil
}

func judgeLeavers(all []leaver, p compliance.Params, now time.Time) *finding {
	limit := p.Hours("maxHours")
	f := &finding{
		population: "identities that were set to departed within a year, without those whose time still runs", from: now.Add(-leaverSpan), to: now, resources: []string{"identities", "audit log", "events: account_delete, account_lock, account_disable"},
	}
	if len(all) == 0 {
		f.absent = true
		f.reason = say("No leaver is known: set the status of an identity to departed on the day its owner leaves (PATCH /identities/{id}), from your personnel system where you can.")
		return f
	}
	list := &table{}
	var good, size int64
	var late, active []string
	slices.SortStableFunc(all, func(a, b leaver) int { return b.Left.Compare(a.Left) })
	for i := range all {
		l := &all[i]
		took := now.Sub(l.Left)
		if l.Disabled != nil {
			took = max(l.Disabled.Sub(l.Left), 0)
		} else if took <= limit {
			continue
		}
		size++
		ok := l.Disabled != nil && took <= limit
		list.add(l.ID, map[string]any{"id": l.ID, "name": text(l.Name), "leftAt": l.Left, "disabledAt": l.Disabled, "signInAfterLeaving": l.SignIn, "inTime": ok})
		if ok {
			good++
		} else {
			late = append(late, l.Name)
		}
		if l.SignIn != nil {
			active = append(active, l.Name)
		}
	}
	f.facts = map[string]any{"leavers": list}
	if size == 0 {
		return f.nothing("All leavers left less than %s ago: their time still runs.", span(limit))
	}
	f.ratio(good, size, p)
	f.threshold += " disabled within " + span(limit).String() + " AND no sign-in after leaving"
	found := say("%s leavers were disabled within %s", of(good, size), span(limit))
	if len(active) > 0 {
		f.outcome = compliance.Fail
		return f.remedied(found.And(say(", and %d signed in after leaving", len(active))), say("disable %s at once, and find out who used them", few(active)))
	}
	return f.remedied(found, say("disable %s where they live: an event of that, or the status disabled, ends the clock", few(late)))
}
