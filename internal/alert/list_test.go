package alert

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// small makes every way of answering come up with few alerts.
func small() limits {
	return limits{count: 30, small: 12, near: 3, words: 4, probe: 9, recent: 20, frequent: 6, walk: 25}
}

type entry struct {
	Alert
	entities []string
}

// population stores n random alerts of tenant 1 and one of tenant 2, and returns
// what List must find among those of tenant 1.
func population(t *testing.T, s *Service, rng *rand.Rand, n int) []entry {
	t.Helper()
	ctx := t.Context()
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	now := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	var all []entry
	for i := range n {
		if rng.IntN(4) > 0 { // else ties
			now = now.Add(time.Duration(rng.IntN(200)) * time.Minute)
		}
		user := pick("root", "admin", "chroot", "김철수", "a%b", "a_b", "") + pick("", "", fmt.Sprint(i))
		f := Finding{
			Tenant: 1, Rule: RuleRef{ID: pick("r1", "r2", "r3"), Name: "n"}, Title: pick("Brute Force", "Port Scan", "랜섬웨어 탐지", "100% CPU"),
			Severity: event.Severities[min(rng.IntN(8), 4)], Source: pick("sshd", "nginx", "iptables"), Tactic: pick("credential-access", "discovery", ""), Technique: pick("T1110", "T1110.001", "T11", ""),
			Description: pick("{count} attempts from {src_ip} for {user}", "{user} did it", "nothing"), Key: fmt.Sprint(i),
			Values:   map[string][]string{"src_ip": {fmt.Sprintf("10.0.%d.%d", rng.IntN(3), rng.IntN(30))}, "user": {user}},
			Entities: []Entity{{"user", "user", user}, {"host", "host", pick("web-1", "DB-2")}},
			First:    attack.Add(time.Duration(rng.IntN(1000)) * time.Minute).UnixNano(), Count: int64(rng.IntN(50)),
		}
		f.Last = f.First + int64(rng.IntN(3))*int64(time.Hour)
		a := record(t, s, now, f)[0].Alert
		st := Statuses[rng.IntN(4)]
		if st != Open {
			to := pick("ann", "bob")
			if _, err := s.Patch(ctx, 1, "test", a.ID, Patch{Status: &st, AssignedTo: &to}); err != nil {
				t.Fatal(err)
			}
		}
		if st != Resolved && rng.IntN(5) == 0 { // growth
			f.Count, f.Values = 7, map[string][]string{"user": {"later"}}
			record(t, s, now, f)
		}
		d, err := s.Get(ctx, 1, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		e := entry{Alert: d.Alert}
		for _, x := range d.Entities {
			e.entities = append(e.entities, x.Value)
		}
		all = append(all, e)
	}
	other := bruteForce(attack, 1, "10.0.0.1", "root")
	other.Tenant = 2
	record(t, s, now, other)
	return all
}

func (f *Filter) matches(e entry) bool {
	text := strings.ToLower(e.Title + "\x1f" + e.Description)
	return (len(f.Severities) == 0 || slices.Contains(f.Severities, e.Severity)) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, e.Status)) &&
		(len(f.Sources) == 0 || slices.Contains(f.Sources, e.Source)) &&
		strings.Contains(text, strings.ToLower(f.Search)) &&
		(f.Mitre == "" || e.Technique == f.Mitre || strings.HasPrefix(e.Technique, f.Mitre+".") || e.Tactic == f.Mitre || f.Mitre == "TA0006" && e.Tactic == "credential-access") &&
		(f.RuleID == "" || e.Rule.ID == f.RuleID) &&
		(f.AssignedTo == "" || e.AssignedTo == f.AssignedTo) &&
		(f.Entity == "" || slices.ContainsFunc(e.entities, func(v string) bool { return strings.EqualFold(v, f.Entity) })) &&
		(f.CreatedFrom.IsZero() || !e.CreatedAt.Before(f.CreatedFrom)) && (f.CreatedTo.IsZero() || e.CreatedAt.Before(f.CreatedTo)) &&
		(f.UpdatedSince.IsZero() || !e.UpdatedAt.Before(f.UpdatedSince))
}

// expected answers q by looking at every alert.
func expected(all []entry, q Query) (ids []string, total int) {
	var hits []entry
	for _, e := range all {
		if q.matches(e) {
			hits = append(hits, e)
		}
	}
	slices.SortFunc(hits, func(a, b entry) int {
		created := cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.seq, b.seq))
		var c int
		switch q.Sort {
		case "updatedAt":
			c = cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.seq, b.seq))
		case "lastSeen":
			c = cmp.Or(a.LastSeen.Compare(b.LastSeen), cmp.Compare(a.seq, b.seq))
		case "title":
			c = cmp.Or(cmp.Compare(a.Title, b.Title), created)
		case "severity":
			c = cmp.Or(cmp.Compare(event.SeverityRank(a.Severity), event.SeverityRank(b.Severity)), created)
		case "status":
			c = cmp.Or(cmp.Compare(slices.Index(Statuses, a.Status), slices.Index(Statuses, b.Status)), created)
		default:
			c = created
		}
		if !q.Ascending {
			c = -c
		}
		return c
	})
	for _, e := range hits[min(q.Page*q.Size, len(hits)):min((q.Page+1)*q.Size, len(hits))] {
		ids = append(ids, e.ID)
	}
	return ids, len(hits)
}

func randomQuery(rng *rand.Rand, all []entry) Query {
	q := Query{Size: 1 + rng.IntN(12), Page: rng.IntN(8), Ascending: rng.IntN(2) == 0, Sort: Sorts[rng.IntN(len(Sorts))]}
	chance := func(percent int) bool { return rng.IntN(100) < percent }
	some := all[rng.IntN(len(all))]
	for _, sev := range event.Severities {
		if chance(15) {
			q.Severities = append(q.Severities, sev)
		}
	}
	for _, st := range Statuses {
		if chance(15) {
			q.Statuses = append(q.Statuses, st)
		}
	}
	if chance(50) {
		switch text := []rune(some.Title + separator + some.Description); {
		case chance(60):
			from := rng.IntN(len(text))
			q.Search = strings.ReplaceAll(string(text[from:from+1+rng.IntN(min(12, len(text)-from))]), separator, "")
		default:
			q.Search = []string{"root", "%", "_", "a_b", "랜섬", "10.0.1.", "absent", "ROOT", "attempts from", "7", " ", "force"}[rng.IntN(12)]
		}
	}
	if chance(15) {
		q.Sources = []string{some.Source, "iptables"}[:1+rng.IntN(2)]
	}
	if chance(10) {
		q.Mitre = []string{"T1110", "T1110.001", "TA0006", "discovery", "T11"}[rng.IntN(5)]
	}
	if chance(10) {
		q.RuleID = some.Rule.ID
	}
	if chance(10) && len(some.entities) > 0 {
		q.Entity = strings.ToUpper(some.entities[rng.IntN(len(some.entities))])
	}
	if chance(10) {
		q.AssignedTo = "ann"
	}
	if chance(10) {
		q.CreatedFrom = some.CreatedAt
	}
	if chance(10) {
		q.CreatedTo = some.CreatedAt.Add(time.Duration(rng.IntN(2)) * time.Microsecond)
	}
	if chance(10) {
		q.UpdatedSince = some.UpdatedAt
	}
	return q
}

func TestListEqualsLookingAtAll(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		rng := rand.New(rand.NewPCG(1, 2))
		s := New(db)
		all := population(t, s, rng, 120)
		for i := range 900 {
			s.limits = defaultLimits()
			if i%3 > 0 {
				s.limits = small()
			}
			q := randomQuery(rng, all)
			ids, total := expected(all, q)
			p, err := s.List(ctx, 1, q)
			if err != nil {
				t.Fatalf("%d: List(%+v): %v", i, q, err)
			}
			var got []string
			for _, a := range p.Alerts {
				got = append(got, a.ID)
			}
			if !slices.Equal(got, ids) {
				t.Fatalf("%d: List(%+v) gives %d alerts\n%v, want %d\n%v", i, q, len(got), got, len(ids), ids)
			}
			if p.Capped && p.Total > int64(total) || !p.Capped && p.Total != int64(total) {
				t.Fatalf("%d: List(%+v): total %d (capped: %v), want %d", i, q, p.Total, p.Capped, total)
			}
			if s.limits == defaultLimits() && p.Capped {
				t.Fatalf("%d: List(%+v): capped at %d", i, q, p.Total)
			}
		}
	})
}

func TestListFaults(t *testing.T) {
	s := New(sqldbtest.SQLite(t))
	for name, q := range map[string]Query{
		"size":      {Size: 101},
		"size low":  {Size: -1},
		"page":      {Page: -1},
		"sort":      {Sort: "DROP"},
		"severity":  {Filter: Filter{Severities: []string{"urgent"}}},
		"status":    {Filter: Filter{Statuses: []Status{"DONE"}}},
		"bad UTF-8": {Filter: Filter{Entity: "\xff"}},
	} {
		if p, err := s.List(t.Context(), 1, q); err == nil {
			t.Errorf("%s: List = %+v", name, p)
		}
	}
	if p, err := s.List(t.Context(), 1, Query{Filter: Filter{Severities: []string{"HIGH"}, Statuses: []Status{"open"}}}); err != nil || p.Alerts == nil || p.Total != 0 {
		t.Errorf("List of nothing = %+v, %v", p, err)
	}
}

func TestStreamAllOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		rng := rand.New(rand.NewPCG(3, 4))
		all := population(t, s, rng, 40)
		for range 40 {
			q := randomQuery(rng, all)
			q.Page, q.Size, q.Sort, q.Ascending = 0, len(all), "createdAt", false
			want, _ := expected(all, q)
			var got []string
			for a, err := range s.Stream(ctx, 1, q.Filter) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, a.ID)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("Stream(%+v) = %v, want %v", q.Filter, got, want)
			}
		}
		for _, err := range s.Stream(ctx, 1, Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			break // leaving early is no fault
		}
	})
}

func TestStats(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		all := population(t, s, rand.New(rand.NewPCG(5, 6)), 80)
		last := all[len(all)-1].CreatedAt
		for _, zone := range []string{"", "Asia/Seoul", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"} {
			loc, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			for _, now := range []time.Time{last, last.Add(-30 * time.Hour), last.Add(24 * time.Hour)} {
				local := now.In(loc)
				today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, loc)
				monday := today
				for monday.Weekday() != time.Monday {
					monday = monday.AddDate(0, 0, -1)
				}
				var want Stats
				count := func(n *int64, yes bool) {
					if yes {
						*n++
					}
				}
				for _, e := range all {
					want.Total++
					count(&want.Open, e.Status == Open)
					count(&want.InProgress, e.Status == InProgress)
					count(&want.Resolved, e.Status == Resolved)
					count(&want.FalsePositive, e.Status == FalsePositive)
					count(&want.Critical, e.Severity == "critical")
					count(&want.High, e.Severity == "high")
					count(&want.Today, !e.CreatedAt.Before(today))
					count(&want.ThisWeek, !e.CreatedAt.Before(monday))
				}
				if got, err := s.Stats(ctx, 1, now, loc); err != nil || got != want {
					t.Errorf("Stats(%v) = %+v, %v; want %+v", local, got, err, want)
				}
			}
		}
		if got, err := s.Stats(ctx, 3, last, nil); err != nil || got != (Stats{}) {
			t.Errorf("Stats of nobody = %+v, %v", got, err)
		}
	})
}

// Counters follow a removal too.
func TestCountersAfterDelete(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		all := population(t, s, rand.New(rand.NewPCG(7, 8)), 30)
		if _, err := sqldb.Exec(ctx, db, `DELETE FROM alert WHERE tenant = 1 AND id <> $1`, all[4].ID); err != nil {
			t.Fatal(err)
		}
		st, err := s.Stats(ctx, 1, all[4].CreatedAt, nil)
		if err != nil || st.Total != 1 {
			t.Errorf("Stats = %+v, %v", st, err)
		}
		p, err := s.List(ctx, 1, Query{Filter: Filter{Search: all[4].Title}})
		if err != nil || p.Total != 1 || p.Alerts[0].ID != all[4].ID {
			t.Errorf("List = %+v, %v", p, err)
		}
		for _, table := range []string{"alert_text", "alert_detail", "alert_words"} {
			n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM `+table)
			if err != nil || n != 2 {
				t.Errorf("%s has %d rows, %v; want 2", table, n, err)
			}
		}
	})
}

func TestVocabulariesAreBounded(t *testing.T) {
	s := New(nil)
	for tenant := range uint32(5) {
		s.vocabularies[tenant] = &cachedVocabulary{used: time.Unix(int64(tenant), 0), size: maxVocabularies / 3}
	}
	s.forgetVocabularies()
	if len(s.vocabularies) != 3 || s.vocabularies[4] == nil || s.vocabularies[0] != nil {
		t.Errorf("kept %v", s.vocabularies)
	}
}
