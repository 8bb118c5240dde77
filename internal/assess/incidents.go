package assess

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// incidentRow is an incident as checks look at it.
type incidentRow struct {
	ID, Title, Severity, Status, Assigned string
	Created                               time.Time
	Contained, Closed                     *time.Time
}

const incidentSpan = 365 * day

// cases returns the incidents that were made or closed within a year, without those that
// were merged into others, the oldest first.
func (q *inquiry) cases(ctx context.Context) ([]incidentRow, error) {
	return q.incidents.get(ctx, q, func(ctx context.Context, q *inquiry) ([]incidentRow, error) {
		since := q.now.Add(-incidentSpan)
		const columns = `SELECT id, title, severity, status, assigned_to, created_at, contained_at, closed_at FROM incident WHERE tenant = $1 AND merged_into = '' AND `
		return rowsOf(ctx, q, func(rows *sql.Rows, i *incidentRow) error {
			return rows.Scan(&i.ID, &i.Title, &i.Severity, &i.Status, &i.Assigned, sqldb.Micros(&i.Created), sqldb.MicrosOrNull(&i.Contained), sqldb.MicrosOrNull(&i.Closed))
		}, columns+`created_at >= $2 UNION `+columns+`closed_at >= $2 ORDER BY 6, 1`, q.tenant, since)
	})
}

func incidentMTTR(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := q.cases(ctx)
	if err != nil {
		return nil, err
	}
	return judgeContainment(all, q.p, q.now), nil
}

func judgeContainment(all []incidentRow, p compliance.Params, now time.Time) *finding {
	from := now.Add(-p.Days("periodDays"))
	f := &finding{
		population: "critical and high incidents created in the period, without those that are still within their limit", from: from, to: now, resources: []string{"incidents"},
		threshold: fmt.Sprintf("90 %% contained within %s (critical) and %s (high) AND all assigned", span(p.Hours("criticalHours")), span(p.Hours("highHours"))),
	}
	list := &table{}
	p90, p50 := true, true
	var unassigned []string
	var words []phrase
	for _, severity := range grave {
		limit := p.Hours(severity + "Hours")
		var took []time.Duration // of those that are not contained how long it takes already
		open := 0
		for i := range all {
			in := &all[i]
			if in.Severity != severity || in.Created.Before(from) {
				continue
			}
			if in.Assigned == "" {
				unassigned = append(unassigned, in.Title)
			}
			age := now.Sub(in.Created)
			row := map[string]any{"id": in.ID, "title": text(in.Title), "severity": severity, "createdAt": in.Created, "containedAt": in.Contained, "assignedTo": text(in.Assigned), "status": in.Status}
			switch {
			case in.Contained != nil:
				took = append(took, max(in.Contained.Sub(in.Created), 0))
			case age > limit:
				took = append(took, age)
				open++
			default:
				continue // nobody can say yet
			}
			list.add(in.ID, row)
		}
		if len(took) == 0 {
			continue
		}
		slices.Sort(took)
		at := func(percent int) time.Duration { return took[(len(took)*percent+99)/100-1] }
		p90, p50 = p90 && at(90) <= limit, p50 && at(50) <= limit
		words = append(words, say("%s for %d %s", span(at(90)), len(took), say(severity)))
		if hours := at(90).Hours(); f.value == nil || hours > *f.value {
			f.value, f.unit = new(hours), "hours"
		}
		if open > 0 {
			words[len(words)-1] = words[len(words)-1].And(say(" (%d not contained)", open))
		}
	}
	f.size = list.count
	f.facts = map[string]any{"incidents": list, "unassigned": len(unassigned)}
	if f.size == 0 {
		return f.nothing("No critical or high incident of the period has had its time to be contained.")
	}
	switch {
	case p90 && len(unassigned) == 0:
		f.outcome = compliance.Pass
	case p50:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("The 90th percentile of the time to contain is %s", joined(", ", words))
	var remedy []phrase
	if !p90 {
		remedy = append(remedy, say("contain incidents sooner, and set their status to CONTAINED when they are"))
	}
	if len(unassigned) > 0 {
		found = found.And(say("; %s assigned to nobody", plural(int64(len(unassigned)), "is", "are")))
		remedy = append(remedy, say("assign %s", few(unassigned)))
	}
	return f.remedied(found, joined("; ", remedy))
}

// remark is a comment of an incident, or the note of a change of it.
type remark struct{ incident, text string }

// What a closed incident must say, as headings of comments and notes: a line that begins
// so and goes on.
var lessons = []struct {
	name     string
	headings []string
}{
	{"root cause", []string{"root cause:", "cause:", "근본 원인:", "원인:", "根本原因:"}},
	{"lessons", []string{"lessons:", "lessons learned:", "lesson:", "교훈:", "教訓:"}},
	{"corrective action", []string{"corrective action:", "corrective actions:", "action:", "actions:", "시정 조치:", "시정조치:", "개선 조치:", "是正措置:"}},
}

// says marks which of the lessons a text has.
func says(t string, has *[3]bool) {
	for line := range strings.Lines(t) {
		line = strings.ToLower(strings.TrimLeft(strings.TrimSpace(line), "#*-•· "))
		for i, l := range lessons {
			for _, h := range l.headings {
				if rest, ok := strings.CutPrefix(line, h); ok && strings.TrimSpace(strings.Trim(rest, "*")) != "" {
					has[i] = true
				}
			}
		}
	}
}

func incidentRootCause(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := q.cases(ctx)
	if err != nil {
		return nil, err
	}
	since := q.now.Add(-q.p.Days("periodDays"))
	scan := func(rows *sql.Rows, r *remark) error { return rows.Scan(&r.incident, &r.text) }
	remarks, err := rowsOf(ctx, q, scan, `SELECT c.incident_id, c.content FROM incident i JOIN incident_comment c ON c.incident_id = i.id WHERE i.tenant = $1 AND i.closed_at >= $2 AND c.content LIKE '%:%' ORDER BY c.id LIMIT 20000`, q.tenant, since)
	if err != nil {
		return nil, err
	}
	notes, err := rowsOf(ctx, q, scan, `SELECT t.incident_id, t.note FROM incident i JOIN incident_timeline t ON t.incident_id = i.id WHERE i.tenant = $1 AND i.closed_at >= $2 AND t.note LIKE '%:%' ORDER BY t.id LIMIT 20000`, q.tenant, since)
	if err != nil {
		return nil, err
	}
	return judgeLessons(all, append(remarks, notes...), q.p, q.now), nil
}

func judgeLessons(all []incidentRow, remarks []remark, p compliance.Params, now time.Time) *finding {
	from := now.Add(-p.Days("periodDays"))
	f := &finding{population: "incidents that were closed in the period", from: from, to: now, resources: []string{"comments and notes of incidents"}}
	has := map[string]*[3]bool{}
	for _, r := range remarks {
		if has[r.incident] == nil {
			has[r.incident] = &[3]bool{}
		}
		says(r.text, has[r.incident])
	}
	list := &table{}
	good := int64(0)
	var open []string
	for _, want := range []bool{false, true} {
		for i := range all {
			in := &all[i]
			if in.Status != "CLOSED" || in.Closed == nil || in.Closed.Before(from) {
				continue
			}
			var h [3]bool
			if found := has[in.ID]; found != nil {
				h = *found
			}
			if whole := h == [3]bool{true, true, true}; whole != want {
				continue
			}
			list.add(in.ID, map[string]any{"id": in.ID, "title": text(in.Title), "closedAt": in.Closed, "rootCause": h[0], "lessons": h[1], "correctiveAction": h[2]})
			if want {
				good++
			} else {
				open = append(open, in.Title)
			}
		}
	}
	f.facts = map[string]any{"incidents": list}
	if list.count == 0 {
		return f.nothing("No incident was closed in the period.")
	}
	return f.ratio(good, list.count, p).remedied(say("%s closed incidents name root cause, lessons and corrective action", of(good, list.count)),
		say(`write them down as comments with the headings "Root cause:", "Lessons:" and "Corrective action:", for %s`, few(open)))
}

// custody is what an incident has as evidence.
type custody struct {
	incident      string
	files, logged int64 // logged: files whose hash stands in the incident's log
}

func incidentEvidence(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := q.cases(ctx)
	if err != nil {
		return nil, err
	}
	files, err := rowsOf(ctx, q, func(rows *sql.Rows, c *custody) error { return rows.Scan(&c.incident, &c.files, &c.logged) },
		`SELECT e.incident_id, count(*), CAST(sum(CASE WHEN EXISTS (SELECT 1 FROM incident_timeline t WHERE t.incident_id = e.incident_id AND t.action = 'evidence' AND t.new_value = e.sha256) THEN 1 ELSE 0 END) AS BIGINT)
		FROM incident i JOIN incident_evidence e ON e.incident_id = i.id WHERE i.tenant = $1 AND i.created_at >= $2 GROUP BY e.incident_id`, q.tenant, q.now.Add(-q.p.Days("periodDays")))
	if err != nil {
		return nil, err
	}
	return judgeCustody(all, files, q.p, q.now), nil
}

func judgeCustody(all []incidentRow, files []custody, p compliance.Params, now time.Time) *finding {
	from := now.Add(-p.Days("periodDays"))
	f := &finding{population: "incidents created in the period that have left OPEN", from: from, to: now, resources: []string{"incidents", "evidence of incidents"}}
	of3 := map[string]custody{}
	for _, c := range files {
		of3[c.incident] = c
	}
	list := &table{}
	good := int64(0)
	var open []string
	for _, want := range []bool{false, true} {
		for i := range all {
			in := &all[i]
			if in.Created.Before(from) || in.Status == "OPEN" {
				continue
			}
			c := of3[in.ID]
			if whole := c.files > 0 && c.logged == c.files; whole != want {
				continue
			}
			list.add(in.ID, map[string]any{"id": in.ID, "title": text(in.Title), "files": c.files, "inLog": c.logged})
			if want {
				good++
			} else {
				open = append(open, in.Title)
			}
		}
	}
	f.facts = map[string]any{"incidents": list}
	if list.count == 0 {
		return f.nothing("No incident of the period has left OPEN.")
	}
	return f.ratio(good, list.count, p).remedied(say("%s incidents have evidence with a hash that stands in their log", of(good, list.count)),
		say("add what was secured (POST /incidents/{id}/evidence) to %s", few(open)))
}
