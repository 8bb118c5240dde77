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
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// practice is an enabled playbook, and when it last proved itself.
type practice struct {
	ID, Name string
	Last     *time.Time
}

// exercise is an incident that was played.
type exercise struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Closed time.Time `json:"closedAt"`
}

// exerciseWords begin the titles of incidents that were played.
var exerciseWords = []string{"exercise", "tabletop", "drill", "훈련", "모의훈련", "演習", "訓練"}

func playbookTested(ctx context.Context, q *inquiry) (*finding, error) {
	list, err := rowsOf(ctx, q, func(rows *sql.Rows, p *practice) error { return rows.Scan(&p.ID, &p.Name) },
		`SELECT id, name FROM playbook WHERE tenant = $1 AND enabled ORDER BY name, id`, q.tenant)
	if err != nil {
		return nil, err
	}
	type last struct {
		id string
		at time.Time
	}
	scan := func(rows *sql.Rows, l *last) error { return rows.Scan(&l.id, sqldb.Micros(&l.at)) }
	runs, err := rowsOf(ctx, q, scan, `SELECT playbook_id, max(ended_at) FROM playbook_run WHERE tenant = $1 AND state = 'DONE' AND ended_at IS NOT NULL GROUP BY playbook_id`, q.tenant)
	if err != nil {
		return nil, err
	}
	// Runs are forgotten after 90 days; that a person began one stays in the audit log.
	begun, err := rowsOf(ctx, q, scan, `SELECT p.id, max(a.at) FROM playbook p JOIN audit_entry a ON a.tenant = p.tenant AND a.object = p.id WHERE p.tenant = $1 AND a.action IN ('playbook.run', 'playbook.dryRun') GROUP BY p.id`, q.tenant)
	if err != nil {
		return nil, err
	}
	for _, l := range append(runs, begun...) {
		for i := range list {
			if p := &list[i]; p.ID == l.id && (p.Last == nil || l.at.After(*p.Last)) {
				p.Last = new(l.at)
			}
		}
	}
	all, err := q.cases(ctx)
	if err != nil {
		return nil, err
	}
	var played []exercise
	for i := range all {
		in := &all[i]
		title := strings.ToLower(strings.TrimLeft(in.Title, "[( "))
		if in.Closed != nil && slices.ContainsFunc(exerciseWords, func(w string) bool { return strings.HasPrefix(title, w) }) {
			played = append(played, exercise{in.ID, text(in.Title), *in.Closed})
		}
	}
	return judgePractice(list, played, q.p, q.now), nil
}

func judgePractice(list []practice, played []exercise, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "enabled playbooks", from: now.Add(-p.Days("maxAgeDays")), to: now, resources: []string{"playbooks", "runs of playbooks", "incidents whose title begins with Exercise"},
		threshold: fmt.Sprintf("ratio >= %s run within %d days AND an exercise within %d days", decimal(p.Float("passRatio")), p.Int("maxAgeDays"), p.Int("exerciseDays")),
	}
	rows := &table{}
	good := int64(0)
	var old []string
	for _, want := range []bool{false, true} {
		for i := range list {
			x := &list[i]
			if fresh := x.Last != nil && !x.Last.Before(f.from); fresh != want {
				continue
			}
			rows.add(x.ID, map[string]any{"id": x.ID, "name": text(x.Name), "lastRun": x.Last})
			if want {
				good++
			} else {
				old = append(old, x.Name)
			}
		}
	}
	var last *exercise
	for i := range played {
		if x := &played[i]; !x.Closed.Before(now.Add(-p.Days("exerciseDays"))) && (last == nil || x.Closed.After(last.Closed)) {
			last = x
		}
	}
	f.facts = map[string]any{"playbooks": rows, "exercise": last}
	if rows.count == 0 {
		f.absent = true
		f.reason = say("No playbook is enabled: enable those that are built in, or write some.")
		return f
	}
	ratio := share(good, rows.count)
	f.value, f.unit, f.size = new(ratio), "ratio", rows.count
	switch {
	case ratio >= p.Float("passRatio")-near && last != nil:
		f.outcome = compliance.Pass
	case ratio >= p.Float("partialRatio")-near || last != nil:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("%s enabled playbooks ran within %d days", of(good, rows.count), p.Int("maxAgeDays"))
	var remedy []phrase
	if ratio < p.Float("passRatio")-near {
		remedy = append(remedy, say("run %s once (POST /playbooks/{id}/run)", few(old)))
	}
	if last == nil {
		found = found.And(say(", and no exercise is on record"))
		remedy = append(remedy, say(`keep an incident whose title begins with "Exercise:" for each, and close it when it has ended`))
	} else {
		found = found.And(say(", and an exercise ended on %s", last.Closed.Format(time.DateOnly)))
	}
	return f.remedied(found, joined("; ", remedy))
}

// alarms are the events that tell of something that waits for people.
var alarms = []string{"alert.created", "collector.disconnected"}

// deliveries is whom the tenant's messages reach.
type deliveries struct {
	receivers []receiver
}

// receiver is a channel or webhook that is told of alarms.
type receiver struct {
	ID        string               `json:"id"`
	Name      string               `json:"name"`
	Kind      string               `json:"kind"`   // webhook or channel
	Events    []string             `json:"events"` // alarms that it is told of; none: of all
	Critical  bool                 `json:"critical"`
	Last      *time.Time           `json:"lastSuccess"` // of anything, tests too
	Delivered map[string]time.Time `json:"delivered"`   // newest success by event, of the last 7 days as the figures below
	Success   int64                `json:"successes"`
	Failures  int64                `json:"failures"`
}

func (r *receiver) told(event string) bool {
	return len(r.Events) == 0 || slices.Contains(r.Events, event)
}

// lastOf is the newest success of a receiver that is told of one of the events.
func (d *deliveries) lastOf(events ...string) *time.Time {
	var last *time.Time
	for i := range d.receivers {
		r := &d.receivers[i]
		if r.Last != nil && slices.ContainsFunc(events, r.told) && (last == nil || r.Last.After(*last)) {
			last = r.Last
		}
	}
	return last
}

const failureWindow = 7 * day

// delivered finds out whom alarms reach.
func (q *inquiry) delivered(ctx context.Context) (deliveries, error) {
	return q.channels.get(ctx, q, func(ctx context.Context, q *inquiry) (deliveries, error) {
		type filters struct {
			Events   []string `json:"events"`
			Severity []string `json:"severity"`
		}
		type row struct {
			id, name, owner, events, filters string
			last                             *time.Time
		}
		var d deliveries
		hooks, err := rowsOf(ctx, q, func(rows *sql.Rows, r *row) error {
			return rows.Scan(&r.id, &r.name, &r.owner, &r.events, &r.filters, sqldb.MicrosOrNull(&r.last))
		}, `SELECT id, name, owner, events, filters, last_success FROM webhook WHERE tenant = $1 AND enabled AND owner IN ('', 'channel') ORDER BY id`, q.tenant)
		if err != nil {
			return d, err
		}
		type route struct{ filters, channels string }
		routes, err := rowsOf(ctx, q, func(rows *sql.Rows, r *route) error { return rows.Scan(&r.filters, &r.channels) },
			`SELECT filters, channels FROM notice_route WHERE tenant = $1 AND enabled ORDER BY id`, q.tenant)
		if err != nil {
			return d, err
		}
		grave := func(f *filters) bool { return len(f.Severity) == 0 || slices.Contains(f.Severity, "critical") }
		for _, h := range hooks {
			r := receiver{ID: h.id, Name: h.name, Kind: "webhook", Last: h.last, Delivered: map[string]time.Time{}}
			ok := false
			if h.owner == "" {
				var f filters
				if json.Unmarshal([]byte(h.filters), &f) != nil || json.Unmarshal([]byte(h.events), &r.Events) != nil {
					continue
				}
				ok, r.Critical = true, grave(&f) && r.told("alert.created")
			} else {
				r.Kind = "channel"
				all := false
				for _, x := range routes {
					var f filters
					var ids []string
					if json.Unmarshal([]byte(x.filters), &f) != nil || json.Unmarshal([]byte(x.channels), &ids) != nil || !slices.Contains(ids, h.id) {
						continue
					}
					ok, all = true, all || len(f.Events) == 0
					r.Events = append(r.Events, f.Events...)
					r.Critical = r.Critical || grave(&f) && (len(f.Events) == 0 || slices.Contains(f.Events, "alert.created"))
				}
				if all {
					r.Events = nil
				}
			}
			if ok && slices.ContainsFunc(alarms, r.told) {
				d.receivers = append(d.receivers, r)
			}
		}
		return d, q.log(ctx, &d)
	})
}

// log adds what the delivery log tells of each receiver.
func (q *inquiry) log(ctx context.Context, d *deliveries) error {
	type row struct {
		event, state string
		n            int64
		last         *time.Time
	}
	for i := range d.receivers {
		r := &d.receivers[i]
		// A channel may be younger than what its receiver notes of itself.
		newest, err := rowsOf(ctx, q, func(rows *sql.Rows, t **time.Time) error { return rows.Scan(sqldb.MicrosOrNull(t)) },
			`SELECT attempted_at FROM webhook_delivery WHERE webhook_id = $1 AND state = 'DELIVERED' ORDER BY id DESC LIMIT 1`, r.ID)
		if err != nil {
			return err
		}
		if len(newest) > 0 && newest[0] != nil && (r.Last == nil || newest[0].After(*r.Last)) {
			r.Last = newest[0]
		}
		rows, err := rowsOf(ctx, q, func(rows *sql.Rows, x *row) error {
			return rows.Scan(&x.event, &x.state, &x.n, sqldb.MicrosOrNull(&x.last))
		},
			`SELECT event, state, count(*), max(attempted_at) FROM webhook_delivery WHERE webhook_id = $1 AND created_at >= $2 AND state IN ('DELIVERED', 'FAILED') GROUP BY event, state`, r.ID, q.now.Add(-failureWindow))
		if err != nil {
			return err
		}
		for _, x := range rows {
			if x.state == "FAILED" {
				r.Failures += x.n
				continue
			}
			r.Success += x.n
			if x.last != nil && x.last.After(r.Delivered[x.event]) {
				r.Delivered[x.event] = *x.last
			}
		}
	}
	return nil
}

func notifyChannel(ctx context.Context, q *inquiry) (*finding, error) {
	d, err := q.delivered(ctx)
	if err != nil {
		return nil, err
	}
	return judgeChannels(&d, q.p, q.now), nil
}

const provenWithin = 7 * day

func judgeChannels(d *deliveries, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "enabled channels with a route, and webhooks, that are told of critical alerts", from: now.Add(-p.Days("testMaxAgeDays")), to: now, resources: []string{"notification channels", "webhooks", "deliveries"},
		threshold: fmt.Sprintf("a delivery within %s AND failures <= %s", span(provenWithin), percent(p.Float("maxFailureRatio"))),
	}
	list := &table{}
	var last *time.Time
	var done, failed int64
	var names []string
	for i := range d.receivers {
		r := &d.receivers[i]
		if !r.Critical {
			continue
		}
		list.add(r.ID, r)
		names = append(names, r.Name)
		done, failed = done+r.Success, failed+r.Failures
		if r.Last != nil && (last == nil || r.Last.After(*last)) {
			last = r.Last
		}
	}
	f.size = list.count
	f.facts = map[string]any{"receivers": list, "successes7d": done, "failures7d": failed, "lastDelivery": last}
	if list.count == 0 {
		f.absent = true
		f.reason = say("Nobody outside KYRA is told of critical alerts: make a notification channel with a route, or a webhook.")
		return f
	}
	ratio := share(failed, failed+done)
	f.value, f.unit = new(ratio), "ratio of failures"
	switch {
	case last == nil || last.Before(f.from):
		f.outcome = compliance.Fail
		found := say("Nothing was delivered by %s within %s", few(names), span(p.Days("testMaxAgeDays")))
		return f.remedied(found, say("test it with POST /notification-channels/{id}/test or POST /webhooks/{id}/test, and look into its deliveries"))
	case !last.Before(now.Add(-provenWithin)) && ratio <= p.Float("maxFailureRatio")+near:
		f.outcome = compliance.Pass
	default:
		f.outcome = compliance.Partly
	}
	return f.remedied(say("%s told of critical alerts; the last delivery was %s ago, and %d of %d of 7 days failed", plural(list.count, "receiver is", "receivers are"), span(now.Sub(*last)), failed, failed+done),
		say("look into the deliveries that failed, and test the channels of which nothing is delivered"))
}
