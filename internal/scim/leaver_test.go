package scim

import (
	"errors"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

func (b *bench) made(name string) string {
	b.t.Helper()
	return b.do("POST", "/Users", `{"userName": "`+name+`"}`).want(201).text("id")
}

// key makes an API key of somebody's and returns how it is tried.
func (b *bench) key(email string) (works func() bool) { return b.keyOf(b.a, email) }

func (b *bench) keyOf(number uint32, email string) (works func() bool) {
	b.t.Helper()
	_, key, err := b.keys.Create(b.t.Context(), number, account.Actor(email), identity.Draft{Name: "of " + email, Scope: identity.ReadOnly})
	if err != nil {
		b.t.Fatal(err)
	}
	return func() bool {
		_, err := b.keys.Authenticate(b.t.Context(), key, netip.Addr{})
		if err != nil && !errors.Is(err, fault.Unauthenticated) {
			b.t.Fatal(err)
		}
		return err == nil
	}
}

const off = `{"Operations": [{"op": "replace", "value": {"active": false}}]}`

// A leaver's API keys end, whatever their address was when they made them.
func TestLeaversKeysEnd(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		tenants := tenant.New(b.db)
		of, err := tenants.ByNumber(t.Context(), b.a)
		if err != nil {
			t.Fatal(err)
		}
		demo, err := tenants.CreateDemo(t.Context(), "test", of)
		if err != nil {
			t.Fatal(err)
		}
		hana := b.made("hana@example.com")
		works := b.key("hana@example.com")
		inDemo, otherInDemo := b.keyOf(demo.Number, "hana@example.com"), b.keyOf(demo.Number, "boss@example.com")
		other := b.key("boss@example.com")
		b.do("PATCH", "/Users/"+hana, `{"Operations": [{"op": "replace", "value": {"userName": "hana.kim@example.com"}}]}`).want(200)
		if p := b.person(b.a, hana); p.Email != "hana.kim@example.com" || !works() {
			t.Fatalf("%+v", p)
		}
		b.do("PATCH", "/Users/"+hana, off).want(200)
		if works() || !other() {
			t.Errorf("theirs works: %t, another's: %t", works(), other())
		}
		if inDemo() || !otherInDemo() {
			t.Errorf("theirs works in the demo data: %t, another's: %t", inDemo(), otherInDemo())
		}

		// Whom an Admin has switched off by hand, the keys of whom stay.
		jun := b.made("jun@example.com")
		works = b.key("jun@example.com")
		if _, err := b.accounts.Change(t.Context(), b.a, "test", jun, account.Patch{Status: new(account.Disabled)}); err != nil {
			t.Fatal(err)
		}
		if !works() {
			t.Fatal("ended by hand already")
		}
		b.do("DELETE", "/Users/"+jun, "").want(204)
		if works() {
			t.Error("the key of a leaver works on")
		}
	})
}

// Names are no reason not to switch somebody off.
func TestANameNeverStopsASwitchOff(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		if _, err := b.accounts.Add(t.Context(), "test", b.b, account.Draft{Email: "taken@example.com", Name: "Other", Role: identity.Viewer}); err != nil {
			t.Fatal(err)
		}
		b.made("listed@example.com")
		for i, name := range []string{"taken@example.com", "listed@example.com", "no address"} {
			email := string(rune('a'+i)) + "@example.com"
			id := b.made(email)
			works := b.key(email)
			b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "replace", "value": {"active": false, "userName": "`+name+`"}}]}`).want(200).is(false, "active")
			if p := b.person(b.a, id); p.Status != account.Disabled || p.Email != email || works() {
				t.Errorf("%s: %+v, key works: %t", name, p, works())
			}
		}
		// Of somebody who stays the address is left as it is, and the rest changes.
		id := b.made("stays@example.com")
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "replace", "value": {"userName": "stays", "emails": [{"value": "taken@example.com"}], "displayName": "New Name"}}]}`).want(200).is("taken@example.com", "emails", 0, "value")
		if p := b.person(b.a, id); p.Email != "stays@example.com" || p.Name != "New Name" || p.Status != account.Active {
			t.Errorf("%+v", p)
		}
		// An invitation of another tenant's keeps nobody's name as it is.
		if _, _, err := b.accounts.Invite(t.Context(), b.b, "test", account.Draft{Email: "stays@example.com", Name: "x", Role: identity.Viewer}); err != nil {
			t.Fatal(err)
		}
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "replace", "value": {"emails": [{"value": "went@example.com"}]}}]}`).want(200)
		if p := b.person(b.a, id); p.Email != "went@example.com" {
			t.Errorf("%+v", p)
		}
	})
}

// Somebody is switched on and put into the group that lets them in, in two changes at once:
// each sees what was before the other, and alone would leave them off.
func TestChangesAtOnce(t *testing.T) {
	b := newBench(t, sqldbtest.Postgres(t))
	ctx := t.Context()
	if err := b.accounts.SetProvisioning(ctx, b.a, "test", "", []account.Mapping{{Value: "soc", Role: identity.Analyst}}); err != nil {
		t.Fatal(err)
	}
	id := b.made("hana@example.com")
	b.do("PATCH", "/Users/"+id, off).want(200)
	gid := b.do("POST", "/Groups", `{"displayName": "soc"}`).want(201).text("id")
	var ready, done sync.WaitGroup
	ready.Add(2)
	both := func() func() { // have begun to read
		var first sync.Once
		return func() { first.Do(func() { ready.Done(); ready.Wait() }) }
	}
	on, in := both(), both()
	done.Go(func() {
		if _, err := b.accounts.Reprovision(ctx, b.a, id, func(l *account.Listed) error { on(); l.Active = true; return nil }); err != nil {
			t.Error(err)
		}
	})
	done.Go(func() {
		if err := b.accounts.ChangeGroup(ctx, b.a, gid, func(g *account.Group) error { in(); g.Members = []account.Ref{{ID: id}}; return nil }); err != nil {
			t.Error(err)
		}
	})
	done.Wait()
	b.do("GET", "/Users/"+id, "").want(200).is(true, "active").is("soc", "groups", 0, "display")
	if p := b.person(b.a, id); p.Status != account.Active {
		t.Errorf("%s", p.Status)
	}
}

// Whom an Admin switches off by hand stays off until the directory has taken them out and
// lets them in again, or an Admin does.
func TestSwitchedOffByHand(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		roles := []account.Mapping{{Value: "soc", Role: identity.Analyst}}
		set := func(otherwise identity.Role) {
			t.Helper()
			if err := b.accounts.SetProvisioning(ctx, b.a, "test", otherwise, roles); err != nil {
				t.Fatal(err)
			}
		}
		by := func(id string, status account.Status) {
			t.Helper()
			if _, err := b.accounts.Change(ctx, b.a, "test", id, account.Patch{Status: &status}); err != nil {
				t.Fatal(err)
			}
		}
		is := func(what, id string, want account.Status) {
			t.Helper()
			if p := b.person(b.a, id); p.Status != want {
				t.Errorf("%s: %s, want %s", what, p.Status, want)
			}
		}
		says := func(id, word string) {
			b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "replace", "value": `+word+`}]}`).want(200)
		}
		const on = `{"active": true}`

		set(identity.Viewer)
		hana := b.made("hana@example.com")
		by(hana, account.Disabled)
		works := b.key("hana@example.com")
		says(hana, `{"displayName": "Hana Lee"}`)
		is("another name", hana, account.Disabled)
		says(hana, on)
		is("what it said before", hana, account.Disabled)
		gid := b.do("POST", "/Groups", `{"displayName": "soc", "members": [{"value": "`+hana+`"}]}`).want(201).text("id")
		is("another role", hana, account.Disabled)
		if p := b.person(b.a, hana); p.Role != identity.Analyst || p.Name != "Hana Lee" || !works() {
			t.Errorf("what else it says counts: %+v, key works: %t", p, works())
		}
		set(identity.Viewer)
		is("the mapping set anew", hana, account.Disabled)
		b.do("PATCH", "/Users/"+hana, off).want(200)
		is("off by both", hana, account.Disabled)
		says(hana, on)
		is("off and on", hana, account.Active)
		by(hana, account.Disabled)
		by(hana, account.Active)
		says(hana, `{"displayName": "Hana Kim"}`)
		is("an Admin", hana, account.Active)

		// Where a group alone lets in, leaving and joining it is the same word.
		set("")
		is("in the group", hana, account.Active)
		by(hana, account.Disabled)
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "replace", "value": {"displayName": "SOC"}}]}`).want(204)
		is("the group's name", hana, account.Disabled)
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "remove", "path": "members[value eq \"`+hana+`\"]"}]}`).want(204)
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "add", "path": "members", "value": [{"value": "`+hana+`"}]}]}`).want(204)
		is("out of the group and in", hana, account.Active)

		// Deleted and made again.
		by(hana, account.Disabled)
		b.do("DELETE", "/Users/"+hana, "").want(204)
		set(identity.Viewer)
		b.do("POST", "/Users", `{"userName": "hana@example.com"}`).want(201).is(hana, "id")
		is("deleted and made", hana, account.Active)

		// Off before the directory came.
		before := func(email string) string {
			t.Helper()
			u, err := b.accounts.Add(ctx, "test", b.a, account.Draft{Email: email, Name: "Jun", Role: identity.Viewer})
			if err != nil {
				t.Fatal(err)
			}
			by(u.ID, account.Disabled)
			return u.ID
		}
		group := func(op, id string) {
			b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "`+op+`", "path": "members", "value": [{"value": "`+id+`"}]}]}`).want(204)
		}
		jun := before("jun@example.com")
		says(jun, on)
		is("its first word", jun, account.Disabled)
		mina := before("min@example.com")
		group("add", mina)
		is("a group first", mina, account.Disabled)
		says(mina, on)
		is("a group first, then on", mina, account.Disabled)
		b.do("PATCH", "/Users/"+mina, off).want(200)
		says(mina, on)
		is("a group first, then off and on", mina, account.Active)
		seo := before("seo@example.com")
		says(seo, `{"displayName": "Seo"}`)
		says(seo, on)
		is("a name first, then on", seo, account.Disabled)
		ahn := before("ahn@example.com")
		b.do("PATCH", "/Users/"+ahn, off).want(200)
		says(ahn, on)
		is("off as its first word, then on", ahn, account.Active)
		set("")
		woo := before("woo@example.com")
		says(woo, on)
		group("add", woo)
		is("where a group alone lets in", woo, account.Disabled)
		group("remove", woo)
		group("add", woo)
		is("where a group alone lets in, out and in", woo, account.Active)
	})
}

// What a database cannot store is the directory's mistake.
func TestTextsThatCannotBeStored(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		id := b.made("hana@example.com")
		gid := b.do("POST", "/Groups", `{"displayName": "g"}`).want(201).text("id")
		for _, path := range []string{"/Users/a%00b", "/Users/%ff", "/Groups/a%00b", "/Users?filter=userName+eq+%22a%00b%22", "/Users?filter=userName+eq+%22%ff%22", "/Groups?filter=id+eq+%22a%00%22", "/Users?%00=x"} {
			b.do("GET", path, "").want(400).is("invalidValue", "scimType")
		}
		for _, body := range []string{
			`{"userName": "a\u0000b@example.com"}`, `{"userName": "b@example.com", "externalId": "\u0000"}`, `{"userName": "b@example.com", "title": "\u0000"}`,
			`{"userName": "b@example.com", "emails": [{"value": "\u0000"}]}`, `{"userName": "b@example.com", "emails": [{"value": "b@example.com", "type": "\u0000"}]}`,
		} {
			b.do("POST", "/Users", body).want(400).is("invalidValue", "scimType")
			b.do("PUT", "/Users/"+id, body).want(400).is("invalidValue", "scimType")
		}
		for _, body := range []string{`{"displayName": "\u0000"}`, `{"displayName": "x", "externalId": "\u0000"}`, `{"displayName": "x", "members": [{"value": "\u0000"}]}`} {
			b.do("POST", "/Groups", body).want(400).is("invalidValue", "scimType")
			b.do("PUT", "/Groups/"+gid, body).want(400).is("invalidValue", "scimType")
		}
	})
}

// A directory that has lost count is stopped.
func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		must := func(query string, args ...any) {
			t.Helper()
			if _, err := sqldb.Exec(ctx, b.db, query, args...); err != nil {
				t.Fatal(err)
			}
		}
		const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) `
		must(numbers+`INSERT INTO scim_group (tenant, id, name, name_key, external, created_at, changed_at, version) SELECT $2, 'g' || CAST(i AS TEXT), 'g' || CAST(i AS TEXT), 'g' || CAST(i AS TEXT), '', i, i, 1 FROM n`, 1000, int64(b.a))
		b.do("POST", "/Groups", `{"displayName": "one more"}`).want(409).is(nil, "scimType")
		b.as(b.foreign, "POST", "/Groups", `{"displayName": "one more"}`).want(201)

		// Few groups with many members make a shorter page.
		must(numbers+`INSERT INTO account_user (id, email, name, language, time_zone, theme, password, totp_step, created_at, created_by, version)
			SELECT 'u' || CAST(i AS TEXT), 'u' || CAST(i AS TEXT) || '@example.com', 'U', 'en', 'UTC', 'auto', '', 0, 0, 'x', 1 FROM n`, 100_000)
		must(numbers+`INSERT INTO scim_user (tenant, id, user_name, user_key, external, active, details, created_at, changed_at, version)
			SELECT $2, 'u' || CAST(i AS TEXT), 'u' || CAST(i AS TEXT), 'u' || CAST(i AS TEXT), '', TRUE, '{}', 0, 0, 1 FROM n`, 100_000, int64(b.a))
		must(numbers+`INSERT INTO scim_group_member (tenant, group_id, user_id) SELECT $2, 'g' || CAST(g.i AS TEXT), 'u' || CAST(n.i AS TEXT) FROM n, n g WHERE g.i <= 3`, 6000, int64(b.a))
		if g := b.do("GET", "/Groups", "").want(200); g.at("itemsPerPage") != 2.0 || g.at("totalResults") != 1000.0 { // not shown: it is long
			t.Errorf("%v of %v", g.at("itemsPerPage"), g.at("totalResults"))
		}
		b.do("GET", "/Groups?excludedAttributes=members", "").want(200).is(100.0, "itemsPerPage")
		b.do("GET", "/Groups?excludedAttributes=members&filter=id+eq+%22g3%22+and+members+eq+%22u6000%22", "").want(200).is(1.0, "totalResults").is(nil, "Resources", 0, "members")
		b.do("GET", "/Groups?filter=id+eq+%22g3%22+and+members+eq+%22u6001%22", "").want(200).is(0.0, "totalResults")

		b.do("POST", "/Users", `{"userName": "one.more@example.com"}`).want(409).is(nil, "scimType")
		b.as(b.foreign, "POST", "/Users", `{"userName": "one.more@example.com"}`).want(201)
	})
}

// Patched groups are not read once more, but where their attributes are asked for (RFC
// 7644 3.5.2).
func TestPatchedGroup(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		gid := b.do("POST", "/Groups", `{"displayName": "g"}`).want(201).text("id")
		if g := b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "replace", "value": {"displayName": "h"}}]}`).want(204); g.raw != "" {
			t.Errorf("%q", g.raw)
		}
		b.do("PATCH", "/Groups/"+gid+"?attributes=displayName", `{"Operations": [{"op": "replace", "value": {"displayName": "i"}}]}`).want(200).is("i", "displayName").is(nil, "members")
		list, _, err := audit.List(t.Context(), b.db, b.a, audit.Filter{Action: "group.update"})
		if err != nil || len(list) != 2 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// An IPv6 subscriber's whole network counts as one.
func TestStrangersOfOneNetwork(t *testing.T) {
	h := &handler{strangers: map[string]*rate.Limiter{}}
	if h.stranger("2001:db8::1") != h.stranger("2001:db8::ffff:2") || h.stranger("2001:db8:0:1::1") == h.stranger("2001:db8::1") || h.stranger("192.0.2.1") == h.stranger("192.0.2.2") {
		t.Error("counted apart, or together")
	}
}
