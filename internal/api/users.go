package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/notify"
	"github.com/kyra-mdr/kyra/internal/outbound"
)

type (
	// UserItem is somebody of the tenant.
	UserItem struct {
		ID           string     `json:"id" format:"uuid"`
		Email        string     `json:"email"`
		Name         string     `json:"name"`
		Role         string     `json:"role" enum:"Admin,Analyst,Viewer,Auditor"`
		Status       string     `json:"status" enum:"invited,active,disabled"`
		Origin       string     `json:"origin" enum:"local,sso,scim" doc:"Who made them: people here, single sign-on, or a directory."`
		SecondFactor bool       `json:"secondFactor"`
		Sessions     int64      `json:"sessions" doc:"That go on in this tenant."`
		CreatedAt    time.Time  `json:"createdAt" doc:"When they got their place in this tenant."`
		CreatedBy    string     `json:"createdBy"`
		LastSignInAt *time.Time `json:"lastSignInAt" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	userOut struct{ Body UserItem }
	linkOut struct {
		Location string `header:"Location"`
		Body     invitedUser
	}
	invitedUser struct {
		UserItem
		Link   string `json:"link" doc:"For them, once. It is shown here only; empty where it was sent."`
		Sent   bool   `json:"sent" doc:"The link went to them by mail, through the tenant's mail connector."`
		Unsent string `json:"unsent" doc:"Why the mail could not be sent; empty where it was, or where there is no mail connector."`
	}
	inviteIn struct {
		Body struct {
			Email string `json:"email"`
			Name  string `json:"name" doc:"1 to 100 characters."`
			Role  word   `json:"role" enum:"Admin,Analyst,Viewer,Auditor"`
		}
	}
	updateUserIn struct {
		ID   string `path:"id"`
		Body struct {
			Role   word `json:"role,omitzero" enum:"Admin,Analyst,Viewer,Auditor"`
			Status word `json:"status,omitzero" enum:"active,disabled"`
		}
	}
	teamItem struct {
		ID    string `json:"id" format:"uuid"`
		Name  string `json:"name"`
		Email string `json:"email"`
		Role  string `json:"role" enum:"Admin,Analyst,Viewer,Auditor"`

		_ struct{} `additionalProperties:"true"`
	}
	teamOut struct {
		Body struct {
			Members []teamItem `json:"members" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	followedLink struct {
		Kind      string    `json:"kind" enum:"invite,reset"`
		Email     string    `json:"email"`
		Name      string    `json:"name"`
		Tenant    string    `json:"tenant" doc:"Name of the tenant."`
		Known     bool      `json:"known" doc:"The account has a password already: that is what is asked for."`
		ExpiresAt time.Time `json:"expiresAt"`

		_ struct{} `additionalProperties:"true"`
	}
	followedLinkOut struct{ Body followedLink }
	lookIn          struct {
		Body struct {
			Token string `json:"token" doc:"What stands behind # in the link."`
		}
	}
	followIn struct {
		Body struct {
			Token    string `json:"token" doc:"What stands behind # in the link."`
			Password string `json:"password" doc:"The new one; that of the account where it has one and the link is an invitation."`
			Name     string `json:"name,omitempty"`
		}
	}
)

func userOf(p *account.Person) UserItem {
	return UserItem{
		ID: p.ID, Email: p.Email, Name: p.Name, Role: string(p.Role), Status: string(p.Status), Origin: p.Origin, SecondFactor: p.Factor, Sessions: p.Sessions,
		CreatedAt: p.AddedAt, CreatedBy: p.AddedBy, LastSignInAt: p.LastSignIn(),
	}
}

func (a *api) users() {
	const tag = "Users"
	handle(a, operation{
		id: "listUsers", method: http.MethodGet, path: "/users", tag: tag, summary: "List people",
		params: append(paging(account.Sorts...),
			param{name: "role", doc: "Filter by role.", kind: enum, values: identity.Roles, many: true},
			param{name: "status", doc: "Filter by status.", kind: enum, values: account.Statuses, many: true},
			param{name: "search", doc: "Search in name and address."}),
	}, a.listUsers)
	handle(a, operation{
		id: "inviteUser", method: http.MethodPost, path: "/users", tag: tag, summary: "Invite somebody", status: http.StatusCreated,
		doc: "The link works for seven days. It goes out by mail where the tenant has a mail connector that works, else the answer shows it once.",
	}, a.inviteUser)
	handle(a, operation{id: "getUser", method: http.MethodGet, path: "/users/{id}", uuid: true, tag: tag, summary: "Get a person", single: true}, a.getUser)
	handle(a, operation{
		id: "updateUser", method: http.MethodPatch, path: "/users/{id}", uuid: true, tag: tag, summary: "Change role or status", single: true,
		doc: "Their sessions in the tenant end. The last active Admin stays one.",
	}, a.updateUser)
	handle(a, operation{
		id: "removeUser", method: http.MethodDelete, path: "/users/{id}", uuid: true, tag: tag, summary: "Remove a person from the tenant", status: http.StatusNoContent,
		doc: "What they did stays in history and audit log under their address.",
	}, a.removeUser)
	handle(a, operation{
		id: "renewUserLink", method: http.MethodPost, path: "/users/{id}/link", uuid: true, tag: tag, summary: "Make a new link", status: http.StatusCreated,
		doc: "Of the invitation while it was not followed, and where their password opens nothing here yet; else for another password, which works for a day. The link before ends.",
	}, a.renewUserLink)
	handle(a, operation{
		id: "resetUserFactor", method: http.MethodPost, path: "/users/{id}/reset-second-factor", uuid: true, tag: tag, summary: "Take the second factor away", status: http.StatusNoContent,
		doc: "For somebody who lost their device. Their sessions end.",
	}, a.resetUserFactor)
	handle(a, operation{
		id: "endUserSessions", method: http.MethodPost, path: "/users/{id}/end-sessions", uuid: true, tag: tag, summary: "End a person's sessions in the tenant", status: http.StatusNoContent,
	}, a.endUserSessions)
	handle(a, operation{
		id: "listTeam", method: http.MethodGet, path: "/team", tag: sessionTag, summary: "List whom work can be given to",
	}, a.listTeam)
	handle(a, operation{
		id: "lookAtLink", method: http.MethodPost, path: "/session/link", tag: sessionTag, summary: "See what a link is for", public: true,
	}, a.lookAtLink)
	handle(a, operation{
		id: "followLink", method: http.MethodPost, path: "/session/link/follow", tag: sessionTag, summary: "Accept an invitation, or set another password", public: true,
		doc: "Uses the link up. Sign in afterwards.",
	}, a.followLink)
}

func (a *api) listUsers(ctx context.Context, c *call, _ *none) (*pageOut[UserItem], error) {
	asked := c.query.paging(account.Sorts[0])
	people, total, err := a.Accounts.List(ctx, c.Tenant.Number, account.Filter{
		Roles: words[identity.Role](c.query.all("role")), Statuses: words[account.Status](c.query.all("status")), Search: c.query.one("search"),
		Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, people, userOf), nil
}

// linkTo is where the console takes a link.
func (a *api) linkTo(token string) string { return a.URL() + "/invitation#" + token }

// handOver sends a link by mail, or shows it where that cannot be.
func (a *api) handOver(ctx context.Context, c *call, who *account.Person, token string) *linkOut {
	out := &linkOut{Location: base + "/users/" + who.ID}
	out.Body.UserItem, out.Body.Link = userOf(who), a.linkTo(token)
	l := &notify.Letter{
		ID: rand.Text(), To: who.Email, Name: who.Name, Tenant: c.Tenant.Name, By: c.Name, Link: out.Body.Link, Reset: who.Status != account.Invited && !who.Vouched,
		Language: account.Languages[0], Ends: account.InviteFor, At: a.Now(),
	}
	switch {
	case l.Reset || who.SignedInAt != nil:
		l.Language = who.Language
	case c.signed != nil:
		l.Language = c.signed.User.Language // they work together: it is likely theirs
	}
	sent, err := a.Notifier.SendLetter(ctx, c.Tenant.Number, l)
	if err != nil {
		a.log.WarnContext(ctx, "link not sent by mail", "user", who.ID, "err", err)
		out.Body.Unsent = outbound.Reason(err)
	}
	if out.Body.Sent = sent; sent {
		out.Body.Link = ""
	}
	return out
}

func (a *api) inviteUser(ctx context.Context, c *call, in *inviteIn) (*linkOut, error) {
	role, p := in.Body.Role.among("role", identity.Roles)
	if p != nil {
		return nil, p
	}
	who, token, err := a.Accounts.Invite(ctx, c.Tenant.Number, c.Actor, account.Draft{Email: in.Body.Email, Name: in.Body.Name, Role: identity.Role(role)})
	if err != nil {
		return nil, err
	}
	return a.handOver(ctx, c, who, token), nil
}

func (a *api) getUser(ctx context.Context, c *call, in *byID) (*userOut, error) {
	p, err := a.Accounts.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &userOut{userOf(p)}, nil
}

func (a *api) updateUser(ctx context.Context, c *call, in *updateUserIn) (*userOut, error) {
	var patch account.Patch
	if in.Body.Role.set {
		role, p := in.Body.Role.among("role", identity.Roles)
		if p != nil {
			return nil, p
		}
		patch.Role = new(identity.Role(role))
	}
	if in.Body.Status.set {
		status, p := in.Body.Status.among("status", []string{string(account.Active), string(account.Disabled)})
		if p != nil {
			return nil, p
		}
		patch.Status = new(account.Status(status))
	}
	p, err := a.Accounts.Change(ctx, c.Tenant.Number, c.Actor, in.ID, patch)
	if err != nil {
		return nil, err
	}
	return &userOut{userOf(p)}, nil
}

func (a *api) removeUser(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Accounts.Remove(ctx, c.Tenant.Number, c.Actor, in.ID)
}

func (a *api) renewUserLink(ctx context.Context, c *call, in *byID) (*linkOut, error) {
	who, token, err := a.Accounts.NewLink(ctx, c.Tenant.Number, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	return a.handOver(ctx, c, who, token), nil
}

func (a *api) resetUserFactor(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Accounts.ResetFactor(ctx, c.Tenant.Number, c.Actor, in.ID)
}

func (a *api) endUserSessions(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Accounts.EndSessionsOf(ctx, c.Tenant.Number, c.Actor, in.ID)
}

func (a *api) listTeam(ctx context.Context, c *call, _ *none) (*teamOut, error) {
	people, err := a.Accounts.Team(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	out := &teamOut{}
	out.Body.Members = make([]teamItem, len(people))
	for i := range people {
		p := &people[i]
		out.Body.Members[i] = teamItem{ID: p.ID, Name: p.Name, Email: p.Email, Role: string(p.Role)}
	}
	return out, nil
}

func followedOf(l *account.Link) *followedLinkOut {
	return &followedLinkOut{followedLink{Kind: l.Kind, Email: l.Email, Name: l.Name, Tenant: l.Tenant, Known: l.Known, ExpiresAt: l.Expires}}
}

func (a *api) lookAtLink(ctx context.Context, _ *call, in *lookIn) (*followedLinkOut, error) {
	l, err := a.Accounts.Look(ctx, in.Body.Token)
	if err != nil {
		return nil, err
	}
	return followedOf(l), nil
}

func (a *api) followLink(ctx context.Context, c *call, in *followIn) (*followedLinkOut, error) {
	l, err := a.Accounts.Follow(ctx, in.Body.Token, in.Body.Name, in.Body.Password, account.From{Address: c.from})
	if err != nil {
		return nil, err
	}
	return followedOf(l), nil
}
