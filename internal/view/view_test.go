package view_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/view"
)

func person(t *testing.T, db *sqldb.DB, tenant uint32, id string, admin bool) *view.Person {
	t.Helper()
	_, err := sqldb.Exec(t.Context(), db, `INSERT INTO account_user (id, email, name, language, time_zone, theme, password, totp_step, created_at, created_by, version)
		VALUES ($1, $1, $1, 'en', 'UTC', 'auto', '', 0, 0, '', 1)`, id)
	if err != nil {
		t.Fatal(err)
	}
	return &view.Person{Tenant: tenant, ID: id, Actor: "user:" + id, Admin: admin}
}

func names(t *testing.T, s *view.Service, p *view.Person, kind view.Kind) string {
	t.Helper()
	all, err := s.List(t.Context(), p, kind)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, v := range all {
		list = append(list, v.OwnerName+"/"+v.Name)
	}
	return strings.Join(list, " ")
}

func TestViews(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), view.New(db, time.Now)
		ann, bob, eve := person(t, db, 1, "ann", false), person(t, db, 1, "bob", true), person(t, db, 2, "eve", true)
		own, err := s.Create(ctx, ann, view.Draft{Kind: view.Alerts, Name: " mine ", Query: "?severity=high"})
		if err != nil || own.Name != "mine" || own.Query != "severity=high" || own.OwnerName != "ann" {
			t.Fatalf("%+v %v", own, err)
		}
		shared, err := s.Create(ctx, ann, view.Draft{Kind: view.Alerts, Name: "All", Query: "status=any", Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, ann, view.Draft{Kind: view.Search, Name: "ssh", Query: "q=program:sshd"}); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[*view.Person]string{ann: "ann/All ann/mine", bob: "ann/All", eve: ""} {
			if got := names(t, s, who, view.Alerts); got != want {
				t.Errorf("%s sees %q, want %q", who.ID, got, want)
			}
		}
		if got := names(t, s, ann, ""); got != "ann/All ann/mine ann/ssh" {
			t.Errorf("of all kinds: %q", got)
		}
		for what, d := range map[string]view.Draft{
			"name": {Kind: view.Alerts}, "kind": {Kind: "walls", Name: "x"}, "query": {Kind: view.Alerts, Name: "x", Query: strings.Repeat("x", 4001)},
		} {
			if _, err := s.Create(ctx, ann, d); !errors.Is(err, fault.Invalid) {
				t.Errorf("a bad %s: %v", what, err)
			}
		}
		if _, err := s.Create(ctx, ann, view.Draft{Kind: view.Alerts, Name: "MINE"}); !errors.Is(err, fault.Conflict) {
			t.Errorf("a name that is taken: %v", err)
		}
		if _, err := s.Create(ctx, bob, view.Draft{Kind: view.Alerts, Name: "mine"}); err != nil {
			t.Errorf("somebody else's name: %v", err)
		}

		// Others may not touch what is not shared; an Admin what is.
		if _, err := s.Change(ctx, bob, own.ID, view.Patch{Shared: new(true)}); !errors.Is(err, fault.NotFound) {
			t.Errorf("an Admin changes what is not shared: %v", err)
		}
		if _, err := s.Change(ctx, eve, shared.ID, view.Patch{Shared: new(false)}); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		bob.Admin = false
		if _, err := s.Change(ctx, bob, shared.ID, view.Patch{Name: new("his")}); !errors.Is(err, fault.Forbidden) {
			t.Errorf("no Admin: %v", err)
		}
		if err := s.Delete(ctx, bob, shared.ID); !errors.Is(err, fault.Forbidden) {
			t.Errorf("no Admin deletes: %v", err)
		}
		bob.Admin = true
		got, err := s.Change(ctx, bob, shared.ID, view.Patch{Name: new("Everything"), Version: 1})
		if err != nil || got.Version != 2 || got.Name != "Everything" {
			t.Fatalf("%+v %v", got, err)
		}
		if _, err := s.Change(ctx, ann, shared.ID, view.Patch{Shared: new(false), Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Errorf("an old version: %v", err)
		}
		if err := s.Delete(ctx, ann, own.ID); err != nil {
			t.Fatal(err)
		}
		if got := names(t, s, ann, view.Alerts); got != "ann/Everything" {
			t.Errorf("after all: %q", got)
		}
		if n, err := audit.Verify(ctx, db, 1); err != nil || n != 6 {
			t.Errorf("audit log: %d entries, %v", n, err)
		}
		// Who goes takes their views along.
		if _, err := sqldb.Exec(ctx, db, `DELETE FROM account_user WHERE id = 'ann'`); err != nil {
			t.Fatal(err)
		}
		if got := names(t, s, bob, ""); got != "bob/mine" {
			t.Errorf("after ann is gone: %q", got)
		}
	})
}
