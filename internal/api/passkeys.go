package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
)

type (
	// PasskeyItem is a person's key in an authenticator.
	PasskeyItem struct {
		ID         string     `json:"id" format:"uuid"`
		Name       string     `json:"name"`
		CreatedAt  time.Time  `json:"createdAt"`
		LastUsedAt *time.Time `json:"lastUsedAt" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	passkeyOut struct {
		Body struct {
			PasskeyItem
			RecoveryCodes []string `json:"recoveryCodes" nullable:"false" doc:"With the first second factor: each works once where the passkey is lost. They are shown here only."`
		}
	}
	passkeysOut struct {
		Body struct {
			Passkeys []PasskeyItem `json:"passkeys" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	askedOut struct {
		Body struct {
			Token     string `json:"token" doc:"To come back with the answer, within five minutes."`
			PublicKey any    `json:"publicKey" doc:"For navigator.credentials, in the JSON form of WebAuthn Level 3: parseCreationOptionsFromJSON or parseRequestOptionsFromJSON."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	finishPasskeyIn struct {
		Body struct {
			Token      string          `json:"token"`
			Name       string          `json:"name" doc:"1 to 100 characters." example:"Laptop"`
			Credential json.RawMessage `json:"credential" doc:"What the browser answered, by toJSON()."`
		}
	}
	passkeySignInIn struct {
		Agent string `header:"User-Agent" hidden:"true"`
		Body  struct {
			Token      string          `json:"token"`
			Credential json.RawMessage `json:"credential" doc:"What the browser answered, by toJSON()."`
		}
	}
)

func passkeyOf(k *account.Passkey) PasskeyItem {
	return PasskeyItem{ID: k.ID, Name: k.Name, CreatedAt: k.CreatedAt, LastUsedAt: k.UsedAt}
}

func (a *api) passkeys() {
	handle(a, operation{id: "listPasskeys", method: http.MethodGet, path: "/session/passkeys", tag: sessionTag, summary: "List the own passkeys"}, a.listPasskeys)
	handle(a, operation{id: "startPasskey", method: http.MethodPost, path: "/session/passkeys/start", tag: sessionTag, summary: "Begin to add a passkey"}, a.startPasskey)
	handle(a, operation{id: "addPasskey", method: http.MethodPost, path: "/session/passkeys", tag: sessionTag, summary: "Add a passkey", status: http.StatusCreated}, a.addPasskey)
	handle(a, operation{id: "removePasskey", method: http.MethodDelete, path: "/session/passkeys/{id}", uuid: true, tag: sessionTag, summary: "Remove a passkey", status: http.StatusNoContent}, a.removePasskey)
	handle(a, operation{id: "askPasskey", method: http.MethodPost, path: "/session/passkey/start", tag: sessionTag, summary: "Begin to sign in with a passkey", public: true}, a.askPasskey)
	handle(a, operation{
		id: "signInByPasskey", method: http.MethodPost, path: "/session/passkey", tag: sessionTag, summary: "Sign in with a passkey", public: true,
		doc: "A passkey verifies its owner and so stands for password and second factor.",
	}, a.signInByPasskey)
}

func (a *api) listPasskeys(ctx context.Context, c *call, _ *none) (*passkeysOut, error) {
	all, err := a.Accounts.Passkeys(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	out := &passkeysOut{}
	out.Body.Passkeys = make([]PasskeyItem, len(all))
	for i := range all {
		out.Body.Passkeys[i] = passkeyOf(&all[i])
	}
	return out, nil
}

func askedOf(x *account.Asked, err error) (*askedOut, error) {
	if err != nil {
		return nil, err
	}
	out := &askedOut{}
	out.Body.Token, out.Body.PublicKey = x.Token, x.Options
	return out, nil
}

func (a *api) startPasskey(ctx context.Context, c *call, in *withPasswordIn) (*askedOut, error) {
	return askedOf(a.Accounts.StartPasskey(ctx, &c.Caller, in.Body.Password))
}

func (a *api) addPasskey(ctx context.Context, c *call, in *finishPasskeyIn) (*passkeyOut, error) {
	k, codes, err := a.Accounts.FinishPasskey(ctx, &c.Caller, in.Body.Token, in.Body.Name, in.Body.Credential)
	if err != nil {
		return nil, err
	}
	out := &passkeyOut{}
	out.Body.PasskeyItem, out.Body.RecoveryCodes = passkeyOf(k), orEmpty(codes)
	return out, nil
}

func (a *api) removePasskey(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Accounts.RemovePasskey(ctx, &c.Caller, in.ID)
}

func (a *api) askPasskey(ctx context.Context, _ *call, _ *none) (*askedOut, error) {
	return askedOf(a.Accounts.AskPasskey(ctx))
}

func (a *api) signInByPasskey(ctx context.Context, c *call, in *passkeySignInIn) (*sessionOut, error) {
	token, err := a.Accounts.SignInByPasskey(ctx, in.Body.Token, in.Body.Credential, account.From{Address: c.from, Agent: in.Agent})
	if err != nil {
		return nil, err
	}
	return a.begun(ctx, token)
}
