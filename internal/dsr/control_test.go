package dsr

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// alert makes one about a user, and an incident with it.
func (o *office) alert(number uint32, user string) (alertID, incidentID string) {
	o.t.Helper()
	alerts := alert.New(o.DB)
	o.seq++
	f := alert.Finding{
		Tenant: number, Rule: alert.RuleRef{ID: "brute-force", Name: "Brute force", Author: "KYRA", Version: 1}, Title: "Brute force against " + user, Severity: "high", Source: "sshd",
		Description: "{count} failures of {user.name}", Values: map[string][]string{"user.name": {user}}, Key: "user.name=" + user,
		Entities: []alert.Entity{{Type: "user", Field: "user.name", Value: user}, {Type: "ip", Field: "src_ip", Value: "203.0.113.9"}},
		First:    o.now.UnixNano(), Last: o.now.UnixNano(), Count: 5, Events: []event.ID{{Partition: 1, Seq: o.seq}},
	}
	var out []alert.Outcome
	err := o.DB.Tx(o.t.Context(), func(tx *sqldb.DB) (err error) {
		out, err = alerts.Record(o.t.Context(), tx, o.now, []alert.Finding{f})
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	d, err := o.incidents().Escalate(o.t.Context(), number, "key:a", out[0].Alert.ID)
	if err != nil {
		o.t.Fatal(err)
	}
	return out[0].Alert.ID, d.ID
}

func (o *office) incidents() *incident.Service {
	return incident.New(o.DB, alert.New(o.DB), incident.SLA{})
}

func (o *office) exec(query string) {
	o.t.Helper()
	if _, err := sqldb.Exec(o.t.Context(), o.DB, query); err != nil {
		o.t.Fatal(err)
	}
}

func TestControlData(t *testing.T) {
	each(t, func(o *office) {
		ctx := o.t.Context()
		mine, incidentID := o.alert(1, "AKim")
		other, _ := o.alert(1, "bob")
		foreign, _ := o.alert(2, "akim")
		for _, text := range []string{"akim says that it was not her. Asked anna@example.com, not mary-anna@example.com.", "nothing of note"} {
			if _, err := o.incidents().Comment(ctx, 1, "key:a", incidentID, text); err != nil {
				o.t.Fatal(err)
			}
		}
		o.exec(`INSERT INTO principal (tenant, id, word, name, domain, uid, type, evidence, first_at, last_at) VALUES (1, 'p1', 'akim', 'akim', '', '', 'user', 0, 1, 1), (1, 'p2', 'bob', 'bob', '', '', 'user', 0, 1, 1), (2, 'p1', 'akim', 'akim', '', '', 'user', 0, 1, 1)`)
		o.exec(`INSERT INTO principal_trait (tenant, principal, kind, value, first_at, last_at, times) VALUES (1, 'p1', 'address', '203.0.113.9', 1, 1, 1), (1, 'p2', 'address', '203.0.113.9', 1, 1, 1)`)
		o.exec(`INSERT INTO intel_sighting (tenant, type, value, day, field, entity, alert_id, first_at, last_at, events, event_id) VALUES (1, 'ipv4', '192.0.2.1', 1, 'f', 'akim', '', 1, 1, 1, 'e1'), (1, 'ipv4', '192.0.2.1', 1, 'f', 'AKIM', '', 1, 1, 1, 'e2')`)
		o.exec(`INSERT INTO job (id, tenant, kind, subject, actor, state, params, run_at, created_at, ended_at) VALUES ('j1', 1, 'k', '', 'a', 'DONE', '{"query":"to anna@example.com"}', 1, 1, 1), ('j2', 1, 'k', '', 'a', 'QUEUED', '{"query":"anna@example.com"}', 1, 1, NULL)`)

		d := o.request(Erasure)
		got, err := o.Search(ctx, o.task("key:a", d.ID))
		if err != nil {
			o.t.Fatal(err)
		}
		f, _ := got.(*Findings)
		for place, want := range map[string]int64{"alerts": 1, "incidents": 1, "identities": 1, "sightings": 2, "jobs": 1, "assets": 0} {
			if f.Control[place] != want {
				o.t.Errorf("%d of %s name the person, want %d", f.Control[place], place, want)
			}
		}
		if len(f.Places) != len(Places) || !slices.ContainsFunc(f.Mentions, func(m Mention) bool { return m.Place == "alerts" && m.ID == mine }) {
			o.t.Errorf("found %+v", f)
		}
		if text := o.packed(d.ID); !strings.Contains(text, "akim says that it was not her") || strings.Contains(text, "nothing of note") {
			o.t.Errorf("the package says %s", text)
		}

		if _, err := o.Patch(ctx, 1, "key:a", d.ID, Patch{Approve: true}); err != nil {
			o.t.Fatal(err)
		}
		for range 2 { // repeating it is harmless
			if _, err = o.Erase(ctx, o.task("key:b", d.ID)); err != nil {
				o.t.Fatal(err)
			}
			d, err = o.Get(ctx, 1, d.ID)
			if err != nil {
				o.t.Fatal(err)
			}
		}
		first := map[string]PlaceErased{}
		for _, p := range d.Erasures[0].Places {
			first[p.Place] = p
		}
		for _, x := range []struct {
			place                     string
			erased, changed, remained int64
		}{{"alerts", 0, 3, 0}, {"incidents", 0, 1, 0}, {"identities", 2, 0, 0}, {"sightings", 1, 1, 0}, {"jobs", 0, 1, 0}} {
			if p := first[x.place]; p.Erased != x.erased || p.Pseudonymised != x.changed && x.place != "alerts" && x.place != "incidents" || p.Pseudonymised < x.changed || p.Remaining != x.remained {
				o.t.Errorf("%s: %+v", x.place, p)
			}
		}
		if len(d.Erasures) != 2 || slices.ContainsFunc(d.Erasures[1].Places, func(p PlaceErased) bool { return p.Erased+p.Pseudonymised > 0 }) {
			o.t.Errorf("erasing again changed something: %+v", d.Erasures[1].Places)
		}

		alias := o.pseudonym(1, "akim")
		a, err := alert.New(o.DB).Get(ctx, 1, mine)
		if err != nil || a.Title != "Brute force against "+alias || a.Description != "5 failures of "+alias || a.Entities[0].Value != alias || a.Entities[1].Value != "203.0.113.9" {
			o.t.Errorf("the alert says %+v %v", a, err)
		}
		if a.Version < 2 {
			o.t.Error("the alert's version did not rise")
		}
		for word, want := range map[string]uint64{"akim": 0, alias: 1, "brute": 2} {
			p, err := alert.New(o.DB).List(ctx, 1, alert.Query{Filter: alert.Filter{Search: word}})
			if err != nil || uint64(p.Total) != want {
				o.t.Errorf("search for %s finds %+v %v, want %d", word, p, err, want)
			}
		}
		comments, _, err := o.incidents().Comments(ctx, 1, incidentID, 0, 10)
		if err != nil {
			o.t.Fatal(err)
		}
		want := alias + " says that it was not her. Asked " + o.pseudonym(1, "anna@example.com") + ", not mary-anna@example.com."
		if !slices.ContainsFunc(comments, func(c incident.Comment) bool { return c.Content == want }) {
			o.t.Errorf("comments are %+v, want %s", comments, want)
		}
		for number, id := range map[uint32]string{1: other, 2: foreign} {
			if a, err := alert.New(o.DB).Get(ctx, number, id); err != nil || strings.Contains(a.Title, "person_") || a.Version != 1 {
				o.t.Errorf("tenant %d: %+v %v", number, a, err)
			}
		}
		if n := o.rows(`SELECT count(*) FROM principal`); n != 2 {
			o.t.Errorf("%d principals are left, want 2", n)
		}
		if n := o.rows(`SELECT count(*) FROM alert_word WHERE word LIKE '%akim%' AND tenant = 1`); n != 0 {
			o.t.Error("the words of alerts still name the person")
		}
	})
}

func (o *office) rows(query string) int64 {
	o.t.Helper()
	n, err := sqldb.One(o.t.Context(), o.DB, sqldb.Value[int64], query)
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// packed returns control.ndjson of a new package.
func (o *office) packed(id string) string {
	o.t.Helper()
	got, err := o.Pack(o.t.Context(), o.task("key:a", id))
	if err != nil {
		o.t.Fatal(err)
	}
	p, _ := got.(*Package)
	r, err := o.Vault.Get(1, vault.Ref{SHA256: p.SHA256, Size: p.Size})
	if err != nil {
		o.t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		o.t.Fatal(err)
	}
	_ = r.Close() // read to its end
	z, err := zip.NewReader(bytes.NewReader(all), int64(len(all)))
	if err != nil {
		o.t.Fatal(err)
	}
	f, err := z.Open("control.ndjson")
	if err != nil {
		o.t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(text)
}

func TestHoldKeepsControlData(t *testing.T) {
	each(t, func(o *office) {
		o.alert(1, "akim")
		d := o.request(Erasure)
		if _, err := o.Patch(o.t.Context(), 1, "key:a", d.ID, Patch{Approve: true}); err != nil {
			o.t.Fatal(err)
		}
		if _, err := o.AddHold(o.t.Context(), 1, "key:a", Hold{Name: "case 7", Reason: "court", Owner: "legal", Identifiers: []Identifier{{Type: "user", Value: "AKIM"}}}); err != nil {
			o.t.Fatal(err)
		}
		if _, err := o.Erase(o.t.Context(), o.task("key:b", d.ID)); err == nil || !strings.Contains(err.Error(), "case 7") {
			o.t.Errorf("control data that is held was changed: %v", err)
		}
	})
}

func TestMatcher(t *testing.T) {
	m := newMatcher([]Identifier{{Type: "user", Value: "akim"}, {Type: "email", Value: "akim@example.com", Words: true}, {Type: "ip", Value: "10.0.0.1", Words: true}, {Type: "other", Value: "김철수", Words: true}},
		func(v string) string { return "<" + strconv.Itoa(len(v)) + ">" })
	for _, x := range []struct {
		in, words, all string
	}{
		{"akim", "akim", "<4>"},
		{"AKim, akimbo, akim_2 and akim-2", "AKim, akimbo, akim_2 and akim-2", "<4>, akimbo, akim_2 and <4>-2"},
		{`CORP\akim`, `CORP\akim`, `CORP\<4>`},
		{"to Akim@Example.com.", "to <16>.", "to <16>."},
		{"b-akim@example.com akim@example.com.kr", "b-akim@example.com akim@example.com.kr", "b-<4>@example.com <4>@example.com.kr"},
		{"10.0.0.1:22 110.0.0.1 10.0.0.12 10.0.0.1.5", "<8>:22 110.0.0.1 10.0.0.12 10.0.0.1.5", "<8>:22 110.0.0.1 10.0.0.12 10.0.0.1.5"},
		{"김철수 씨", "<9> 씨", "<9> 씨"},
		{"\xffakim\xff", "\xffakim\xff", "\xff<4>\xff"},
	} {
		if got := m.text(x.in, false); got != x.words {
			t.Errorf("%q by words: %q, want %q", x.in, got, x.words)
		}
		if got := m.text(x.in, true); got != x.all {
			t.Errorf("%q by all: %q, want %q", x.in, got, x.all)
		}
	}
	if out, named := m.document(`{"akim":["AKIM","an akim",3.10,{"x":"10.0.0.1"}]}`, false); !named || out != `{"akim":["\u003c4\u003e","an akim",3.10,{"x":"\u003c8\u003e"}]}` {
		t.Errorf("%v %s", named, out)
	}
	if m.likes() != nil {
		t.Error("a pattern is trusted with what databases fold in their own ways")
	}
	if got := newMatcher([]Identifier{{Value: `CORP\a.kim`}}, func(string) string { return "person_0123456789abcdef" }).likes(); !slices.Equal(got, []string{"%0123456789abcdef%", "%a.kim%"}) {
		t.Errorf("patterns %q", got)
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add("akim", "a text of AKim, and akim@x")
	f.Add("a.b@c.d", `{"x":["a.b@c.d"]}`)
	f.Fuzz(func(t *testing.T, value, s string) {
		list, err := cleanIdentifiers([]Identifier{{Type: "other", Value: value}})
		if err != nil {
			return
		}
		m := newMatcher(list, func(string) string { return "person_0123456789abcdef" })
		out := m.text(s, true)
		if again := m.text(out, true); again != out {
			t.Errorf("%q in %q: %q, then %q", value, s, out, again)
		}
		doc, _ := m.document(s, true)
		if json.Valid([]byte(s)) != json.Valid([]byte(doc)) && json.Valid([]byte(s)) {
			t.Errorf("%q is no JSON any more: %q", s, doc)
		}
	})
}

// elsewhere are the tables that hold no text about people besides ids and actors, who
// stay: who worked on a case is part of its record.
var elsewhere = regexp.MustCompile(`^(alert_answer|assess_turn|retention_run|account_(challenge|link|member|passkey|password_old|policy|recovery|try)|sso_.*|scim_(group|group_member|setting)|compliance_(outcome|status|day|settings|state)|evidence_(check|control|head)|goose_.*|sqlite_.*|tenant.*|api_key|api_once|ingest_token|alert_(day|hour|rule|rule_day|total|head|event|rate|storm|text|word|words.*)|incident_(total|setting)|asset_head|audit_(head|check|seal)|canary_run|checkpoint|event_day|resend_.*|collector_total|source_.*|sight_.*|quarantine_.*|masking_(count|tenant)|fleet_.*|log_source_(generation|watch)|intel_(feed|generation|retro_event|setting)|risk_(day|hour|due|raised|settings)|rule_(cost|generation|import|match|override|seen|staged|staged_day|status)|principal_setting|notice_(mark|reader|seq)|outbox_turn|connector_(health|minute)|playbook|playbook_secret|dsr_.*)$`)

// TestEveryTableIsKnown fails where a new table is in no place: a person could be in it.
func TestEveryTableIsKnown(t *testing.T) {
	each(t, func(o *office) {
		query := `SELECT name FROM sqlite_master WHERE type = 'table'`
		if o.DB.Dialect() == sqldb.Postgres {
			query = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
		}
		names, err := sqldb.All(o.t.Context(), o.DB, sqldb.Value[string], query)
		if err != nil {
			o.t.Fatal(err)
		}
		var unknown []string
		for _, name := range names {
			if !elsewhere.MatchString(name) && !slices.ContainsFunc(Places, func(p Place) bool {
				return slices.ContainsFunc(p.Tables, func(t Table) bool { return t.Name == name })
			}) {
				unknown = append(unknown, name)
			}
		}
		slices.Sort(unknown)
		if len(unknown) > 0 {
			o.t.Errorf("put these tables into Places, or into elsewhere where they cannot name a person: %v", unknown)
		}
	})
}

// TestPlacesFitTheTables runs the SQL of every place, whether it finds anything or not.
func TestPlacesFitTheTables(t *testing.T) {
	each(t, func(o *office) {
		for _, v := range []string{"anna.kim@example.com", "김철수"} { // with patterns, and without
			l, err := o.look(context.WithoutCancel(o.t.Context()), 1, []Identifier{{Type: "other", Value: v, Words: true}})
			if err != nil {
				o.t.Fatal(err)
			}
			for i := range Places {
				if n, err := l.count(o.t.Context(), &Places[i], nil); err != nil || n != 0 {
					o.t.Errorf("%s: %d %v", Places[i].Name, n, err)
				}
				for _, table := range Places[i].Tables {
					j := judged{row: row{at: time.Now().UnixMicro()}}
					for _, c := range table.Columns {
						if c.own() {
							j.columns, j.values = append(j.columns, c.Name), append(j.values, "x")
						}
					}
					for range strings.SplitSeq(table.Key, ",") {
						j.key = append(j.key, "0")
					}
					if table.Hidden || len(j.columns) == 0 || Places[i].Treatment == Kept {
						continue
					}
					table.after = nil
					err := o.DB.Tx(o.t.Context(), func(tx *sqldb.DB) error {
						_, err := l.change(o.t.Context(), tx, &table, &j)
						return err
					})
					if err != nil && (table.Unique == "" || !errors.Is(err, fault.NotFound)) {
						o.t.Errorf("%s: %v", table.Name, err)
					}
				}
			}
		}
	})
}
