package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
)

// described is one operation of the served description.
type described struct{ id, method, path, tag, need string }

func (s *server) operations() []described {
	s.t.Helper()
	paths, _ := s.do("", "GET", "/api/v1/openapi.json", "").want(200).at("paths").(map[string]any)
	var all []described
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, op := range methods {
			o, _ := op.(map[string]any)
			tags, _ := o["tags"].([]any)
			need, _ := o[rightKey].(string)
			if security, ok := o["security"].([]any); ok && len(security) == 0 {
				need = "nothing"
			}
			all = append(all, described{fmt.Sprint(o["operationId"]), strings.ToUpper(method), path, fmt.Sprint(tags[0]), need})
		}
	}
	slices.SortFunc(all, func(a, b described) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	return all
}

var placeholder = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// try sends the operation without anything that could make it succeed, and returns the
// status. Streams are cut off.
func (s *server) try(op described, credential string) int {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 200*time.Millisecond)
	defer stop()
	body := ""
	if op.method != http.MethodGet && op.method != http.MethodDelete {
		body = `{"no such key":1}`
	}
	r := httptest.NewRequestWithContext(ctx, op.method, placeholder.ReplaceAllString(op.path, someID), strings.NewReader(body))
	r.RemoteAddr = s.remote
	name, value, _ := strings.Cut(credential, ": ")
	r.Header.Set(name, value)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Code
}

// Every operation of the description is tried by every role and key: what the table grants
// is let through, and nothing else. The golden file shows a change of either in review.
func TestEveryOperationAndRole(t *testing.T) {
	s := newServer(t, func(c *Config) { c.AnonymousPerMinute = 1 << 30; c.SessionPerMinute = 1 << 30 })
	for _, role := range identity.Roles {
		if _, err := s.cfg.Accounts.Add(t.Context(), "test", s.b.Number, account.Draft{Email: strings.ToLower(role) + "@b.example", Name: role, Password: password, Role: identity.Role(role)}); err != nil {
			t.Fatal(err)
		}
	}
	s.person(s.a, identity.Admin) // of the installation's own tenant, who may more
	var table strings.Builder
	table.WriteString("# operation, what it needs, who has it: Admin, Analyst, Viewer, Auditor, the installation's Admin, read-only key, read-write key\n")
	for _, op := range s.operations() {
		if op.id == "export" {
			continue // a description of all the others
		}
		if op.need == "" {
			t.Errorf("%s: the tag %q is in no area: see rights.go", op.id, op.tag)
			continue
		}
		known, public := identity.Right(op.need), op.need == "nothing"
		fmt.Fprintf(&table, "%-28s %-7s %-62s %-18s", op.id, op.method, op.path, op.need)
		for _, who := range append(slices.Clone(identity.Roles), "Provider", "read-only", "read-write") {
			var credential string
			var can bool
			switch who {
			case "read-only":
				credential, can = "Authorization: Bearer "+s.ro, slices.Contains(identity.ReadOnly.Rights(), known)
			case "read-write":
				credential, can = "Authorization: Bearer "+s.rw, slices.Contains(identity.ReadWrite.Rights(), known)
			case "Provider":
				credential = s.signIn("admin@a.example")
				can = slices.Contains(append(identity.Admin.Rights(), identity.Provider.Read(), identity.Provider.Write()), known)
			default:
				credential = s.signIn(strings.ToLower(who) + "@b.example")
				can = slices.Contains(identity.Role(who).Rights(), known)
			}
			status := s.try(op, credential)
			if (status == http.StatusForbidden) == (can || public) || status == http.StatusUnauthorized && !public {
				t.Errorf("%s %s by %s: %d, and the table says %v", op.method, op.path, who, status, can)
			}
			mark := " -"
			if can || public {
				mark = " y"
			}
			table.WriteString(mark)
		}
		table.WriteString("\n")
	}
	golden(t, "rights.txt", []byte(table.String()))
}
