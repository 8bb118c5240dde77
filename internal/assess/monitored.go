package assess

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// seenClass is what is known of a class of sources.
type seenClass struct {
	connected []classSource
	counts    map[string]int64 // events by source, within the period that was looked at
	from      time.Time        // of that period
	accounts  []classAccount
}

// A classSource is a log source that can speak of the class.
type classSource struct {
	Source string    `json:"source"`
	Hosts  int       `json:"hosts"`
	First  time.Time `json:"firstSeen"`
	Last   time.Time `json:"lastSeen"`
	Silent int       `json:"silent"` // hosts that have fallen silent
}

// A classAccount is an identity of the class.
type classAccount struct {
	Account string    `json:"account"`
	Last    time.Time `json:"lastSeen"`
}

func (s *seenClass) events() (n int64) {
	for _, c := range s.counts {
		n += c
	}
	return n
}

// monitored tells whether a class of sources is connected, sends, and is watched by rules.
func monitored(ctx context.Context, q *inquiry) (*finding, error) {
	name := q.p.String("sourceClass")
	c := classes()[name]
	if c == nil {
		return missing("", "There is no class of sources %q: correct the parameter sourceClass.", name), nil
	}
	if q.Events == nil || q.Logs == nil {
		return missing(classPopulation(name), "This server does not see log sources."), nil
	}
	window := q.p.Hours("windowHours")
	seen, err := q.seenOf(ctx, c, window)
	if err != nil {
		return nil, err
	}
	rules, err := q.activeRules(ctx)
	if err != nil {
		return nil, err
	}
	return judgeMonitored(c, &seen, rules, q.p, q.now), nil
}

func classPopulation(name string) string {
	return "log sources (product and host) that can speak of " + strings.ReplaceAll(name, "-", " ") + ", and what they sent in the window"
}

func judgeMonitored(c *class, seen *seenClass, rules []watcher, p compliance.Params, now time.Time) *finding {
	window := p.Hours("windowHours")
	f := &finding{population: classPopulation(c.Name), from: now.Add(-window), to: now, resources: []string{"log sources", "events", "rules"}}
	var bound, healthy []string
	watching := &table{}
	for i := range rules {
		w := &rules[i]
		if !c.watches(w, p.Strings("techniques")) {
			continue
		}
		bound = append(bound, w.Name)
		state := "healthy"
		switch {
		case w.Failing != "":
			state = "fails: " + text(w.Failing)
		case w.Blind != "":
			state = "blind: " + text(w.Blind)
		default:
			healthy = append(healthy, w.Name)
		}
		watching.add(w.ID, map[string]any{"id": w.ID, "name": text(w.Name), "techniques": w.Techniques, "state": state})
	}
	events := seen.events()
	hosts := int64(0)
	sources := []string{}
	for _, s := range seen.connected {
		hosts += int64(s.Hosts)
		sources = append(sources, s.Source)
	}
	f.facts = map[string]any{
		"class": c.Name, "sources": seen.connected, "events": seen.counts, "eventsSince": seen.from, "eventTotal": events,
		"rules": watching, "healthyRules": len(healthy), "accounts": seen.accounts[:min(len(seen.accounts), maxRows)],
	}
	f.size = max(hosts+int64(len(seen.accounts)), int64(len(seen.counts)))
	minimum := p.Int("minRules")
	f.value, f.unit = new(float64(len(healthy))), "rules"
	f.threshold = fmt.Sprintf("source connected AND events within %s AND healthy active rules >= %d", span(window), minimum)
	what := strings.ReplaceAll(c.Name, "-", " ")
	if f.size == 0 {
		f.absent = true
		f.reason = say("No log source of the class %s is connected: send its logs to KYRA, for example of %s.", say(what), few(c.examples()))
		if len(c.Accounts) > 0 {
			f.reason = say("No account of the class %s is known: give such identities the tag %s, and connect what they sign in to.", say(what), c.Accounts[0])
		}
		return f
	}
	sends := events > 0 || slices.ContainsFunc(seen.accounts, func(a classAccount) bool { return !a.Last.Before(now.Add(-window)) })
	watched := len(healthy) >= minimum
	if !sends && len(seen.connected) > 0 && !slices.ContainsFunc(seen.connected, func(s classSource) bool { return s.First.Before(now.Add(-window)) }) {
		return f.nothing("%s: connected for less than %s, and no event of the class yet; wait until that time has passed.", few(sources), span(window))
	}
	switch {
	case sends && watched:
		f.outcome = compliance.Pass
	case sends || watched:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	of := few(sources)
	if of.None() {
		of = few(slices.Sorted(maps.Keys(seen.counts)))
	}
	if of.None() {
		of = plural(int64(len(seen.accounts)), "account", "accounts")
	}
	found := say("%s: %s since %s", of, plural(events, "event of the class", "events of the class"), seen.from.UTC().Format("2006-01-02 15:04 MST"))
	if !sends {
		found = say("%s: connected, and no event of the class within %s", of, span(window))
	}
	found = found.And(say("; %d of %s that watch it can see and run, %d needed", len(healthy), plural(int64(len(bound)), "rule", "rules"), minimum))
	var remedy []phrase
	if !sends {
		remedy = append(remedy, say("look whether the source still logs what the class asks for"))
	}
	if !watched {
		switch {
		case len(bound) == 0:
			remedy = append(remedy, say("switch on or import rules that look at such events"))
		default:
			remedy = append(remedy, say("mend the rules that fail or are blind, or switch on others"))
		}
	}
	return f.remedied(found, joined(", and ", remedy))
}

// examples are names of sources without patterns.
func (c *class) examples() []string {
	var out []string
	for _, s := range c.Sources {
		if s = strings.Trim(s, "*_"); s != "" && len(out) < 5 {
			out = append(out, s)
		}
	}
	return out
}

// seenOf finds out what is known of a class.
func (q *inquiry) seenOf(ctx context.Context, c *class, window time.Duration) (seenClass, error) {
	if q.classes == nil {
		q.classes = map[string]*fact[seenClass]{}
	}
	key := c.Name + "/" + window.String()
	if q.classes[key] == nil {
		q.classes[key] = &fact[seenClass]{}
	}
	return q.classes[key].get(ctx, q, func(ctx context.Context, q *inquiry) (seenClass, error) {
		s := seenClass{counts: map[string]int64{}}
		sources, err := q.logSources(ctx)
		if err != nil {
			return s, err
		}
		for i := range sources {
			x := &sources[i]
			if !c.speaks(x.Name) {
				continue
			}
			at := slices.IndexFunc(s.connected, func(k classSource) bool { return k.Source == x.Name })
			if at < 0 {
				at = len(s.connected)
				s.connected = append(s.connected, classSource{Source: x.Name})
			}
			k := &s.connected[at]
			k.Hosts++
			if k.First.IsZero() || x.First.Before(k.First) {
				k.First = x.First
			}
			if x.Last.After(k.Last) {
				k.Last = x.Last
			}
			if x.Status == "silent" {
				k.Silent++
			}
		}
		if len(c.Accounts) > 0 {
			if s.accounts, err = q.taggedAccounts(ctx, c.Accounts); err != nil {
				return s, err
			}
		}
		return s, q.count(ctx, c, &s, window)
	})
}

// count counts the events of the class: those of sources that send nothing else in the
// ledger, others in the event store. There it begins with the newest hour and goes back
// no further than to the first events: whether there are any is the question.
func (q *inquiry) count(ctx context.Context, c *class, s *seenClass, window time.Duration) error {
	s.from = q.now.Add(-window)
	if c.Whole && len(s.connected) > 0 {
		led, err := q.ledger.get(ctx, q, loadLedger)
		if err != nil {
			return err
		}
		for _, k := range s.connected {
			if n := led.since(k.Source, s.from); n > 0 {
				s.counts[k.Source] = n
			}
		}
		if len(s.counts) > 0 {
			return nil
		}
	}
	spans := []time.Duration{time.Hour, 24 * time.Hour, window}
	if len(s.connected) == 0 && len(s.accounts) == 0 {
		spans = spans[:1] // nothing that is known sends such events: what no table names shows at once
	}
	for _, back := range spans {
		back = min(back, window)
		s.from = q.now.Add(-back)
		counts, err := q.bySource(ctx, c.Events, s.from, q.now.Add(time.Minute))
		if err != nil {
			return err
		}
		if s.counts = counts; len(counts) > 0 || back == window {
			return nil
		}
	}
	return nil
}

// taggedAccounts returns the identities that have one of the tags.
func (q *inquiry) taggedAccounts(ctx context.Context, tags []string) ([]classAccount, error) {
	type row struct {
		word, tags string
		last       time.Time
	}
	rows, err := rowsOf(ctx, q, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.word, &r.tags, sqldb.Micros(&r.last)) },
		`SELECT word, tags, last_at FROM principal WHERE tenant = $1 AND tags <> '[]' ORDER BY word`, q.tenant)
	if err != nil {
		return nil, err
	}
	var out []classAccount
	for _, r := range rows {
		var has []string
		if json.Unmarshal([]byte(r.tags), &has) == nil && slices.ContainsFunc(has, func(t string) bool { return slices.Contains(tags, strings.ToLower(t)) }) {
			out = append(out, classAccount{text(r.word), r.last})
		}
	}
	return out, nil
}
