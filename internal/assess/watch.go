package assess

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// feed is an enabled source of indicators.
type feed struct {
	ID, Name   string
	Created    time.Time
	Last       *time.Time // that it was read to its end
	Indicators int64
	Error      string
}

func tiFreshness(ctx context.Context, q *inquiry) (*finding, error) {
	feeds, err := rowsOf(ctx, q, func(rows *sql.Rows, f *feed) error {
		var state string
		if err := rows.Scan(&f.ID, &f.Name, sqldb.Micros(&f.Created), &state); err != nil {
			return err
		}
		var s struct {
			LastSuccess *time.Time `json:"lastSuccess"`
			LastError   string     `json:"lastError"`
		}
		if json.Unmarshal([]byte(state), &s) == nil {
			f.Last, f.Error = s.LastSuccess, s.LastError
		}
		return nil
	}, `SELECT id, name, created_at, state FROM intel_feed WHERE tenant = $1 AND enabled ORDER BY id`, q.tenant)
	if err != nil {
		return nil, err
	}
	for i := range feeds {
		n, err := rowsOf(ctx, q, sqldb.Value[int64], `SELECT count(*) FROM intel_indicator WHERE feed_id = $1 AND feed_id <> ''`, feeds[i].ID)
		if err != nil {
			return nil, err
		}
		feeds[i].Indicators = n[0]
	}
	return judgeFeeds(feeds, q.p, q.now), nil
}

func judgeFeeds(feeds []feed, p compliance.Params, now time.Time) *finding {
	pass, partial := p.Hours("passHours"), p.Hours("partialHours")
	f := &finding{population: "enabled feeds of indicators", size: int64(len(feeds)), from: now.Add(-partial), to: now, resources: []string{"threat intelligence feeds"}, threshold: "all enabled feeds <= " + span(pass).String()}
	if len(feeds) == 0 {
		f.absent = true
		f.reason = say("No feed of indicators is enabled: add one with POST /threat-intel-feeds.")
		return f
	}
	list := &table{}
	oldest := time.Duration(0)
	var late []string
	for _, x := range feeds {
		age := now.Sub(x.Created)
		if x.Last != nil {
			age = now.Sub(*x.Last)
		}
		// One that was never read is as old as it is there, and never fresh.
		if x.Last == nil && age <= pass {
			age = pass + time.Hour
		}
		oldest = max(oldest, age)
		if age > pass {
			why := x.Name
			if x.Error != "" {
				why += " (" + text(x.Error) + ")"
			}
			late = append(late, why)
		}
		list.add(x.ID, map[string]any{"id": x.ID, "name": text(x.Name), "lastUpdate": x.Last, "indicators": x.Indicators, "error": text(x.Error)})
	}
	f.facts = map[string]any{"feeds": list}
	f.value, f.unit = new(oldest.Hours()), "hours"
	switch {
	case oldest <= pass:
		f.outcome = compliance.Pass
	case oldest <= partial:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("The oldest of %s was read %s ago", plural(f.size, "enabled feed", "enabled feeds"), span(oldest)), say("look into what fails, or disable what is not needed: %s", few(late)))
}

// domain is an own domain, and what is known of the names under it.
type domain struct {
	ID, Name string
	Checked  *time.Time
	Names    int64
	New      int64 // that nobody has looked at yet
	Wrong    int64 // of them, with something found wrong by an active check
}

func exposureScan(ctx context.Context, q *inquiry) (*finding, error) {
	domains, err := rowsOf(ctx, q, func(rows *sql.Rows, d *domain) error {
		return rows.Scan(&d.ID, &d.Name, sqldb.MicrosOrNull(&d.Checked), &d.Names, &d.New, &d.Wrong)
	}, `SELECT d.id, d.name, d.checked_at, d.names, COALESCE((SELECT count(*) FROM exposure_name n WHERE n.domain = d.id AND n.state = 'new'), 0), COALESCE((SELECT count(*) FROM exposure_name n WHERE n.domain = d.id AND n.state = 'new' AND n.found <> ''), 0)
		FROM exposure_domain d WHERE d.tenant = $1 ORDER BY d.id`, q.tenant)
	if err != nil {
		return nil, err
	}
	return judgeDomains(domains, q.p, q.now), nil
}

func judgeDomains(domains []domain, p compliance.Params, now time.Time) *finding {
	pass, partial := p.Days("passDays"), p.Days("partialDays")
	f := &finding{
		population: "own domains", size: int64(len(domains)), from: now.Add(-partial), to: now, resources: []string{"domains", "subdomains"},
		threshold: fmt.Sprintf("active check of every domain within %s AND no unreviewed name with something found wrong", span(pass)),
	}
	if len(domains) == 0 {
		f.absent = true
		f.reason = say("No own domain is named: add one with POST /domains, verify it and let it be checked.")
		return f
	}
	list := &table{}
	oldest := time.Duration(0)
	never := false
	var wrong int64
	var late, review []string
	for _, d := range domains {
		list.add(d.ID, map[string]any{"domain": text(d.Name), "lastCheck": d.Checked, "names": d.Names, "unreviewed": d.New, "unreviewedWithFinding": d.Wrong})
		if d.Checked == nil {
			never = true
			late = append(late, d.Name)
			continue
		}
		age := now.Sub(*d.Checked)
		oldest = max(oldest, age)
		if age > pass {
			late = append(late, d.Name)
		}
		if wrong += d.Wrong; d.Wrong > 0 {
			review = append(review, d.Name)
		}
	}
	f.facts = map[string]any{"domains": list}
	if never {
		f.outcome = compliance.Fail
		return f.remedied(say("%s of %s never checked", few(late), plural(f.size, "own domain was", "own domains were")), say("verify them and run POST /domains/{id}/check"))
	}
	f.value, f.unit = new(oldest.Hours()/24), "days"
	switch {
	case oldest <= pass && wrong == 0:
		f.outcome = compliance.Pass
	case oldest <= partial:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("The oldest check of %s was %s ago", plural(f.size, "own domain", "own domains"), span(oldest))
	if wrong > 0 {
		return f.remedied(found.And(say(", and nobody has looked at %s with something found wrong", plural(wrong, "name", "names"))), say("review the names under %s", few(review)))
	}
	return f.remedied(found, say("check %s", few(late)))
}
