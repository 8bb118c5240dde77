package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

var update = flag.Bool("update", false, "write what answers now")

var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

// bench is the door of two tenants, each with a token.
type bench struct {
	t        *testing.T
	h        http.Handler
	db       *sqldb.DB
	accounts *account.Service
	keys     *identity.Service
	a, b     uint32
	token    string // of a
	foreign  string // of b
}

func newBench(t *testing.T, db *sqldb.DB) *bench {
	t.Helper()
	b := &bench{t: t, db: db}
	tenants := tenant.New(db)
	for i, number := range []*uint32{&b.a, &b.b} {
		x, err := tenants.Create(t.Context(), audit.System, tenant.Draft{Name: string(rune('A' + i))})
		if err != nil {
			t.Fatal(err)
		}
		*number = x.Number
	}
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	now := func() time.Time { return noon }
	b.keys = identity.New(db, tenants, log, now)
	b.accounts = account.New(account.Config{DB: db, Tenants: tenants, Sealer: sealer, Owner: b.a, Hash: account.HashCost{Memory: 64, Passes: 1, Threads: 1}, EndKeys: b.keys.RevokeOf, CarryKeys: b.keys.CarryOver, Log: log, Now: now})
	for number, token := range map[uint32]*string{b.a: &b.token, b.b: &b.foreign} {
		if *token, err = b.accounts.NewDirectoryToken(t.Context(), number, "test"); err != nil {
			t.Fatal(err)
		}
		err := b.accounts.SetProvisioning(t.Context(), number, "test", identity.Viewer, []account.Mapping{{Value: "SOC Analysts", Role: identity.Analyst}, {Value: "SOC Admins", Role: identity.Admin}})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.h = New(Config{Accounts: b.accounts, URL: func() string { return "https://kyra.example.com" }, Secure: func() bool { return true }, Log: log})
	return b
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, newBench(t, db)) })
}

// got is an answer.
type got struct {
	t      *testing.T
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (b *bench) as(token, method, path, body string) *got {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, Base+path, strings.NewReader(body))
	r.RemoteAddr = "198.51.100.9:4711"
	r.Header.Set("Content-Type", "application/scim+json; charset=utf-8") // as Entra ID
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	g := &got{t: b.t, status: w.Code, header: w.Header(), raw: w.Body.String()}
	if g.raw != "" {
		if err := json.Unmarshal([]byte(g.raw), &g.body); err != nil || g.header.Get("Content-Type") != mediaType {
			b.t.Fatalf("%s %s: %q %v %s", method, path, g.raw, err, g.header.Get("Content-Type"))
		}
	}
	return g
}

func (b *bench) do(method, path, body string) *got {
	b.t.Helper()
	return b.as(b.token, method, path, body)
}

func (g *got) want(status int) *got {
	g.t.Helper()
	if g.status != status {
		g.t.Fatalf("status %d, want %d: %s", g.status, status, g.raw)
	}
	return g
}

// at returns what a path of keys and positions leads to.
func (g *got) at(path ...any) any {
	var v any = g.body
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (g *got) is(want any, path ...any) *got {
	g.t.Helper()
	if d := cmp.Diff(want, g.at(path...)); d != "" {
		g.t.Errorf("%v: %s\n%s", path, d, g.raw)
	}
	return g
}

func (g *got) text(path ...any) string { s, _ := g.at(path...).(string); return s }

var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

func (g *got) golden(name string) *got {
	g.t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(g.raw), "", "  "); err != nil {
		g.t.Fatal(err)
	}
	have := ids.ReplaceAllString(out.String(), "ID")
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(have), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	if d := cmp.Diff(string(want), have); d != "" {
		g.t.Errorf("%s: %s", name, d)
	}
	return g
}

func (b *bench) person(tenant uint32, id string) *account.Person {
	b.t.Helper()
	p, err := b.accounts.Get(b.t.Context(), tenant, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func TestAbout(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	b.do("GET", "/ServiceProviderConfig", "").want(200).golden("config.json")
	b.do("GET", "/ResourceTypes", "").want(200).golden("types.json")
	b.do("GET", "/Schemas", "").want(200).golden("schemas.json")
	b.do("GET", "/Schemas/"+userSchema, "").want(200).is("User", "name")
	b.do("GET", "/ResourceTypes/Group", "").want(200).is("/Groups", "endpoint")
	b.do("GET", "/Schemas/urn:nothing", "").want(404)
	b.do("GET", "/Bulk", "").want(404).golden("error.json")
	b.do("POST", "/Schemas", "{}").want(405)
}

// TestOkta sends what Okta's provisioning sends (developer.okta.com, SCIM 2.0 protocol
// reference).
func TestOkta(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.do("GET", "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100", "").want(200).golden("okta-none.json")
		made := b.do("POST", "/Users", `{
			"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "test.user@okta.local", "name": {"givenName": "Test", "familyName": "User"},
			"emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}], "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
			"groups": [], "password": "1mz050nq", "active": true}`).want(201).golden("okta-user.json")
		id := made.text("id")
		if made.header.Get("Location") != "https://kyra.example.com/scim/v2/Users/"+id {
			t.Errorf("%v", made.header)
		}
		p := b.person(b.a, id)
		if p.Email != "test.user@okta.local" || p.Name != "Test User" || p.Role != identity.Viewer || p.Status != account.Active || p.Origin != "scim" || p.PasswordAt != nil {
			t.Errorf("%+v", p)
		}
		b.do("POST", "/Users", `{"userName": "Test.User@okta.local", "emails": [{"primary": true, "value": "test.user@okta.local"}], "active": true}`).want(409).is("uniqueness", "scimType").golden("uniqueness.json")
		b.do("GET", "/Users?filter=userName%20eq%20%22TEST.user%40okta.local%22", "").want(200).is(1.0, "totalResults").is(id, "Resources", 0, "id")
		b.do("GET", "/Users/"+id, "").want(200)

		// Profile: the whole; then off and on.
		b.do("PUT", "/Users/"+id, `{
			"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "`+id+`", "userName": "test.user@okta.local", "name": {"givenName": "Another", "middleName": "Excited", "familyName": "User"},
			"emails": [{"primary": true, "value": "another.user@okta.local", "type": "work", "display": "test.user@okta.local"}], "externalId": "00ujl29u0le5T6Aj10h7", "active": true, "groups": [],
			"meta": {"resourceType": "User"}}`).want(200).is("another.user@okta.local", "emails", 0, "value").is(nil, "displayName")
		if p := b.person(b.a, id); p.Email != "another.user@okta.local" || p.Name != "Another User" {
			t.Errorf("%+v", p)
		}
		off := `{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "replace", "value": {"active": false}}]}`
		b.do("PATCH", "/Users/"+id, off).want(200).is(false, "active")
		if p := b.person(b.a, id); p.Status != account.Disabled {
			t.Errorf("%+v", p)
		}
		b.do("PATCH", "/Users/"+id, strings.Replace(off, "false", "true", 1)).want(200).is(true, "active")

		// Group push.
		group := b.do("POST", "/Groups", `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "SOC Analysts", "members": []}`).want(201)
		gid := group.text("id")
		b.do("GET", "/Groups?startIndex=1&count=100&filter=displayName%20eq%20%22soc%20analysts%22", "").want(200).is(gid, "Resources", 0, "id")
		b.do("PATCH", "/Groups/"+gid, `{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
			{"op": "remove", "path": "members[value eq \"89bb1940-b905-4575-9e7f-6f887cfb368e\"]"}, {"op": "add", "path": "members", "value": [{"value": "`+id+`", "display": "test.user@okta.local"}]}]}`).want(204)
		b.do("GET", "/Groups/"+gid, "").want(200).golden("okta-group.json")
		if p := b.person(b.a, id); p.Role != identity.Analyst {
			t.Errorf("%+v", p)
		}
		b.do("GET", "/Users/"+id, "").want(200).is("SOC Analysts", "groups", 0, "display")
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "replace", "value": {"id": "`+gid+`", "displayName": "SOC Admins"}}]}`).want(204)
		b.do("GET", "/Groups/"+gid, "").want(200).is("SOC Admins", "displayName").is(id, "members", 0, "value")
		if p := b.person(b.a, id); p.Role != identity.Admin {
			t.Errorf("%+v", p)
		}
	})
}

// TestEntra sends what Microsoft Entra ID sends (learn.microsoft.com, "Develop and plan
// provisioning for a SCIM endpoint"), with its own words.
func TestEntra(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		made := b.do("POST", "/Users", `{
			"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
			"externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": "BillG@contoso.example", "active": true, "displayName": "Bill G",
			"emails": [{"primary": true, "type": "work", "value": "bill@contoso.example"}], "meta": {"resourceType": "User"},
			"name": {"formatted": "Bill G.", "familyName": "G", "givenName": "Bill"},
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"}, "roles": []}`).want(201).golden("entra-user.json")
		id := made.text("id")
		b.do("GET", "/Users?filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22", "").want(200).is(id, "Resources", 0, "id")
		b.do("GET", `/Users?filter=emails[type+eq+"work"].value+eq+"Bill@contoso.example"`, "").want(200).is(1.0, "totalResults")
		b.do("PATCH", "/Users/"+id, `{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
			{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updated@contoso.example"},
			{"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
			{"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "IT"},
			{"op": "Replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:displayName", "value": "Bill Updated"},
			{"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1"}]}`).want(200).is("updated@contoso.example", "emails", 0, "value").is("updatedFamilyName", "name", "familyName")
		if p := b.person(b.a, id); p.Email != "updated@contoso.example" || p.Name != "Bill Updated" {
			t.Errorf("%+v", p)
		}
		// Values without a path, whose keys are paths.
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "Add", "value": {"name.givenName": "William", "title": "Analyst", "emails[type eq \"other\"].value": "bill@home.example", "active": "True"}}]}`).want(200).
			is("William", "name", "givenName").is("bill@home.example", "emails", 1, "value").is("Analyst", "title")
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "Remove", "path": "title"}, {"op": "remove", "path": "emails[type eq \"other\"]"}]}`).want(200).is(nil, "title").is(nil, "emails", 1)
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "Replace", "path": "userName", "value": "5b50642d-79fc-4410-9e90-4c077cdd1a59@contoso.example"}]}`).want(200)

		// active as a text.
		s := b.signIn(id, "updated@contoso.example")
		_, key, err := b.keys.Create(t.Context(), b.a, account.Actor("updated@contoso.example"), identity.Draft{Name: "theirs", Scope: identity.ReadOnly})
		if err != nil {
			t.Fatal(err)
		}
		_, other, err := b.keys.Create(t.Context(), b.a, account.Actor("boss@contoso.example"), identity.Draft{Name: "another's", Scope: identity.ReadOnly})
		if err != nil {
			t.Fatal(err)
		}
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}`).want(200).is(false, "active")
		if _, err := b.accounts.Session(t.Context(), s); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the session goes on: %v", err)
		}
		if _, err := b.keys.Authenticate(t.Context(), key, netip.Addr{}); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the key works on: %v", err)
		}
		if _, err := b.keys.Authenticate(t.Context(), other, netip.Addr{}); err != nil {
			t.Errorf("another's key: %v", err)
		}

		// Groups.
		group := b.do("POST", "/Groups", `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
			"externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "SOC Analysts", "meta": {"resourceType": "Group"}}`).want(201).golden("entra-group.json")
		gid := group.text("id")
		b.do("GET", "/Groups?excludedAttributes=members&filter=displayName+eq+%22SOC+Analysts%22", "").want(200).is(nil, "Resources", 0, "members").is(gid, "Resources", 0, "id")
		in := func() float64 {
			n, _ := b.do("GET", `/Groups?excludedAttributes=members&filter=id+eq+"`+gid+`"+and+members+eq+"`+id+`"`, "").want(200).at("totalResults").(float64)
			return n
		}
		if in() != 0 {
			t.Error("in the group already")
		}
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "Add", "path": "members", "value": [{"$ref": null, "value": "`+id+`"}]}]}`).want(204)
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "Add", "path": "members", "value": [{"$ref": null, "value": "`+id+`"}]}]}`).want(204)
		b.do("GET", "/Groups/"+gid, "").want(200).is(nil, "members", 1)
		if in() != 1 {
			t.Error("not in the group")
		}
		if p := b.person(b.a, id); p.Status != account.Disabled { // a group lets nobody in who is off
			t.Errorf("%+v", p)
		}
		b.do("PATCH", "/Users/"+id, `{"Operations": [{"op": "Replace", "path": "active", "value": "True"}]}`).want(200)
		if p := b.person(b.a, id); p.Status != account.Active || p.Role != identity.Analyst {
			t.Errorf("%+v", p)
		}
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "Remove", "path": "members", "value": []}]}`).want(204)
		b.do("GET", "/Groups/"+gid, "").want(200).is(id, "members", 0, "value")
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "`+id+`"}]}]}`).want(204)
		if in() != 0 || b.person(b.a, id).Role != identity.Viewer {
			t.Error("still in the group")
		}
		b.do("PATCH", "/Groups/"+gid, `{"Operations": [{"op": "Add", "path": "members", "value": [{"value": "00000000-0000-7000-8000-000000000000"}]}]}`).want(400).is("invalidValue", "scimType")

		// Deleted: gone for the directory, off here, and it may come back.
		b.do("DELETE", "/Users/"+id, "").want(204)
		b.do("GET", "/Users/"+id, "").want(404)
		b.do("GET", "/Users?filter=active+eq+false", "").want(200).is(0.0, "totalResults")
		if p := b.person(b.a, id); p.Status != account.Disabled {
			t.Errorf("%+v", p)
		}
		b.do("DELETE", "/Users/"+id, "").want(404)
		back := b.do("POST", "/Users", `{"externalId": "0a21f0f2", "userName": "updated@contoso.example", "active": true}`).want(201)
		if back.text("id") != id || b.person(b.a, id).Status != account.Active {
			t.Errorf("%s", back.raw)
		}
		b.do("DELETE", "/Groups/"+gid, "").want(204)
		b.do("GET", "/Groups/"+gid, "").want(404)

		n, err := sqldb.One(t.Context(), b.db, sqldb.Value[int64], `SELECT count(*) FROM audit_entry WHERE tenant = $1 AND actor = 'scim'`, int64(b.a))
		if err != nil || n < 15 {
			t.Errorf("%d entries in the audit log, %v", n, err)
		}
	})
}

// signIn gives somebody a password and returns their session.
func (b *bench) signIn(id, email string) string {
	b.t.Helper()
	const password = "four words about rain"
	_, link, err := b.accounts.NewLink(b.t.Context(), b.a, "test", id)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.accounts.Follow(b.t.Context(), link, "", password, account.From{}); err != nil {
		b.t.Fatal(err)
	}
	token, err := b.accounts.SignIn(b.t.Context(), account.Proof{Email: email, Password: password}, account.From{})
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := b.accounts.Authenticate(b.t.Context(), token)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.SessionID
}

func TestTenantBorder(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		id := b.do("POST", "/Users", `{"userName": "jun@example.com", "displayName": "Jun Park", "active": true}`).want(201).text("id")
		gid := b.do("POST", "/Groups", `{"displayName": "SOC Admins", "members": [{"value": "`+id+`"}]}`).want(201).text("id")
		for method, paths := range map[string][]string{"GET": {"/Users/" + id, "/Groups/" + gid}, "DELETE": {"/Users/" + id, "/Groups/" + gid}, "PUT": {"/Users/" + id, "/Groups/" + gid}} {
			for _, p := range paths {
				body := ""
				if method == "PUT" {
					body = `{"userName": "x@example.com", "displayName": "x"}`
				}
				b.as(b.foreign, method, p, body).want(404)
			}
		}
		b.as(b.foreign, "PATCH", "/Users/"+id, `{"Operations": [{"op": "replace", "value": {"active": false}}]}`).want(404)
		b.as(b.foreign, "GET", "/Users", "").want(200).is(0.0, "totalResults")
		b.as(b.foreign, "GET", "/Groups?filter=displayName+eq+%22SOC+Admins%22", "").want(200).is(0.0, "totalResults")
		b.as(b.foreign, "POST", "/Groups", `{"displayName": "SOC Admins", "members": [{"value": "`+id+`"}]}`).want(400)

		// The same person in two tenants: the second one's directory changes nothing of the
		// account, and takes away only its own place.
		b.as(b.foreign, "POST", "/Users", `{"userName": "jun@example.com", "displayName": "Mallory", "active": true}`).want(201).is(id, "id").is("Mallory", "displayName")
		b.as(b.foreign, "PATCH", "/Users/"+id, `{"Operations": [{"op": "replace", "value": {"userName": "mallory@example.net", "emails": [{"value": "mallory@example.net", "primary": true}]}}]}`).want(200)
		if p := b.person(b.a, id); p.Email != "jun@example.com" || p.Name != "Jun Park" || p.Role != identity.Admin {
			t.Errorf("%+v", p)
		}
		b.as(b.foreign, "DELETE", "/Users/"+id, "").want(204)
		if p, q := b.person(b.a, id), b.person(b.b, id); p.Status != account.Active || q.Status != account.Disabled {
			t.Errorf("%s, %s", p.Status, q.Status)
		}

		// Without a token, or with one of another kind.
		_, key, err := b.keys.Create(t.Context(), b.a, "test", identity.Draft{Name: "k", Scope: identity.ReadWrite})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"", "wrong", directoryLike, key} {
			g := b.as(token, "GET", "/Users", "").want(401).is("401", "status").is(errorSchema, "schemas", 0)
			if g.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error(g.header)
			}
		}
		if _, err := b.keys.Authenticate(t.Context(), b.token, netip.Addr{}); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("the directory's token is an API key: %v", err)
		}
		if err := b.accounts.EndDirectoryToken(t.Context(), b.a, "test"); err != nil {
			t.Fatal(err)
		}
		b.do("GET", "/Users", "").want(401)
		for range strangeMax {
			b.as("wrong", "GET", "/Users", "")
		}
		b.as("wrong", "GET", "/Users", "").want(429)
	})
}

const directoryLike = "kyra_scim_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func TestWhoWasHereBefore(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		boss, err := b.accounts.Add(ctx, "test", b.a, account.Draft{Email: "boss@example.com", Name: "The Boss", Password: "four words about rain", Role: identity.Admin})
		if err != nil {
			t.Fatal(err)
		}
		b.do("GET", "/Users?filter=userName+eq+%22Boss%40example.com%22", "").want(200).is(boss.ID, "Resources", 0, "id").is("The Boss", "Resources", 0, "displayName").is(true, "Resources", 0, "active")
		b.do("POST", "/Users", `{"userName": "boss@example.com", "active": true}`).want(409)
		// The last Admin: a group that says less does not demote them, and nobody switches them off.
		gid := b.do("POST", "/Groups", `{"displayName": "SOC Analysts", "members": [{"value": "`+boss.ID+`"}]}`).want(201).text("id")
		if p := b.person(b.a, boss.ID); p.Role != identity.Admin || p.Status != account.Active {
			t.Errorf("%+v", p)
		}
		b.do("PATCH", "/Users/"+boss.ID, `{"Operations": [{"op": "replace", "value": {"active": false}}]}`).want(409).is(nil, "scimType")
		b.do("DELETE", "/Users/"+boss.ID, "").want(409)
		b.do("GET", "/Users/"+boss.ID, "").want(200).is(true, "active")
		other := b.do("POST", "/Users", `{"userName": "other@example.com", "active": true}`).want(201).text("id")
		b.do("POST", "/Groups", `{"displayName": "SOC Admins", "members": [{"value": "`+other+`"}]}`).want(201)
		b.do("PATCH", "/Users/"+boss.ID, `{"Operations": [{"op": "replace", "value": {"title": "x"}}]}`).want(200)
		if p := b.person(b.a, boss.ID); p.Role != identity.Analyst || p.Origin != "scim" {
			t.Errorf("%+v", p)
		}
		// No default role: whoever is in no mapped group is off.
		if err := b.accounts.SetProvisioning(ctx, b.a, "test", "", []account.Mapping{{Value: "soc admins", Role: identity.Admin}}); err != nil {
			t.Fatal(err)
		}
		if p, q := b.person(b.a, boss.ID), b.person(b.a, other); p.Status != account.Disabled || q.Status != account.Active {
			t.Errorf("%s, %s", p.Status, q.Status)
		}
		b.do("GET", "/Users/"+boss.ID, "").want(200).is(true, "active")
		b.do("DELETE", "/Groups/"+gid, "").want(204)
	})
}

func TestPages(t *testing.T) {
	b := newBench(t, sqldbtest.SQLite(t))
	for _, n := range []string{"a", "b", "c"} {
		b.do("POST", "/Users", `{"userName": "`+n+`@example.com", "active": true}`).want(201)
	}
	b.do("GET", "/Users?startIndex=2&count=1", "").want(200).is(3.0, "totalResults").is(2.0, "startIndex").is(1.0, "itemsPerPage").is("b@example.com", "Resources", 0, "userName")
	b.do("GET", "/Users?count=0", "").want(200).is(3.0, "totalResults").is([]any{}, "Resources")
	b.do("GET", "/Users?startIndex=-5&count=1000", "").want(200).is(3.0, "itemsPerPage").is(1.0, "startIndex")
	b.do("GET", "/Users?attributes=userName&count=1", "").want(200).is("a@example.com", "Resources", 0, "userName").is(nil, "Resources", 0, "active")
	for _, bad := range []string{"/Users?count=x", "/Users?filter=userName+co+%22x%22", "/Users?filter=nickName+eq+%22x%22", "/Users?filter=userName+eq+x", "/Users?filter=(", "/Groups?filter=displayName+eq+%22a%22+and+members+eq+%22b%22"} {
		b.do("GET", bad, "").want(400)
	}
	for body, kind := range map[string]string{
		`{`: "invalidSyntax", `{"userName": 1}`: "invalidSyntax", `{"userName": ""}`: "invalidValue", `{"userName": "nobody"}`: "invalidValue", `{"userName": "x@example.com", "active": "maybe"}`: "invalidValue",
		`{"userName": "x@example.com", "emails": "x"}`: "invalidValue",
	} {
		b.do("POST", "/Users", body).want(400).is(kind, "scimType")
	}
	id := b.do("GET", "/Users?count=1", "").text("Resources", 0, "id")
	for body, kind := range map[string]string{
		`{"Operations": []}`:                                                          "invalidSyntax",
		`{"Operations": [{"op": "move"}]}`:                                            "invalidSyntax",
		`{"Operations": [{"op": "remove"}]}`:                                          "noTarget",
		`{"Operations": [{"op": "add", "value": "x"}]}`:                               "invalidValue",
		`{"Operations": [{"op": "add", "path": "emails[", "value": "x"}]}`:            "invalidPath",
		`{"Operations": [{"op": "add", "path": "emails[type pr].value", "value":1}]}`: "invalidFilter",
		`{"Operations": [{"op": "remove", "path": "active"}]}`:                        "mutability",
	} {
		b.do("PATCH", "/Users/"+id, body).want(400).is(kind, "scimType")
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "x"`, `emails[type eq "work"].value eq "y"`, `id eq "a" and members eq "b"`, `active eq true`, `a eq "\""`, `urn:ietf:params:scim:schemas:core:2.0:User:userName eq "x"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		terms, err := parseFilter(text)
		if err == nil && len(terms) == 0 {
			t.Error("no term and no fault")
		}
		if _, err := parsePath(text); err != nil {
			if _, ok := errors.AsType[*refusal](err); !ok {
				t.Errorf("%v is not a refusal", err)
			}
		}
	})
}
