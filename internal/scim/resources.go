package scim

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/kyra-mdr/kyra/internal/account"
)

type (
	scimName struct {
		Given     string `json:"givenName"`
		Family    string `json:"familyName"`
		Formatted string `json:"formatted"`
	}
	scimEmail struct {
		Value   string          `json:"value"`
		Type    string          `json:"type"`
		Primary json.RawMessage `json:"primary"`
	}
	scimRef struct {
		Value string `json:"value"`
	}
	scimUser struct {
		UserName   string          `json:"userName"`
		ExternalID *string         `json:"externalId"`
		Name       *scimName       `json:"name"`
		Display    *string         `json:"displayName"`
		Title      *string         `json:"title"`
		Active     json.RawMessage `json:"active"`
		Emails     json.RawMessage `json:"emails"`
	}
	scimGroup struct {
		Name       string    `json:"displayName"`
		ExternalID *string   `json:"externalId"`
		Members    []scimRef `json:"members"`
	}
)

func emailsOf(raw json.RawMessage) ([]account.Email, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var given []scimEmail
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, badValue("emails")
	}
	var all []account.Email
	for _, e := range given {
		m := account.Email{Value: strings.TrimSpace(e.Value), Type: strings.ToLower(e.Type)}
		if len(e.Primary) > 0 && string(e.Primary) != "null" {
			primary, err := truthOf("emails.primary", e.Primary)
			if err != nil {
				return nil, err
			}
			m.Primary = primary
		}
		if m.Value != "" {
			all = append(all, m)
		}
	}
	return all, nil
}

func refsOf(given []scimRef) []account.Ref {
	all := make([]account.Ref, 0, len(given))
	for _, m := range given {
		all = append(all, account.Ref{ID: m.Value})
	}
	return all
}

func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// into gives l all that a whole resource says; what it leaves out is nothing, but for
// active.
func (u *scimUser) into(l *account.Listed) error {
	mails, err := emailsOf(u.Emails)
	if err != nil {
		return err
	}
	l.UserName, l.External = u.UserName, value(u.ExternalID)
	l.Details = account.Details{Display: value(u.Display), Title: value(u.Title), Mails: mails}
	if u.Name != nil {
		l.Details.Given, l.Details.Family, l.Details.Formatted = u.Name.Given, u.Name.Family, u.Name.Formatted
	}
	if len(u.Active) > 0 && string(u.Active) != "null" {
		l.Active, err = truthOf("active", u.Active)
	}
	return err
}

// user words somebody.
func (h *handler) user(l *account.Listed) map[string]any {
	d := &l.Details
	m := map[string]any{
		"schemas": []string{userSchema}, "id": l.ID, "userName": l.UserName, "active": l.Active, "meta": h.meta("Users", l.ID, l.CreatedAt, l.ChangedAt, l.Version),
	}
	for key, v := range map[string]string{"externalId": l.External, "displayName": d.Display, "title": d.Title} {
		if v != "" {
			m[key] = v
		}
	}
	name := map[string]any{}
	for key, v := range map[string]string{"givenName": d.Given, "familyName": d.Family, "formatted": d.Formatted} {
		if v != "" {
			name[key] = v
		}
	}
	if len(name) > 0 {
		m["name"] = name
	}
	if len(d.Mails) > 0 {
		mails := make([]map[string]any, len(d.Mails))
		for i, e := range d.Mails {
			mails[i] = map[string]any{"value": e.Value, "primary": e.Primary}
			if e.Type != "" {
				mails[i]["type"] = e.Type
			}
		}
		m["emails"] = mails
	}
	groups := make([]map[string]any, len(l.Groups))
	for i, g := range l.Groups {
		groups[i] = map[string]any{"value": g.ID, "display": g.Name, "$ref": h.location("Groups", g.ID), "type": "direct"}
	}
	m["groups"] = groups
	return m
}

func (h *handler) group(g *account.Group) map[string]any {
	m := map[string]any{"schemas": []string{groupSchema}, "id": g.ID, "displayName": g.Name, "meta": h.meta("Groups", g.ID, g.CreatedAt, g.ChangedAt, g.Version)}
	if g.External != "" {
		m["externalId"] = g.External
	}
	members := make([]map[string]any, len(g.Members))
	for i, x := range g.Members {
		members[i] = map[string]any{"value": x.ID, "display": x.Name, "$ref": h.location("Users", x.ID), "type": "User"}
	}
	m["members"] = members
	return m
}

// wanted reads the filter of a list: one term of those that known names.
func wanted(r *request, known map[string]string) (account.Wanted, []term, error) {
	text := r.URL.Query().Get("filter")
	if text == "" {
		return account.Wanted{}, nil, nil
	}
	terms, err := parseFilter(text)
	if err != nil {
		return account.Wanted{}, nil, err
	}
	name, ok := known[terms[0].attribute]
	if !ok {
		return account.Wanted{}, nil, &refusal{http.StatusBadRequest, "invalidFilter", "It cannot be filtered by " + terms[0].attribute}
	}
	return account.Wanted{Attribute: name, Value: terms[0].value}, terms[1:], nil
}

func (h *handler) listUsers(ctx context.Context, r *request) (int, any, error) {
	w, more, err := wanted(r, map[string]string{"username": "userName", "externalid": "externalId", "active": "active", "id": "id", "emails.value": "email", "emails": "email"})
	if err != nil {
		return 0, nil, err
	}
	if len(more) > 0 {
		return 0, nil, &refusal{http.StatusBadRequest, "invalidFilter", "People are filtered by one attribute"}
	}
	from, size, err := page(r)
	if err != nil {
		return 0, nil, err
	}
	list, total, err := h.Accounts.Listed(ctx, r.tenant, w, from, size)
	if err != nil {
		return 0, nil, err
	}
	var all []map[string]any
	for i := range list {
		all = append(all, chosen(h.user(&list[i]), r.Request))
	}
	return http.StatusOK, listOf(total, from, all), nil
}

func (h *handler) userAnswer(status int, l *account.Listed, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	return status, h.user(l), nil
}

func (h *handler) createUser(ctx context.Context, r *request) (int, any, error) {
	var u scimUser
	if err := r.into(&u); err != nil {
		return 0, nil, err
	}
	l := &account.Listed{Active: true}
	if err := u.into(l); err != nil {
		return 0, nil, err
	}
	l, err := h.Accounts.Provision(ctx, r.tenant, l)
	return h.userAnswer(http.StatusCreated, l, err)
}

func (h *handler) getUser(ctx context.Context, r *request) (int, any, error) {
	l, err := h.Accounts.Known(ctx, r.tenant, r.PathValue("id"))
	return h.userAnswer(http.StatusOK, l, err)
}

func (h *handler) replaceUser(ctx context.Context, r *request) (int, any, error) {
	var u scimUser
	if err := r.into(&u); err != nil {
		return 0, nil, err
	}
	l, err := h.Accounts.Reprovision(ctx, r.tenant, r.PathValue("id"), u.into)
	return h.userAnswer(http.StatusOK, l, err)
}

func (h *handler) patchUser(ctx context.Context, r *request) (int, any, error) {
	changes, err := r.patch()
	if err != nil {
		return 0, nil, err
	}
	l, err := h.Accounts.Reprovision(ctx, r.tenant, r.PathValue("id"), func(l *account.Listed) error {
		for i := range changes {
			if err := applyUser(l, &changes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return h.userAnswer(http.StatusOK, l, err)
}

func (h *handler) deleteUser(ctx context.Context, r *request) (int, any, error) {
	return http.StatusNoContent, nil, h.Accounts.Deprovision(ctx, r.tenant, r.PathValue("id"))
}

// withMembers tells whether an answer has members in it: a group may be large.
func withMembers(r *request) bool {
	return !strings.Contains(strings.ToLower(r.URL.Query().Get("excludedAttributes")), "members")
}

func (h *handler) listGroups(ctx context.Context, r *request) (int, any, error) {
	w, more, err := wanted(r, map[string]string{"displayname": "displayName", "externalid": "externalId", "id": "id", "members": "member", "members.value": "member"})
	if err != nil {
		return 0, nil, err
	}
	from, size, err := page(r)
	if err != nil {
		return 0, nil, err
	}
	// Entra ID asks whether somebody is in a group: id eq "…" and members eq "…".
	for _, t := range more {
		if w.Attribute != "id" || t.attribute != "members" && t.attribute != "members.value" {
			return 0, nil, &refusal{http.StatusBadRequest, "invalidFilter", "Groups are filtered by one attribute, or by id and members"}
		}
		w.Member = t.value
	}
	list, total, err := h.Accounts.Groups(ctx, r.tenant, w, from, size, withMembers(r))
	if err != nil {
		return 0, nil, err
	}
	var all []map[string]any
	for i := range list {
		all = append(all, chosen(h.group(&list[i]), r.Request))
	}
	return http.StatusOK, listOf(total, from, all), nil
}

func (h *handler) groupAnswer(status int, g *account.Group, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	return status, h.group(g), nil
}

func (h *handler) createGroup(ctx context.Context, r *request) (int, any, error) {
	var g scimGroup
	if err := r.into(&g); err != nil {
		return 0, nil, err
	}
	made, err := h.Accounts.AddGroup(ctx, r.tenant, &account.Group{Name: g.Name, External: value(g.ExternalID), Members: refsOf(g.Members)})
	return h.groupAnswer(http.StatusCreated, made, err)
}

func (h *handler) getGroup(ctx context.Context, r *request) (int, any, error) {
	g, err := h.Accounts.Group(ctx, r.tenant, r.PathValue("id"))
	return h.groupAnswer(http.StatusOK, g, err)
}

func (h *handler) replaceGroup(ctx context.Context, r *request) (int, any, error) {
	var in scimGroup
	if err := r.into(&in); err != nil {
		return 0, nil, err
	}
	if err := h.Accounts.ChangeGroup(ctx, r.tenant, r.PathValue("id"), func(g *account.Group) error {
		g.Name, g.External, g.Members = in.Name, value(in.ExternalID), refsOf(in.Members)
		return nil
	}); err != nil {
		return 0, nil, err
	}
	return h.getGroup(ctx, r)
}

// patchGroup answers with the group only where its attributes are asked for (RFC 7644
// 3.5.2): it may be large, and directories add members one by one.
func (h *handler) patchGroup(ctx context.Context, r *request) (int, any, error) {
	changes, err := r.patch()
	if err != nil {
		return 0, nil, err
	}
	if err := h.Accounts.ChangeGroup(ctx, r.tenant, r.PathValue("id"), func(g *account.Group) error {
		for i := range changes {
			if err := applyGroup(g, &changes[i]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return 0, nil, err
	}
	if r.URL.Query().Get("attributes") == "" {
		return http.StatusNoContent, nil, nil
	}
	return h.getGroup(ctx, r)
}

func (h *handler) deleteGroup(ctx context.Context, r *request) (int, any, error) {
	return http.StatusNoContent, nil, h.Accounts.RemoveGroup(ctx, r.tenant, r.PathValue("id"))
}
