package assess

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// machine is an asset as checks look at it.
type machine struct {
	ID, Name, Type, Owner string
	Criticality           int64 // 1 low to 4 critical
	Tags                  []string
	First, Last           time.Time
	Sent                  *time.Time // its last log of its own, nil for none
	Scanned               *time.Time // when a scanner last told of it, nil for never
}

// outOfScope is the tag of assets that no check looks at.
const outOfScope = "out-of-scope"

// personalTags are the tags of assets that hold personal data.
var personalTags = []string{"personal-data", "personal data", "pii", "개인정보"}

const seenWithin = 30 * day

const machinePopulation = "assets seen within 30 days, or that have an owner, without the tag " + outOfScope

// scoped tells whether checks look at the asset: one that nobody owns and that was not
// seen for long is gone.
func (m *machine) scoped(now time.Time) bool {
	return !slices.Contains(m.Tags, outOfScope) && (m.Owner != "" || !m.Last.Before(now.Add(-seenWithin)))
}

func (m *machine) personal() bool {
	return slices.ContainsFunc(m.Tags, func(t string) bool { return slices.Contains(personalTags, strings.ToLower(t)) })
}

// scanners are log sources that tell which weaknesses an asset has.
var scanners = []string{"tenable", "nessus", "qualys", "rapid7", "nexpose", "insightvm", "openvas", "greenbone", "gvm", "nuclei", "wazuh_vuln", "defender_vuln", "trivy", "inspector", "aws_inspector"}

// machines returns the tenant's assets without those that are part of another.
func (q *inquiry) machines(ctx context.Context) ([]machine, error) {
	return q.assets.get(ctx, q, func(ctx context.Context, q *inquiry) ([]machine, error) {
		all, err := rowsOf(ctx, q, func(rows *sql.Rows, m *machine) error {
			var tags string
			if err := rows.Scan(&m.ID, &m.Name, &m.Type, &m.Owner, &m.Criticality, &tags, sqldb.Micros(&m.First), sqldb.Micros(&m.Last)); err != nil {
				return err
			}
			_ = json.Unmarshal([]byte(tags), &m.Tags) // none, where it is no list
			return nil
		}, `SELECT id, name, type, owner, criticality, tags, first_at, last_at FROM asset WHERE tenant = $1 AND root = id AND NOT covered ORDER BY id`, q.tenant)
		if err != nil {
			return nil, err
		}
		of := make(map[string]*machine, len(all))
		for i := range all {
			of[all[i].ID] = &all[i]
		}
		type trait struct {
			id string
			at time.Time
		}
		scan := func(rows *sql.Rows, t *trait) error { return rows.Scan(&t.id, sqldb.Micros(&t.at)) }
		const newest = `SELECT a.root, max(t.last_at) FROM asset_trait t JOIN asset a ON a.tenant = t.tenant AND a.id = t.asset WHERE t.tenant = $1 AND t.kind = 'source'`
		sent, err := rowsOf(ctx, q, scan, newest+` GROUP BY a.root`, q.tenant)
		if err != nil {
			return nil, err
		}
		for _, t := range sent {
			if m := of[t.id]; m != nil {
				m.Sent = new(t.at)
			}
		}
		args := []any{q.tenant}
		var like []string
		for _, s := range scanners {
			args = append(args, s+"%")
			like = append(like, "t.value LIKE $"+strconv.Itoa(len(args)))
		}
		scanned, err := rowsOf(ctx, q, scan, newest+` AND (`+strings.Join(like, " OR ")+`) GROUP BY a.root`, args...)
		if err != nil {
			return nil, err
		}
		for _, t := range scanned {
			if m := of[t.id]; m != nil {
				m.Scanned = new(t.at)
			}
		}
		return all, nil
	})
}

func assetInventory(ctx context.Context, q *inquiry) (*finding, error) {
	machines, err := q.machines(ctx)
	if err != nil {
		return nil, err
	}
	return judgeInventory(machines, q.p, q.now), nil
}

// triage is how long an asset may be unknown.
const triage = 7 * day

func judgeInventory(machines []machine, p compliance.Params, now time.Time) *finding {
	f := &finding{population: "assets seen within 30 days, without the tag " + outOfScope, from: now.Add(-seenWithin), to: now, resources: []string{"assets"}}
	var lack, stale, have []*machine
	for i := range machines {
		m := &machines[i]
		if slices.Contains(m.Tags, outOfScope) || m.Last.Before(now.Add(-seenWithin)) {
			continue
		}
		switch {
		case m.Owner != "":
			have = append(have, m)
		case m.Type == "unknown" && m.First.Before(now.Add(-triage)):
			stale = append(stale, m)
		default:
			lack = append(lack, m)
		}
	}
	list := &table{}
	var names []string
	for state, part := range [][]*machine{stale, lack, have} {
		for _, m := range part {
			list.add(m.ID, map[string]any{
				"id": m.ID, "name": text(m.Name), "type": m.Type, "owner": text(m.Owner), "criticality": m.Criticality, "firstSeen": m.First, "lastSeen": m.Last,
				"state": []string{"unknown for more than 7 days", "without owner", "owned"}[state],
			})
			if state < 2 {
				names = append(names, m.Name)
			}
		}
	}
	f.facts = map[string]any{"assets": list, "owned": len(have), "withoutOwner": len(lack) + len(stale), "unknownForLong": len(stale)}
	if list.count == 0 {
		f.absent = true
		f.reason = say("No asset is known: send logs, or import the inventory with POST /assets/import.")
		return f
	}
	f.ratio(int64(len(have)), list.count, p)
	f.threshold += " AND no unknown asset older than 7 days"
	if f.outcome == compliance.Pass && len(stale) > 0 {
		f.outcome = compliance.Partly
	}
	found := say("%s assets have an owner", of(int64(len(have)), list.count))
	if len(stale) > 0 {
		found = found.And(say(", and %s unknown for more than 7 days", plural(int64(len(stale)), "is", "are")))
	}
	return f.remedied(found, say("name an owner and the criticality of %s (PATCH /assets/{id})", few(names)))
}

func vulnScan(ctx context.Context, q *inquiry) (*finding, error) {
	machines, err := q.machines(ctx)
	if err != nil {
		return nil, err
	}
	return judgeScan(machines, q.p, q.now), nil
}

func judgeScan(machines []machine, p compliance.Params, now time.Time) *finding {
	age := p.Days("maxAgeDays")
	f := &finding{population: machinePopulation, from: now.Add(-age), to: now, resources: []string{"assets", "log sources of vulnerability scanners"}}
	var late, fresh []*machine
	known := false
	for i := range machines {
		m := &machines[i]
		known = known || m.Scanned != nil
		switch {
		case !m.scoped(now):
		case m.Scanned != nil && !m.Scanned.Before(now.Add(-age)):
			fresh = append(fresh, m)
		default:
			late = append(late, m)
		}
	}
	if !known {
		f.absent = true
		f.reason = say("No vulnerability scanner sends its findings: connect Tenable, Qualys, Rapid7, OpenVAS or another one, so that each finding names the scanned host.")
		return f
	}
	list := &table{}
	var names []string
	for _, m := range append(late, fresh...) {
		list.add(m.ID, map[string]any{"id": m.ID, "name": text(m.Name), "lastScan": m.Scanned})
	}
	for _, m := range late {
		names = append(names, m.Name)
	}
	f.facts = map[string]any{"assets": list, "fresh": len(fresh)}
	if list.count == 0 {
		f.outcome = compliance.NoData
		f.reason = say("Scanners send findings, and no asset is in scope: look at the assets' tags.")
		return f
	}
	f.ratio(int64(len(fresh)), list.count, p)
	return f.remedied(say("%s assets were named by a scanner within %s", of(int64(len(fresh)), list.count), span(age)), say("scan %s", few(names)))
}

// vulnSLA has nothing to look at: findings of scanners arrive as events, which say that a
// weakness is there and never that it is gone.
func vulnSLA(_ context.Context, q *inquiry) (*finding, error) {
	q.note("none: KYRA keeps no register of vulnerabilities")
	return missing("critical and high findings of vulnerability scanners",
		"KYRA keeps no register of vulnerabilities, so that it cannot tell when one was fixed: show the scanner's report on ageing as evidence of the controls that ask for it."), nil
}
