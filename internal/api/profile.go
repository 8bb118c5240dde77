package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
)

type (
	sessionUserOut struct{ Body SessionUser }
	profileIn      struct {
		Body struct {
			Name     *string `json:"name,omitempty"`
			Language *string `json:"language,omitempty" enum:"en,ko,ja"`
			TimeZone *string `json:"timeZone,omitempty" example:"Asia/Seoul"`
			Theme    *string `json:"theme,omitempty" enum:"auto,light,dark"`
		}
	}
	changePasswordIn struct {
		Body struct {
			CurrentPassword string `json:"currentPassword"`
			Password        string `json:"password" doc:"12 to 256 characters."`
		}
	}
	// OpenSession is one sign-in that goes on.
	OpenSession struct {
		ID           string    `json:"id" format:"uuid"`
		Current      bool      `json:"current" doc:"The one that asks."`
		Method       string    `json:"method" enum:"password,passkey,sso"`
		SecondFactor bool      `json:"secondFactor"`
		Address      string    `json:"address" doc:"Where it was begun."`
		Agent        string    `json:"agent" doc:"The browser, as it names itself."`
		CreatedAt    time.Time `json:"createdAt"`
		LastUsedAt   time.Time `json:"lastUsedAt" doc:"To the minute."`
		EndsAt       time.Time `json:"endsAt"`

		_ struct{} `additionalProperties:"true"`
	}
	openSessionsOut struct {
		Body struct {
			Sessions []OpenSession `json:"sessions" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	securityOut struct {
		Body struct {
			PasswordChangedAt    *time.Time `json:"passwordChangedAt" nullable:"true" doc:"null: there is no password."`
			SecondFactor         bool       `json:"secondFactor" doc:"An authenticator app."`
			Passkeys             int64      `json:"passkeys" doc:"Each is a second factor, too."`
			RecoveryCodesLeft    int64      `json:"recoveryCodesLeft"`
			SecondFactorRequired bool       `json:"secondFactorRequired" doc:"The tenant asks for one."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	withPasswordIn struct {
		Body struct {
			Password string `json:"password" doc:"The caller's own, to be sure it is them."`
		}
	}
	codeIn struct {
		Body struct {
			Code string `json:"code" example:"123456"`
		}
	}
	enrolmentOut struct {
		Body struct {
			Secret string `json:"secret" doc:"For typing, base32."`
			URI    string `json:"uri" doc:"For an app: otpauth://."`
			QR     string `json:"qr" doc:"The same as a picture, data:image/png."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	recoveryOut struct {
		Body struct {
			RecoveryCodes []string `json:"recoveryCodes" nullable:"false" doc:"Each works once, instead of a code. They are shown here only."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	switchIn struct {
		Body struct {
			TenantID string `json:"tenantId" format:"uuid"`
		}
	}
	signInPolicy struct {
		SecondFactorRequired bool `json:"secondFactorRequired" doc:"Who has none can only set one up."`
		IdleMinutes          int  `json:"idleMinutes" minimum:"5" maximum:"1440" doc:"After which an unused session ends."`
		LongestHours         int  `json:"longestHours" minimum:"1" maximum:"720" doc:"After which any session ends."`
		PasswordHistory      int  `json:"passwordHistory" minimum:"0" maximum:"24" doc:"So many last passwords are refused again; the strictest of somebody's tenants counts."`
		PasswordKinds        bool `json:"passwordKinds" doc:"Letters and digits are asked for in the next password."`
		LockAttempts         int  `json:"lockAttempts" minimum:"3" maximum:"5" doc:"Wrong sign-ins of an account before it has to wait."`
		LockMinutes          int  `json:"lockMinutes" minimum:"0" maximum:"60" doc:"The first wait after them; 0: 30 seconds, doubling to 15 minutes."`

		_ struct{} `additionalProperties:"true"`
	}
	signInPolicyOut struct{ Body signInPolicy }
	signInPolicyIn  struct {
		Body struct {
			SecondFactorRequired bool `json:"secondFactorRequired"`
			IdleMinutes          int  `json:"idleMinutes" minimum:"5" maximum:"1440"`
			LongestHours         int  `json:"longestHours" minimum:"1" maximum:"720"`

			PasswordHistory *int  `json:"passwordHistory,omitempty" minimum:"0" maximum:"24" doc:"Left out: as it is, like those below."`
			PasswordKinds   *bool `json:"passwordKinds,omitempty"`
			LockAttempts    *int  `json:"lockAttempts,omitempty" minimum:"3" maximum:"5"`
			LockMinutes     *int  `json:"lockMinutes,omitempty" minimum:"0" maximum:"60"`
		}
	}
)

func (a *api) profile() {
	own := func(op operation) operation { op.tag = sessionTag; return op }
	handle(a, own(operation{id: "updateProfile", method: http.MethodPatch, path: "/session/user", summary: "Change the own profile"}), a.updateProfile)
	handle(a, own(operation{
		id: "changePassword", method: http.MethodPut, path: "/session/password", summary: "Change the own password", status: http.StatusNoContent, doc: "All other sessions end.",
	}), a.changePassword)
	handle(a, own(operation{id: "listSessions", method: http.MethodGet, path: "/session/sessions", summary: "List the own sessions"}), a.listSessions)
	handle(a, own(operation{id: "endSession", method: http.MethodDelete, path: "/session/sessions/{id}", uuid: true, summary: "End one of the own sessions", status: http.StatusNoContent}), a.endSession)
	handle(a, own(operation{id: "endOtherSessions", method: http.MethodDelete, path: "/session/sessions", summary: "End all other own sessions", status: http.StatusNoContent}), a.endOtherSessions)
	handle(a, own(operation{id: "getSecurity", method: http.MethodGet, path: "/session/security", summary: "See what the own sign-in rests on"}), a.getSecurity)
	handle(a, own(operation{
		id: "startSecondFactor", method: http.MethodPost, path: "/session/second-factor", summary: "Begin to set up a second factor",
		doc: "RFC 6238. It counts once a code of it was confirmed.",
	}), a.startSecondFactor)
	handle(a, own(operation{id: "confirmSecondFactor", method: http.MethodPost, path: "/session/second-factor/confirm", summary: "Confirm the second factor"}), a.confirmSecondFactor)
	handle(a, own(operation{id: "removeSecondFactor", method: http.MethodPost, path: "/session/second-factor/remove", summary: "Remove the second factor", status: http.StatusNoContent}), a.removeSecondFactor)
	handle(a, own(operation{
		id: "proveSecondFactor", method: http.MethodPost, path: "/session/second-factor/prove", summary: "Show the second factor in a session that began without", status: http.StatusNoContent,
		doc: "For who came from an identity provider that does not ask for one, where the tenant does. A recovery code does, too.",
	}), a.proveSecondFactor)
	handle(a, own(operation{id: "renewRecoveryCodes", method: http.MethodPost, path: "/session/recovery-codes", summary: "Make new recovery codes"}), a.renewRecoveryCodes)
	handle(a, own(operation{id: "switchTenant", method: http.MethodPut, path: "/session/tenant", summary: "Look at another tenant", doc: "One of the session's tenants."}), a.switchTenant)

	const tag = "Settings"
	handle(a, operation{id: "getSignInPolicy", method: http.MethodGet, path: "/settings/sign-in", tag: tag, summary: "Get how people have to sign in", single: true}, a.getSignInPolicy)
	handle(a, operation{id: "setSignInPolicy", method: http.MethodPut, path: "/settings/sign-in", tag: tag, summary: "Set how people have to sign in", single: true}, a.setSignInPolicy)
}

func (a *api) updateProfile(ctx context.Context, c *call, in *profileIn) (*sessionUserOut, error) {
	b := &in.Body
	u, err := a.Accounts.SetProfile(ctx, &c.Caller, account.Profile{Name: b.Name, Language: b.Language, TimeZone: b.TimeZone, Theme: b.Theme})
	if err != nil {
		return nil, err
	}
	return &sessionUserOut{sessionUserOf(u)}, nil
}

func (a *api) changePassword(ctx context.Context, c *call, in *changePasswordIn) (*struct{}, error) {
	return nil, a.Accounts.ChangePassword(ctx, &c.Caller, in.Body.CurrentPassword, in.Body.Password)
}

func (a *api) listSessions(ctx context.Context, c *call, _ *none) (*openSessionsOut, error) {
	all, err := a.Accounts.Sessions(ctx, &c.Caller)
	if err != nil {
		return nil, err
	}
	out := &openSessionsOut{}
	out.Body.Sessions = make([]OpenSession, len(all))
	for i, s := range all {
		out.Body.Sessions[i] = OpenSession{
			ID: s.ID, Current: s.ID == c.SessionID, Method: s.Method, SecondFactor: s.Strong, Address: s.Address, Agent: s.Agent, CreatedAt: s.CreatedAt, LastUsedAt: s.SeenAt, EndsAt: s.EndsAt,
		}
	}
	return out, nil
}

func (a *api) endSession(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Accounts.EndSession(ctx, &c.Caller, in.ID)
}

func (a *api) endOtherSessions(ctx context.Context, c *call, _ *none) (*struct{}, error) {
	return nil, a.Accounts.EndSession(ctx, &c.Caller, "")
}

func (a *api) getSecurity(ctx context.Context, c *call, _ *none) (*securityOut, error) {
	s, err := a.Accounts.SecurityOf(ctx, &c.Caller)
	if err != nil {
		return nil, err
	}
	p, err := a.Accounts.PolicyOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	out := &securityOut{}
	b := &out.Body
	b.PasswordChangedAt, b.SecondFactor, b.Passkeys, b.RecoveryCodesLeft, b.SecondFactorRequired = s.PasswordAt, s.TOTP, s.Passkeys, s.RecoveryLeft, p.SecondFactor
	return out, nil
}

func (a *api) startSecondFactor(ctx context.Context, c *call, in *withPasswordIn) (*enrolmentOut, error) {
	e, err := a.Accounts.StartTOTP(ctx, &c.Caller, in.Body.Password)
	if err != nil {
		return nil, err
	}
	out := &enrolmentOut{}
	out.Body.Secret, out.Body.URI, out.Body.QR = e.Secret, e.URI, e.QR
	return out, nil
}

func (a *api) confirmSecondFactor(ctx context.Context, c *call, in *codeIn) (*recoveryOut, error) {
	return recoveryOf(a.Accounts.ConfirmTOTP(ctx, &c.Caller, in.Body.Code))
}

func (a *api) proveSecondFactor(ctx context.Context, c *call, in *codeIn) (*struct{}, error) {
	return nil, a.Accounts.Prove(ctx, &c.Caller, in.Body.Code)
}

func (a *api) removeSecondFactor(ctx context.Context, c *call, in *withPasswordIn) (*struct{}, error) {
	return nil, a.Accounts.RemoveTOTP(ctx, &c.Caller, in.Body.Password)
}

func (a *api) renewRecoveryCodes(ctx context.Context, c *call, in *withPasswordIn) (*recoveryOut, error) {
	return recoveryOf(a.Accounts.RecoveryCodes(ctx, &c.Caller, in.Body.Password))
}

func recoveryOf(codes []string, err error) (*recoveryOut, error) {
	if err != nil {
		return nil, err
	}
	out := &recoveryOut{}
	out.Body.RecoveryCodes = codes
	return out, nil
}

func (a *api) switchTenant(ctx context.Context, c *call, in *switchIn) (*sessionOut, error) {
	places, err := a.Accounts.Places(ctx, &c.Caller)
	if err != nil {
		return nil, err
	}
	for i := range places {
		p := &places[i]
		if p.Tenant.ID != in.Body.TenantID {
			continue
		}
		if err := a.Accounts.Switch(ctx, &c.Caller, p.Tenant.Number); err != nil {
			return nil, err
		}
		now, err := a.Accounts.Session(ctx, c.SessionID)
		if err != nil {
			return nil, err
		}
		body, err := a.sessionOf(ctx, now)
		if err != nil {
			return nil, err
		}
		return &sessionOut{Body: *body}, nil
	}
	return nil, notFound()
}

func policyOf(p account.Policy) *signInPolicyOut {
	return &signInPolicyOut{signInPolicy{
		SecondFactorRequired: p.SecondFactor, IdleMinutes: int(p.Idle / time.Minute), LongestHours: int(p.Longest / time.Hour),
		PasswordHistory: p.History, PasswordKinds: p.Kinds, LockAttempts: p.LockAttempts, LockMinutes: int(p.LockFor / time.Minute),
	}}
}

func (a *api) getSignInPolicy(ctx context.Context, c *call, _ *none) (*signInPolicyOut, error) {
	p, err := a.Accounts.PolicyOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	return policyOf(p), nil
}

func (a *api) setSignInPolicy(ctx context.Context, c *call, in *signInPolicyIn) (*signInPolicyOut, error) {
	p, err := a.Accounts.PolicyOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	p.SecondFactor, p.Idle, p.Longest = b.SecondFactorRequired, time.Duration(b.IdleMinutes)*time.Minute, time.Duration(b.LongestHours)*time.Hour
	if b.PasswordHistory != nil {
		p.History = *b.PasswordHistory
	}
	if b.PasswordKinds != nil {
		p.Kinds = *b.PasswordKinds
	}
	if b.LockAttempts != nil {
		p.LockAttempts = *b.LockAttempts
	}
	if b.LockMinutes != nil {
		p.LockFor = time.Duration(*b.LockMinutes) * time.Minute
	}
	if err := a.Accounts.SetPolicy(ctx, c.Tenant.Number, c.Actor, p); err != nil {
		return nil, err
	}
	return policyOf(p), nil
}
