package assess

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// paramsOf are those of a check as it stands in the catalogue.
func paramsOf(check string, own ...any) compliance.Params {
	p := compliance.Merge(compliance.Builtin().Check(check).Params, nil)
	for i := 0; i+1 < len(own); i += 2 {
		p[own[i].(string)] = own[i+1]
	}
	return p
}

// absent stands for findings whose source is missing.
const absent compliance.Outcome = "absent"

// judged compares findings with what they should be, and looks whether their words say
// enough.
func judged(t *testing.T, name string, f *finding, want compliance.Outcome) {
	t.Helper()
	got := f.outcome
	if f.absent {
		got = absent
	}
	if got != want {
		t.Errorf("%s: %s, want %s: %s", name, got, want, f.reason)
	}
	reason, korean := f.reason.String(), f.reason.In("ko")
	if !strings.HasSuffix(reason, ".") || len(reason) < 20 || strings.Contains(reason, "%!") {
		t.Errorf("%s: reason %q", name, reason)
	}
	if japanese := f.reason.In("ja"); !strings.HasSuffix(japanese, "。") || strings.Contains(japanese, "%!") {
		t.Errorf("%s: reason in Japanese %q", name, japanese)
	}
	if !strings.HasSuffix(korean, ".") || strings.Contains(korean, "%!") || korean == reason {
		t.Errorf("%s: reason in Korean %q", name, korean)
	}
	if got == compliance.Pass && (f.size <= 0 || f.value == nil && name == "") {
		t.Errorf("%s passes without a population", name)
	}
	if (got == compliance.Partly || got == compliance.Fail) && !strings.Contains(reason, ": ") {
		t.Errorf("%s names no remedy: %q", name, reason)
	}
}

func ago(d time.Duration) *time.Time { return new(noon.Add(-d)) }

func days(n float64) time.Duration { return time.Duration(n * float64(day)) }

// ratios are a hundred or a thousand, of which so many are good.
func TestRatioBounds(t *testing.T) {
	for _, c := range []struct {
		check string
		judge func(good, all int) *finding
		all   int
		steps map[int]compliance.Outcome // good → outcome
	}{
		{"log-source-coverage", func(good, all int) *finding {
			return judgeCoverage(hosts(all, func(i int, m *machine) {
				if m.Sent = ago(25 * time.Hour); i < good {
					m.Sent = ago(24 * time.Hour)
				}
			}), paramsOf("log-source-coverage"), noon)
		}, 100, map[int]compliance.Outcome{100: compliance.Pass, 95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail, 0: compliance.Fail}},
		{"vuln-scan", func(good, all int) *finding {
			return judgeScan(hosts(all, func(i int, m *machine) {
				if m.Scanned = ago(days(30.1)); i < good {
					m.Scanned = ago(days(30))
				}
			}), paramsOf("vuln-scan"), noon)
		}, 100, map[int]compliance.Outcome{90: compliance.Pass, 89: compliance.Partly, 60: compliance.Partly, 59: compliance.Fail}},
		{"asset-inventory", func(good, all int) *finding {
			return judgeInventory(hosts(all, func(i int, m *machine) {
				m.First = *ago(days(2))
				if i < good {
					m.Owner = "ops"
				}
			}), paramsOf("asset-inventory"), noon)
		}, 100, map[int]compliance.Outcome{95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail}},
		{"time-sync", func(good, all int) *finding {
			var clocks []logsource.Clock
			for i := range all {
				k := logsource.Clock{ID: fmt.Sprint(i), Source: "sshd", Host: fmt.Sprint("web-", i), Samples: logsource.EnoughSamples, Median: -5001 * time.Millisecond}
				if i < good {
					k.Median = 5 * time.Second
				}
				clocks = append(clocks, k)
			}
			return judgeClocks(clocks, nil, paramsOf("time-sync"), noon)
		}, 100, map[int]compliance.Outcome{95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail}},
		{"log-field-completeness", func(good, all int) *finding {
			return judgeAttribution(map[string]int64{"sshd": int64(all)}, map[string]int64{"sshd": int64(good)}, paramsOf("log-field-completeness"), noon)
		}, 1000, map[int]compliance.Outcome{950: compliance.Pass, 949: compliance.Partly, 800: compliance.Partly, 799: compliance.Fail}},
		{"attack-coverage", func(good, all int) *finding {
			c := &workbench.Coverage{AttackVersion: "18", Rules: 1}
			for i := range all {
				k := workbench.TacticCoverage{ID: fmt.Sprint(i), Title: fmt.Sprint("Tactic ", i)}
				if i < good {
					k.Rules = 1
				}
				c.Tactics = append(c.Tactics, k)
			}
			return judgeAttack(c, paramsOf("attack-coverage"), noon)
		}, 20, map[int]compliance.Outcome{17: compliance.Pass, 16: compliance.Partly, 12: compliance.Partly, 11: compliance.Fail}},
		{"incident-root-cause", func(good, all int) *finding {
			var remarks []remark
			for i := range good {
				remarks = append(remarks, remark{fmt.Sprint(i), "Root cause: a weak password\nLessons: none like it\n"}, remark{fmt.Sprint(i), "- **Corrective action:** keys alone"})
			}
			remarks = append(remarks, remark{fmt.Sprint(good), "Root cause: \nLessons: some\nCorrective action: some"})
			return judgeLessons(closed(all), remarks, paramsOf("incident-root-cause"), noon)
		}, 100, map[int]compliance.Outcome{95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail}},
		{"incident-evidence", func(good, all int) *finding {
			var files []custody
			for i := range all {
				k := custody{fmt.Sprint(i), 2, 1}
				if i < good {
					k.logged = 2
				}
				files = append(files, k)
			}
			return judgeCustody(closed(all), files, paramsOf("incident-evidence"), noon)
		}, 100, map[int]compliance.Outcome{95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail}},
		{"mfa-all", func(good, all int) *finding {
			var users []user
			for i := range all {
				users = append(users, user{ID: fmt.Sprint(i), Role: identity.Analyst, Strong: i < good})
			}
			return judgeMFA(users, paramsOf("mfa-all"), noon)
		}, 100, map[int]compliance.Outcome{98: compliance.Pass, 97: compliance.Partly, 90: compliance.Partly, 89: compliance.Fail}},
		{"tls-ingest", func(good, all int) *finding {
			var doors []Listener
			for i := range all {
				l := Listener{Name: "syslog", Address: "10.0.0.1:514"}
				if i < good {
					l.TLS = "1.2"
				}
				doors = append(doors, l)
			}
			return judgeTLS(doors, nil, paramsOf("tls-ingest"), noon)
		}, 10, map[int]compliance.Outcome{10: compliance.Pass, 9: compliance.Partly, 8: compliance.Fail}},
		{"platform-patch", func(good, all int) *finding {
			var parts []component
			for i := range all - 1 {
				k := component{fmt.Sprint(i), "c", "v1.3.9"}
				if i < good-1 {
					k.Version = "v1.4.0"
				}
				parts = append(parts, k)
			}
			return judgeVersions("v1.4.2", parts, paramsOf("platform-patch"), noon)
		}, 100, map[int]compliance.Outcome{95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail}},
		{"dsr-deadline", func(good, all int) *finding {
			var wishes []wish
			for i := range all {
				w := wish{ID: fmt.Sprint(i), Law: "GDPR", Due: *ago(days(3)), Closed: ago(days(2))}
				if i < good {
					w.Closed = ago(days(3))
				}
				wishes = append(wishes, w)
			}
			return judgeWishes(wishes, time.UTC, paramsOf("dsr-deadline"), noon)
		}, 100, map[int]compliance.Outcome{98: compliance.Pass, 97: compliance.Partly, 90: compliance.Partly, 89: compliance.Fail}},
		{"leaver-disabled", func(good, all int) *finding {
			var leavers []leaver
			for i := range all {
				l := leaver{ID: fmt.Sprint(i), Left: *ago(days(5))}
				if i < good {
					l.Disabled = ago(days(4))
				}
				leavers = append(leavers, l)
			}
			return judgeLeavers(leavers, paramsOf("leaver-disabled"), noon)
		}, 100, map[int]compliance.Outcome{98: compliance.Pass, 97: compliance.Partly, 90: compliance.Partly, 89: compliance.Fail}},
		{"evidence-fresh", func(good, all int) *finding {
			var ages []age
			for i := range all {
				a := age{Variant: fmt.Sprint(i), Cadence: day}
				if i < good {
					a.At = ago(day)
				} else if i%2 == 0 {
					a.At = ago(day + time.Second)
				}
				ages = append(ages, a)
			}
			return judgeFreshness(ages, paramsOf("evidence-fresh"), noon)
		}, 100, map[int]compliance.Outcome{95: compliance.Pass, 94: compliance.Partly, 80: compliance.Partly, 79: compliance.Fail}},
		{"collector-online", func(good, all int) *finding {
			o := online{ID: "a", Name: "web-01", From: noon.Add(-time.Duration(all) * time.Hour)}
			if good < all {
				o.Gaps = []gap{{o.From, o.From.Add(time.Duration(all-good) * time.Hour)}}
			}
			return judgeOnline([]online{o}, paramsOf("collector-online"), noon)
		}, 100, map[int]compliance.Outcome{100: compliance.Pass, 99: compliance.Pass, 98: compliance.Partly, 95: compliance.Partly, 94: compliance.Fail}},
		{"log-review", func(good, all int) *finding {
			var reviews []reviewDay
			for i := range good {
				reviews = append(reviews, reviewDay{Day: noon.Unix()/86400 - 1 - int64(i), Actor: "user:kim", Actions: 3})
			}
			return judgeReview(reviews, *ago(days(400)), paramsOf("log-review", "periodDays", all), noon)
		}, 20, map[int]compliance.Outcome{20: compliance.Pass, 19: compliance.Pass, 18: compliance.Partly, 14: compliance.Partly, 13: compliance.Fail}},
	} {
		for good, want := range c.steps {
			judged(t, fmt.Sprintf("%s %d of %d", c.check, good, c.all), c.judge(good, c.all), want)
		}
	}
}

func hosts(n int, f func(i int, m *machine)) (all []machine) {
	for i := range n {
		m := machine{ID: fmt.Sprint(i), Name: fmt.Sprint("web-", i), Type: "server", First: *ago(days(50)), Last: *ago(time.Hour)}
		f(i, &m)
		all = append(all, m)
	}
	return all
}

func closed(n int) (all []incidentRow) {
	for i := range n {
		all = append(all, incidentRow{ID: fmt.Sprint(i), Title: fmt.Sprint("Case ", i), Status: "CLOSED", Severity: "high", Created: *ago(days(10)), Closed: ago(days(2))})
	}
	return all
}

// Nothing to look at is no data; a missing source is what the control says of it.
func TestEmptyPopulations(t *testing.T) {
	for check, c := range map[string]struct {
		f    *finding
		want compliance.Outcome
	}{
		"log-source-coverage":    {judgeCoverage(nil, paramsOf("log-source-coverage"), noon), absent},
		"asset-inventory":        {judgeInventory(nil, paramsOf("asset-inventory"), noon), absent},
		"vuln-scan":              {judgeScan(hosts(3, func(int, *machine) {}), paramsOf("vuln-scan"), noon), absent},
		"time-sync":              {judgeClocks([]logsource.Clock{{Samples: logsource.EnoughSamples - 1}}, nil, paramsOf("time-sync"), noon), compliance.NoData},
		"log-field-completeness": {judgeAttribution(nil, nil, paramsOf("log-field-completeness"), noon), compliance.NoData},
		"attack-coverage":        {judgeAttack(&workbench.Coverage{}, paramsOf("attack-coverage"), noon), absent},
		"rules-active":           {judgeRules(nil, paramsOf("rules-active"), noon), absent},
		"incident-root-cause":    {judgeLessons(nil, nil, paramsOf("incident-root-cause"), noon), compliance.NoData},
		"incident-evidence":      {judgeCustody(nil, nil, paramsOf("incident-evidence"), noon), compliance.NoData},
		"incident-mttr":          {judgeContainment(nil, paramsOf("incident-mttr"), noon), compliance.NoData},
		"alert-mtta":             {judgeWaits([]waits{{severity: "critical"}, {severity: "high", created: 3, young: 3}}, noon, paramsOf("alert-mtta"), noon), compliance.NoData},
		"alert-backlog":          {judgeBacklog([]backlog{{Severity: "high"}}, nil, paramsOf("alert-backlog"), noon), compliance.NoData},
		"mfa-all":                {judgeMFA(nil, paramsOf("mfa-all"), noon), absent},
		"role-separation":        {judgeRoles(nil, paramsOf("role-separation"), noon), absent},
		"api-key-hygiene":        {judgeHygiene(nil, paramsOf("api-key-hygiene"), noon), compliance.NoData},
		"dormant-accounts":       {judgeDormant(nil, 0, noon, paramsOf("dormant-accounts"), noon), absent},
		"dormant-accounts young": {judgeDormant(nil, 5, *ago(days(89)), paramsOf("dormant-accounts"), noon), compliance.NoData},
		"access-review":          {judgeAccessReview(nil, paramsOf("access-review"), noon), compliance.NoData},
		"leaver-disabled":        {judgeLeavers(nil, paramsOf("leaver-disabled"), noon), absent},
		"leaver-disabled young":  {judgeLeavers([]leaver{{Left: noon.Add(-time.Hour)}}, paramsOf("leaver-disabled"), noon), compliance.NoData},
		"tls-ingest":             {judgeTLS([]Listener{{Local: true}}, nil, paramsOf("tls-ingest"), noon), compliance.NoData},
		"cert-key-age":           {judgeKeys(nil, nil, paramsOf("cert-key-age"), noon), compliance.NoData},
		"ti-freshness":           {judgeFeeds(nil, paramsOf("ti-freshness"), noon), absent},
		"exposure-scan":          {judgeDomains(nil, paramsOf("exposure-scan"), noon), absent},
		"playbook-tested":        {judgePractice(nil, nil, paramsOf("playbook-tested"), noon), absent},
		"notify-channel":         {judgeChannels(&deliveries{}, paramsOf("notify-channel"), noon), absent},
		"source-silence-alert":   {judgeSilence(nil, &deliveries{}, paramsOf("source-silence-alert"), noon), absent},
		"collector-online":       {judgeOnline(nil, paramsOf("collector-online"), noon), absent},
		"dsr-deadline":           {judgeWishes([]wish{{Law: "GDPR", Due: noon.Add(time.Hour)}}, time.UTC, paramsOf("dsr-deadline"), noon), compliance.NoData},
		"pii-access-audit":       {judgeSystems(hosts(2, func(int, *machine) {}), nil, noon, 0, paramsOf("pii-access-audit"), noon), absent},
		"pii-masking":            {judgeMasking(&masking{}, paramsOf("pii-masking"), noon), compliance.NoData},
		"pii-search-audit":       {judgeSearches(nil, true, paramsOf("pii-search-audit"), noon), compliance.NoData},
		"platform-backup":        {judgeBackup(time.Time{}, time.Time{}, time.Time{}, paramsOf("platform-backup"), noon), absent},
		"capacity-health":        {judgeLoad(&load{canary: true, running: day}, paramsOf("capacity-health"), noon), absent},
		"capacity-health young":  {judgeLoad(&load{canary: true, running: time.Minute}, paramsOf("capacity-health"), noon), compliance.NoData},
		"audit-chain":            {judgeChain(nil, nil, nil, paramsOf("audit-chain"), noon), absent},
		"audit-chain empty":      {judgeChain(&audit.Check{At: noon}, nil, nil, paramsOf("audit-chain"), noon), compliance.NoData},
		"log-review young":       {judgeReview(nil, noon.Add(-time.Hour), paramsOf("log-review"), noon), compliance.NoData},
		"log-retention":          {judgeRetention(&kept{configured: 365, began: noon}, paramsOf("log-retention"), noon), compliance.NoData},
		"retention-deletion":     {judgeDeletion(&term{days: 365, began: noon.Add(-time.Hour)}, paramsOf("retention-deletion"), noon), compliance.NoData},
		"retention-deletion old": {judgeDeletion(&term{days: 365, began: noon.Add(-day)}, paramsOf("retention-deletion"), noon), absent},
		"audit-access":           {judgeAccess(&rights{refuses: true}, paramsOf("audit-access-restricted"), noon), compliance.NoData},
		"evidence-fresh":         {judgeFreshness(nil, paramsOf("evidence-fresh"), noon), compliance.NoData},
	} {
		judged(t, check, c.f, c.want)
	}
}

func TestOtherBounds(t *testing.T) {
	long := *ago(days(500))
	retention := func(k kept, own ...any) *finding {
		k.began = long
		return judgeRetention(&k, paramsOf("log-retention", own...), noon)
	}
	first := ago(days(400))
	chain := func(age time.Duration, broken int64) *finding {
		return judgeChain(&audit.Check{At: noon.Add(-age), Entries: 12, BrokenAt: broken, Why: "changed"}, nil, nil, paramsOf("audit-chain"), noon)
	}
	rules := func(n, failing int) *finding {
		var all []watcher
		for i := range n {
			w := watcher{ID: fmt.Sprint(i), Name: fmt.Sprint("rule ", i)}
			if i < failing {
				w.Failing = "it does not compile"
			}
			all = append(all, w)
		}
		return judgeRules(all, paramsOf("rules-active"), noon)
	}
	waiting := func(answers ...answered) *finding {
		w := waits{severity: "critical", limit: time.Hour, created: 10, answers: answers}
		return judgeWaits([]waits{w}, noon.Add(-30*day), paramsOf("alert-mtta"), noon)
	}
	old := func(open, all int64) *finding {
		return judgeBacklog([]backlog{{Severity: "critical", Recent: all, Open: open}}, nil, paramsOf("alert-backlog"), noon)
	}
	contain := func(took time.Duration, who string) *finding {
		all := closed(10)
		for i := range all {
			all[i].Severity, all[i].Assigned, all[i].Contained = "critical", who, new(all[i].Created.Add(took))
			if i < 5 {
				all[i].Contained = new(all[i].Created.Add(time.Hour))
			}
		}
		return judgeContainment(all, paramsOf("incident-mttr"), noon)
	}
	practised := func(fresh int, played bool) *finding {
		var list []practice
		for i := range 10 {
			p := practice{ID: fmt.Sprint(i), Name: "p", Last: ago(days(181))}
			if i < fresh {
				p.Last = ago(days(180))
			}
			list = append(list, p)
		}
		var exercises []exercise
		if played {
			exercises = []exercise{{"1", "Exercise: ransom", *ago(days(365))}}
		}
		return judgePractice(list, exercises, paramsOf("playbook-tested"), noon)
	}
	told := func(last time.Duration, failed int64) *finding {
		return judgeChannels(&deliveries{[]receiver{{ID: "1", Name: "soc", Critical: true, Last: ago(last), Success: 1000 - failed, Failures: failed}}}, paramsOf("notify-channel"), noon)
	}
	silent := func(muted bool, last time.Duration) *finding {
		return judgeSilence([]logsource.Source{{ID: "1", Name: "sshd", Host: "a", Limit: time.Minute}, {ID: "2", Name: "sshd", Host: "b", Limit: time.Minute, Muted: muted}},
			&deliveries{[]receiver{{Name: "soc", Last: ago(last)}}}, paramsOf("source-silence-alert"), noon)
	}
	feeds := func(age time.Duration) *finding {
		return judgeFeeds([]feed{{ID: "1", Name: "x", Last: ago(age)}}, paramsOf("ti-freshness"), noon)
	}
	domains := func(age time.Duration, wrong int64) *finding {
		return judgeDomains([]domain{{ID: "1", Name: "shop.example", Checked: ago(age), Wrong: wrong}}, paramsOf("exposure-scan"), noon)
	}
	team := func(admins, others int) *finding {
		var all []user
		for i := range admins + others {
			u := user{ID: fmt.Sprint(i), Role: identity.Analyst}
			if i < admins {
				u.Role = identity.Admin
			}
			all = append(all, u)
		}
		return judgeRoles(all, paramsOf("role-separation"), noon)
	}
	keys := func(bad, good int) *finding {
		var all []key
		for i := range bad + good {
			k := key{ID: fmt.Sprint(i), Name: "k", Created: *ago(days(80)), Expires: new(noon.Add(day)), Used: ago(days(90)), Scope: identity.ReadOnly}
			if i < bad {
				k.Expires = nil
			}
			all = append(all, k)
		}
		return judgeHygiene(all, paramsOf("api-key-hygiene"), noon)
	}
	unused := func(n, all int64) *finding {
		var list []dormant
		for i := range n {
			list = append(list, dormant{ID: fmt.Sprint(i), Name: "old"})
		}
		return judgeDormant(list, all, long, paramsOf("dormant-accounts"), noon)
	}
	reviewedAt := func(age time.Duration, undecided int) *finding {
		var all []holder
		for i := range 10 {
			h := holder{ID: fmt.Sprint(i), Name: "h", Decided: ago(age)}
			if i < undecided {
				h.Decided = nil
			}
			all = append(all, h)
		}
		return judgeAccessReview(all, paramsOf("access-review"), noon)
	}
	at := func(lag time.Duration, free float64, alarms bool) *finding {
		return judgeLoad(&load{lags: []time.Duration{lag}, free: free, alarms: alarms, canary: true}, paramsOf("capacity-health"), noon)
	}
	deleted := func(ran time.Duration, archived time.Duration, holds int64) *finding {
		return judgeDeletion(&term{days: 365, began: long, ended: ago(ran), archived: noon.Add(-archived).Truncate(day), holds: holds}, paramsOf("retention-deletion"), noon)
	}
	systems := func(silent, missed int, unexplained int64) *finding {
		var reviews []reviewDay
		for slot := range 2 - missed {
			reviews = append(reviews, reviewDay{Day: noon.Unix()/86400 - 1 - int64(slot)*30})
		}
		return judgeSystems(hosts(20, func(i int, m *machine) {
			m.Tags = []string{"PII"}
			if i >= silent {
				m.Sent = ago(time.Hour)
			}
		}), reviews, long, unexplained, paramsOf("pii-access-audit"), noon)
	}
	good := PasswordPolicy{MinLength: 12, Complexity: true, History: 4, BlockCommon: true}
	passwords := func(f func(p *PasswordPolicy)) *finding {
		p := good
		f(&p)
		return judgePassword(&p, paramsOf("auth-policy"), noon)
	}
	sessions := func(attempts int, lock, idle time.Duration) *finding {
		return judgeSessions(&SessionPolicy{attempts, lock, idle}, paramsOf("session-policy"), noon)
	}
	certificate := func(left, age time.Duration) *finding {
		return judgeKeys([]Certificate{{"api", noon.Add(left)}}, []Key{{"seal", noon.Add(-age)}}, paramsOf("cert-key-age"), noon)
	}
	masked := func(rules int, leaks, phones int64) *finding {
		return judgeMasking(&masking{rules: rules, masked: []string{"email"}, sampled: 10_000, found: map[string]int64{"email": leaks, "phone_kr": phones}}, paramsOf("pii-masking"), noon)
	}
	wishes := func(own ...any) *finding {
		return judgeWishes([]wish{
			{ID: "1", Law: "GDPR", Kind: "access", Due: *ago(day), Closed: ago(2 * day)},
			{ID: "2", Law: "PIPA", Kind: "access", Due: *ago(3 * day), Closed: ago(2 * day)},
			{ID: "3", Law: "CCPA", Kind: "access", Due: *ago(day), Closed: ago(2 * day), AckBy: "2026-11-01", Acked: ago(days(10))},
		}, time.UTC, paramsOf("dsr-deadline", own...), noon)
	}
	for _, c := range []struct {
		name string
		f    *finding
		want compliance.Outcome
	}{
		{"retention whole", retention(kept{configured: 365, first: first, archived: *ago(days(365))}), compliance.Pass},
		{"retention short", retention(kept{configured: 364, first: first, archived: *first}), compliance.Fail},
		{"retention not searchable", retention(kept{configured: 365, first: first, archived: *first}, "hotDays", 366), compliance.Partly},
		{"retention unexplained", retention(kept{configured: 365, first: first, archived: *ago(days(300))}), compliance.Partly},
		{"retention empty archive", retention(kept{configured: 365, first: first}), compliance.Partly},
		{"retention young", retention(kept{configured: 365, first: ago(days(5)), archived: ago(days(5)).Truncate(day)}), compliance.Pass},
		{"retention early", retention(kept{configured: 365, first: first, archived: *first, early: ago(days(300))}), compliance.Partly},
		{"retention early long ago", retention(kept{configured: 365, first: first, archived: *first, early: ago(days(366))}), compliance.Pass},
		{"retention personal data", retention(kept{configured: 365, first: first, archived: *first, pii: []string{"db"}}, "piiMinDays", 730), compliance.Fail},
		{"retention no personal data", retention(kept{configured: 365, first: first, archived: *first}, "piiMinDays", 730), compliance.Pass},

		{"chain fresh", chain(24*time.Hour, 0), compliance.Pass},
		{"chain late", chain(25*time.Hour, 0), compliance.Partly},
		{"chain a week", chain(7*day, 0), compliance.Partly},
		{"chain too late", chain(7*day+time.Hour, 0), compliance.Fail},
		{"chain broken", chain(time.Hour, 5), compliance.Fail},

		{"rules 50", rules(50, 1), compliance.Pass},
		{"rules 49", rules(49, 0), compliance.Partly},
		{"rules 25", rules(25, 2), compliance.Partly},
		{"rules 24", rules(24, 0), compliance.Fail},
		{"rules failing", rules(50, 2), compliance.Partly},
		{"rules failing much", rules(50, 6), compliance.Fail},

		{"mtta p90", waiting(answered{"critical", 60, 9}, answered{"critical", 5000, 1}), compliance.Pass},
		{"mtta p50", waiting(answered{"critical", 60, 8}, answered{"critical", 61, 2}), compliance.Partly},
		{"mtta half unanswered", waiting(answered{"critical", 60, 5}), compliance.Partly},
		{"mtta more than half unanswered", waiting(answered{"critical", 60, 4}), compliance.Fail},
		{"backlog 5", old(5, 100), compliance.Pass},
		{"backlog 6", old(6, 100), compliance.Partly},
		{"backlog 20", old(20, 100), compliance.Partly},
		{"backlog 21", old(21, 100), compliance.Fail},
		{"backlog of the reference", judgeBacklog([]backlog{{Severity: "high", Older: 232_685}}, nil, paramsOf("alert-backlog"), noon), compliance.Fail},

		{"contained", contain(24*time.Hour, "kim"), compliance.Pass},
		{"contained by nobody", contain(24*time.Hour, ""), compliance.Partly},
		{"contained late", contain(25*time.Hour, "kim"), compliance.Partly},
		{"not contained", judgeContainment([]incidentRow{{ID: "1", Severity: "high", Assigned: "kim", Created: *ago(73 * time.Hour)}}, paramsOf("incident-mttr"), noon), compliance.Fail},
		{"still in time", judgeContainment([]incidentRow{{ID: "1", Severity: "high", Assigned: "kim", Created: *ago(72 * time.Hour)}}, paramsOf("incident-mttr"), noon), compliance.NoData},

		{"playbooks", practised(9, true), compliance.Pass},
		{"playbooks not all", practised(8, true), compliance.Partly},
		{"playbooks without exercise", practised(9, false), compliance.Partly},
		{"playbooks some", practised(6, false), compliance.Partly},
		{"playbooks few, exercise", practised(0, true), compliance.Partly},
		{"playbooks few", practised(5, false), compliance.Fail},

		{"channel", told(7*day, 10), compliance.Pass},
		{"channel failing", told(7*day, 11), compliance.Partly},
		{"channel old", told(8*day, 0), compliance.Partly},
		{"channel 30 d", told(30*day, 0), compliance.Partly},
		{"channel older", told(31*day, 0), compliance.Fail},
		{"silence", silent(false, 90*day), compliance.Pass},
		{"silence muted", silent(true, time.Hour), compliance.Partly},
		{"silence untold", silent(false, 91*day), compliance.Partly},
		{"silence of nobody", judgeSilence([]logsource.Source{{ID: "1", Name: "sshd", Muted: true}}, &deliveries{}, paramsOf("source-silence-alert"), noon), compliance.Fail},
		{"silence set too long", judgeSilence([]logsource.Source{{ID: "1", Name: "sshd", Limit: 2 * time.Hour, SilentAfter: 2 * time.Hour}}, &deliveries{}, paramsOf("source-silence-alert"), noon), compliance.Fail},

		{"feeds 24 h", feeds(24 * time.Hour), compliance.Pass},
		{"feeds 25 h", feeds(25 * time.Hour), compliance.Partly},
		{"feeds 7 d", feeds(7 * day), compliance.Partly},
		{"feeds older", feeds(7*day + time.Hour), compliance.Fail},
		{"feeds never read", judgeFeeds([]feed{{ID: "1", Name: "x", Created: noon}}, paramsOf("ti-freshness"), noon), compliance.Partly},
		{"domains", domains(7*day, 0), compliance.Pass},
		{"domains with findings", domains(day, 1), compliance.Partly},
		{"domains 30 d", domains(30*day, 0), compliance.Partly},
		{"domains older", domains(31*day, 0), compliance.Fail},
		{"domains never", judgeDomains([]domain{{ID: "1", Name: "shop.example"}}, paramsOf("exposure-scan"), noon), compliance.Fail},

		{"admins 1 of 10", team(1, 9), compliance.Pass},
		{"admins 2 of 10", team(2, 8), compliance.Partly},
		{"mfa admin without", judgeMFA(append(make([]user, 0), user{ID: "1", Role: identity.Admin}, user{ID: "2", Role: identity.Analyst, Strong: true}), paramsOf("mfa-all", "passRatio", 0.1), noon), compliance.Fail},
		{"keys", keys(0, 10), compliance.Pass},
		{"keys 1 of 10", keys(1, 9), compliance.Partly},
		{"keys 2 of 10", keys(2, 8), compliance.Fail},
		{"key too wide", judgeHygiene([]key{{ID: "1", Name: "k", Created: *ago(days(91)), Expires: new(noon.Add(day)), Used: ago(day), Scope: identity.ReadWrite}}, paramsOf("api-key-hygiene"), noon), compliance.Fail},
		{"dormant none", unused(0, 100), compliance.Pass},
		{"dormant 2", unused(2, 100), compliance.Partly},
		{"dormant 3", unused(3, 100), compliance.Fail},
		{"review", reviewedAt(180*day, 0), compliance.Pass},
		{"review overdue", reviewedAt(181*day, 0), compliance.Partly},
		{"review 8 of 10", reviewedAt(day, 2), compliance.Partly},
		{"review 7 of 10", reviewedAt(day, 3), compliance.Fail},
		{"review long overdue", reviewedAt(271*day, 0), compliance.Fail},
		{"leaver active", judgeLeavers([]leaver{{ID: "1", Left: *ago(5 * day), Disabled: ago(5 * day), SignIn: ago(day)}}, paramsOf("leaver-disabled"), noon), compliance.Fail},
		{"leaver in time", judgeLeavers([]leaver{{ID: "1", Left: *ago(5 * day), Disabled: ago(4 * day)}}, paramsOf("leaver-disabled"), noon), compliance.Pass},
		{"access", judgeAccess(&rights{refuses: true, users: []user{{ID: "1", Role: identity.Auditor}}}, paramsOf("audit-access-restricted"), noon), compliance.Pass},
		{"access by keys", judgeAccess(&rights{refuses: true, keys: []key{{ID: "1", Name: "k", Scope: identity.ReadOnly}}}, paramsOf("audit-access-restricted"), noon), compliance.Partly},
		{"access unguarded", judgeAccess(&rights{users: []user{{ID: "1", Role: identity.Auditor}}}, paramsOf("audit-access-restricted"), noon), compliance.Fail},

		{"load", at(60*time.Second, 20, true), compliance.Pass},
		{"load late", at(61*time.Second, 20, true), compliance.Partly},
		{"load 90 s", at(90*time.Second, 20, true), compliance.Partly},
		{"load 91 s", at(91*time.Second, 20, true), compliance.Fail},
		{"load full", at(time.Second, 10, true), compliance.Partly},
		{"load very full", at(time.Second, 9.9, true), compliance.Fail},
		{"load both", at(61*time.Second, 19, true), compliance.Fail},
		{"load without alarms", at(time.Second, 50, false), compliance.Fail},
		{"load lost", judgeLoad(&load{lost: 1, free: 50, alarms: true, canary: true}, paramsOf("capacity-health"), noon), compliance.Fail},

		{"deletion", deleted(7*day, days(365), 0), compliance.Pass},
		{"deletion late", deleted(8*day, days(365), 0), compliance.Partly},
		{"deletion too late", deleted(31*day, days(365), 0), compliance.Fail},
		{"deletion left over", deleted(time.Hour, days(370), 0), compliance.Partly},
		{"deletion held", deleted(time.Hour, days(370), 1), compliance.Partly},

		{"evidence changed", judgeChain(&audit.Check{At: noon, Entries: 3}, nil, &evidence.Health{At: noon, Records: 2, Flaws: 1, First: evidence.Flaw{Seq: 2, What: "its file was changed on disk"}}, paramsOf("audit-chain"), noon), compliance.Fail},
		{"evidence whole", judgeChain(&audit.Check{At: noon, Entries: 3}, nil, &evidence.Health{At: noon, Records: 2}, paramsOf("audit-chain"), noon), compliance.Pass},
		{"searches", judgeSearches([]taken{{"search.events", 90, 0}, {"export.create", 10, 0}}, false, paramsOf("pii-search-audit"), noon), compliance.Pass},
		{"exports explained", judgeSearches([]taken{{"search.events", 90, 0}, {"export.create", 10, 10}}, true, paramsOf("pii-search-audit"), noon), compliance.Pass},
		{"exports unexplained", judgeSearches([]taken{{"search.events", 98, 0}, {"export.create", 2, 0}}, true, paramsOf("pii-search-audit"), noon), compliance.Partly},
		{"more unexplained", judgeSearches([]taken{{"search.events", 97, 0}, {"export.create", 4, 1}}, true, paramsOf("pii-search-audit"), noon), compliance.Fail},
		{"backup", judgeBackup(*ago(24 * time.Hour), *ago(365 * day), time.Time{}, paramsOf("platform-backup"), noon), compliance.Pass},
		{"backup untested", judgeBackup(*ago(24 * time.Hour), *ago(366 * day), time.Time{}, paramsOf("platform-backup"), noon), compliance.Partly},
		{"backup failed since", judgeBackup(*ago(time.Hour), *ago(3 * day), *ago(2 * day), paramsOf("platform-backup"), noon), compliance.Partly},
		{"backup failed, never restored", judgeBackup(*ago(time.Hour), time.Time{}, *ago(2 * day), paramsOf("platform-backup"), noon), compliance.Partly},
		{"backup restored since", judgeBackup(*ago(time.Hour), *ago(day), *ago(2 * day), paramsOf("platform-backup"), noon), compliance.Pass},
		{"backup old", judgeBackup(*ago(25 * time.Hour), *ago(day), time.Time{}, paramsOf("platform-backup"), noon), compliance.Fail},
		{"stores", judgeStores([]Store{{Name: "db", Primary: true, Encrypted: true}}, noon), compliance.Pass},
		{"stores archive", judgeStores([]Store{{Name: "db", Primary: true, Encrypted: true}, {Name: "archive"}}, noon), compliance.Partly},
		{"stores primary", judgeStores([]Store{{Name: "db", Primary: true}, {Name: "archive", Encrypted: true}}, noon), compliance.Fail},
		{"certificates", certificate(14*day, 365*day), compliance.Pass},
		{"certificate ends", certificate(13*day, day), compliance.Fail},
		{"key old", certificate(30*day, 366*day), compliance.Fail},
		{"proxy", judgeTLS([]Listener{{Local: true, Behind: true}}, nil, paramsOf("tls-ingest"), noon), compliance.Pass},
		{"certificate expired", judgeTLS([]Listener{{TLS: "1.3", Expires: ago(time.Hour)}}, nil, paramsOf("tls-ingest"), noon), compliance.Fail},

		{"passwords", passwords(func(*PasswordPolicy) {}), compliance.Pass},
		{"passwords plain", passwords(func(p *PasswordPolicy) { p.Complexity = false }), compliance.Partly},
		{"passwords short", passwords(func(p *PasswordPolicy) { p.MinLength = 11 }), compliance.Fail},
		{"passwords again", passwords(func(p *PasswordPolicy) { p.History = 3 }), compliance.Fail},
		{"sessions", sessions(10, 30*time.Minute, 15*time.Minute), compliance.Pass},
		{"sessions two", sessions(10, 30*time.Minute, 16*time.Minute), compliance.Partly},
		{"sessions one", sessions(11, 30*time.Minute, 16*time.Minute), compliance.Fail},
		{"sessions unbounded", sessions(0, 30*time.Minute, 0), compliance.Fail},

		{"systems", systems(1, 0, 0), compliance.Pass},
		{"systems silent", systems(2, 0, 0), compliance.Partly},
		{"systems silent more", systems(5, 0, 0), compliance.Fail},
		{"systems one review late", systems(0, 1, 0), compliance.Partly},
		{"systems two reviews late", systems(0, 2, 0), compliance.Fail},
		{"systems unexplained", systems(0, 0, 1), compliance.Partly},
		{"masking", masked(1, 10, 0), compliance.Pass},
		{"masking leaks", masked(1, 11, 0), compliance.Partly},
		{"masking not all", masked(1, 0, 5), compliance.Partly},
		{"masking none", masked(0, 0, 5), compliance.Fail},
		{"masking nothing", masked(0, 0, 0), compliance.NoData},

		{"wishes of all", wishes(), compliance.Fail}, // two of three
		{"wishes of Korea", wishes("days", 10), compliance.Fail},
		{"wishes of California", wishes("days", 45), compliance.Pass},
		{"wishes confirmed late", wishes("days", 45, "ackBusinessDays", 10), compliance.Fail},
		{"wishes opting out", wishes("businessDays", 15), compliance.NoData},
		{"wishes overdue", judgeWishes([]wish{{ID: "1", Law: "GDPR", Due: *ago(time.Hour)}}, time.UTC, paramsOf("dsr-deadline"), noon), compliance.Fail},
		{"unknown old asset", judgeInventory(append(hosts(99, func(_ int, m *machine) { m.Owner = "ops" }), machine{ID: "x", Name: "x", Type: "unknown", First: *ago(days(8)), Last: noon}), paramsOf("asset-inventory"), noon), compliance.Partly},
		{"development", judgeVersions("devel-0123456789ab", nil, paramsOf("platform-patch"), noon), compliance.Fail},
		{"collector clock", judgeClocks([]logsource.Clock{{ID: "1", Samples: 64}}, []offset{{"1", "web", time.Second + 1}}, paramsOf("time-sync"), noon), compliance.Partly},
		{"collector clock in time", judgeClocks([]logsource.Clock{{ID: "1", Samples: 64}}, []offset{{"1", "web", -time.Second}}, paramsOf("time-sync"), noon), compliance.Pass},
	} {
		judged(t, c.name, c.f, c.want)
	}
}

func TestMonitored(t *testing.T) {
	p := paramsOf("network-mon")
	c := classes()["network"]
	firewall := func(n int, state func(*watcher)) (all []watcher) {
		for i := range n {
			w := watcher{ID: fmt.Sprint(i), Name: fmt.Sprint("rule ", i), looks: []logSource{{Category: "firewall"}}}
			state(&w)
			all = append(all, w)
		}
		return all
	}
	well := func(*watcher) {}
	connected := []classSource{{Source: "cisco_asa", Hosts: 2, First: *ago(25 * time.Hour), Last: noon}}
	for name, x := range map[string]struct {
		seen  seenClass
		rules []watcher
		want  compliance.Outcome
	}{
		"all":             {seenClass{connected: connected, counts: map[string]int64{"cisco_asa": 5}}, firewall(3, well), compliance.Pass},
		"too few rules":   {seenClass{connected: connected, counts: map[string]int64{"cisco_asa": 5}}, firewall(2, well), compliance.Partly},
		"blind rules":     {seenClass{connected: connected, counts: map[string]int64{"cisco_asa": 5}}, firewall(3, func(w *watcher) { w.Blind = "no events" }), compliance.Partly},
		"failing rules":   {seenClass{connected: connected, counts: map[string]int64{"cisco_asa": 5}}, firewall(3, func(w *watcher) { w.Failing = "x" }), compliance.Partly},
		"no events":       {seenClass{connected: connected}, firewall(3, well), compliance.Partly},
		"neither":         {seenClass{connected: connected}, firewall(2, well), compliance.Fail},
		"new":             {seenClass{connected: []classSource{{Source: "cisco_asa", Hosts: 1, First: noon}}}, firewall(2, well), compliance.NoData},
		"not connected":   {seenClass{}, firewall(3, well), absent},
		"unknown product": {seenClass{counts: map[string]int64{"newwall": 4}}, firewall(3, well), compliance.Pass},
		"others' rules":   {seenClass{connected: connected, counts: map[string]int64{"cisco_asa": 5}}, firewall(3, func(w *watcher) { w.looks = []logSource{{Product: "windows", Service: "security"}} }), compliance.Partly},
	} {
		judged(t, name, judgeMonitored(c, &x.seen, x.rules, p, noon), x.want)
	}
}

// What a rule looks at, and for some classes what it names of ATT&CK, binds it to a class.
func TestRulesAreBound(t *testing.T) {
	for _, c := range []struct {
		class, product, category, service, technique string
		want                                         bool
	}{
		{"authentication", "linux", "", "sshd", "", true},
		{"authentication", "windows", "", "security", "T1110", true},
		{"authentication", "windows", "", "security", "T1110.003", true},
		{"authentication", "windows", "", "security", "T1003", false},
		{"authentication", "windows", "process_creation", "", "T1003", false},
		{"endpoint", "windows", "process_creation", "", "", true},
		{"endpoint", "linux", "", "sshd", "T1110", false},
		{"cloud-audit", "aws", "", "cloudtrail", "", true},
		{"database", "", "database", "", "", true},
		{"backup", "windows", "process_creation", "", "T1490", true},
		{"backup", "windows", "process_creation", "", "T1059", false},
		{"physical-access", "", "physical", "", "", true},
		{"third-party-identity", "azure", "", "signinlogs", "T1078.004", true},
	} {
		w := watcher{looks: []logSource{{Product: c.product, Category: c.category, Service: c.service}}}
		if c.technique != "" {
			w.Techniques = []string{c.technique}
		}
		if got := classes()[c.class].watches(&w, nil); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	exfiltration := watcher{Tactics: []string{"exfiltration"}, looks: []logSource{{Product: "linux"}}}
	if !classes()["data-transfer"].watches(&exfiltration, nil) {
		t.Error("a rule of the tactic exfiltration watches data transfer")
	}
}

func TestTablesAreBounded(t *testing.T) {
	list := &table{}
	for i := range 1000 {
		list.add(fmt.Sprint(i), map[string]any{"id": i})
	}
	whole, err := list.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if list.count != 1000 || len(list.rows) != maxRows || !strings.Contains(string(whole), `"cut":true`) || !strings.Contains(string(whole), `"count":1000`) {
		t.Errorf("%.200s", whole)
	}
	other := &table{}
	for i := range 999 {
		other.add(fmt.Sprint(i), nil)
	}
	other.add("1000", nil) // a row that is not shown differs
	some, err := other.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) string { _, s, _ := strings.Cut(string(b), `"idsSha256":"`); return s[:64] }
	if sum(whole) == sum(some) {
		t.Error("the hash is not of all rows")
	}
}

func TestPercentNeverFlatters(t *testing.T) {
	for v, want := range map[float64]string{0.949999: "94.99 %", 0.95: "95 %", 1: "100 %", 0.99999: "99.99 %", 0: "0 %", 24.0 / 31: "77.41 %", 0.29: "29 %"} {
		if got := percent(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
