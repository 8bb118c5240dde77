package account

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
)

// authenticator is a virtual one: a key, its owner, and a counter (WebAuthn Level 3).
type authenticator struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      []byte
	handle  []byte
	origin  string
	host    string
	counter uint32
	careful bool // it verifies its owner
}

func newAuthenticator(t *testing.T, origin, host string) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{t: t, key: key, id: []byte("0123456789abcdef"), origin: origin, host: host, careful: true}
}

var b64 = base64.RawURLEncoding

// options is what the server asked, as a browser reads it.
type options struct {
	Challenge string `json:"challenge"`
	RPID      string `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	AuthenticatorSelection struct {
		ResidentKey      string `json:"residentKey"`
		UserVerification string `json:"userVerification"`
	} `json:"authenticatorSelection"`
}

func (a *authenticator) read(asked *Asked) options {
	a.t.Helper()
	text, err := json.Marshal(asked.Options)
	if err != nil {
		a.t.Fatal(err)
	}
	var o options
	if err := json.Unmarshal(text, &o); err != nil {
		a.t.Fatal(err)
	}
	return o
}

func (a *authenticator) client(kind, challenge string) []byte {
	text, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	return text
}

func (a *authenticator) data(flags byte) []byte {
	const present, verified = 1, 4
	flags |= present
	if a.careful {
		flags |= verified
	}
	sum := sha256.Sum256([]byte(a.host))
	a.counter++
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.counter)
}

func (a *authenticator) create(asked *Asked) []byte {
	a.t.Helper()
	o := a.read(asked)
	a.handle, _ = b64.DecodeString(o.User.ID)
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		a.t.Fatal(err)
	}
	public, _ := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}) // EC2, ES256, P-256
	const attested = 64
	data := append(a.data(attested), make([]byte, 16)...) // AAGUID of nobody
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(a.id))), a.id...)
	object, _ := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": append(data, public...)})
	return a.answer(map[string]any{"clientDataJSON": b64.EncodeToString(a.client("webauthn.create", o.Challenge)), "attestationObject": b64.EncodeToString(object)})
}

func (a *authenticator) get(asked *Asked) []byte {
	a.t.Helper()
	client, data := a.client("webauthn.get", a.read(asked).Challenge), a.data(0)
	sum := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	return a.answer(map[string]any{
		"clientDataJSON": b64.EncodeToString(client), "authenticatorData": b64.EncodeToString(data), "signature": b64.EncodeToString(signature), "userHandle": b64.EncodeToString(a.handle),
	})
}

func (a *authenticator) answer(response map[string]any) []byte {
	id := b64.EncodeToString(a.id)
	text, _ := json.Marshal(map[string]any{"id": id, "rawId": id, "type": "public-key", "response": response})
	return text
}

func TestPasskey(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.URL = func() string { return "https://kyra.example.com" }
		b.add(b.a, "hana@example.com", identity.Admin)
		s := b.in("hana@example.com", "")
		a := newAuthenticator(t, "https://kyra.example.com", "kyra.example.com")

		_, err := b.StartPasskey(ctx, &s.Caller, "not the password")
		wantKind(t, err, fault.Invalid)
		asked, err := b.StartPasskey(ctx, &s.Caller, good)
		if err != nil {
			t.Fatal(err)
		}
		if o := a.read(asked); o.RP.ID != "kyra.example.com" || o.AuthenticatorSelection.ResidentKey != "required" || o.AuthenticatorSelection.UserVerification != "required" {
			t.Errorf("asked for %+v", o)
		}
		answer := a.create(asked)
		_, codes, err := b.FinishPasskey(ctx, &s.Caller, asked.Token, "Laptop", answer)
		if err != nil || len(codes) != recoveryCodes {
			t.Fatal(codes, err)
		}
		_, _, err = b.FinishPasskey(ctx, &s.Caller, asked.Token, "Laptop", answer)
		wantKind(t, err, fault.Invalid) // once

		in := func(change func(*authenticator)) error {
			asked, err := b.AskPasskey(ctx)
			if err != nil {
				t.Fatal(err)
			}
			x := *a
			change(&x)
			answer := x.get(asked)
			a.counter = max(a.counter, x.counter)
			token, err := b.SignInByPasskey(ctx, asked.Token, answer, home)
			if err != nil {
				return err
			}
			got, err := b.Authenticate(ctx, token)
			if err != nil || got.UserID != s.UserID || !got.Session.Strong || got.Session.Method != "passkey" {
				t.Errorf("%+v, %v", got, err)
			}
			_, err = b.SignInByPasskey(ctx, asked.Token, answer, home)
			wantKind(t, err, fault.Invalid) // an answer works once
			return nil
		}
		if err := in(func(*authenticator) {}); err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*authenticator){
			"another site":     func(x *authenticator) { x.origin = "https://kyra.example.net" },
			"another host":     func(x *authenticator) { x.host = "example.com" },
			"another key":      func(x *authenticator) { x.key = newAuthenticator(t, "", "").key },
			"another person":   func(x *authenticator) { x.handle = []byte("01a215bb-220b-7143-a0b4-a5662e84e3e0") },
			"nobody's hand":    func(x *authenticator) { x.careful = false },
			"a copy of itself": func(x *authenticator) { x.counter = 0 },
		} {
			if err := in(change); err == nil {
				t.Errorf("%s signs in", what)
			} else {
				wantKind(t, err, fault.Unauthenticated)
			}
		}
		if err := in(func(*authenticator) {}); err != nil {
			t.Errorf("after the refusals: %v", err)
		}

		// The password alone is not enough any more: the passkey is the second factor.
		_, err = b.SignIn(ctx, Proof{Email: "hana@example.com", Password: good}, home)
		if f, ok := asFault(err); !ok || f.Kind != fault.Unauthenticated || f.Field != PasskeyRequired {
			t.Errorf("the password alone: %v", err)
		}
		if _, err := b.SignIn(ctx, Proof{"hana@example.com", good, "AAAA-AAAA-AAAA-AAAA"}, home); !errors.Is(err, errRefused) {
			t.Errorf("a wrong recovery code: %v", err)
		}
		if _, err := b.SignIn(ctx, Proof{"hana@example.com", good, "123456"}, home); !errors.Is(err, errRefused) {
			t.Errorf("a code of no authenticator: %v", err)
		}
		if got := b.in("hana@example.com", codes[0]); !got.Session.Strong {
			t.Error("a recovery code leaves the session weak")
		}
		if _, err := b.SignIn(ctx, Proof{"hana@example.com", good, codes[0]}, home); !errors.Is(err, errRefused) {
			t.Errorf("a spent recovery code: %v", err)
		}
		// An app that was begun but not confirmed is no way round it.
		if _, err := b.StartTOTP(ctx, &s.Caller, good); err != nil {
			t.Fatal(err)
		}
		if _, err := b.SignIn(ctx, Proof{"hana@example.com", good, "000000"}, home); !errors.Is(err, errRefused) {
			t.Errorf("beside an unconfirmed app: %v", err)
		}
		if f, err := b.FiguresOf(ctx, b.a); err != nil || f.SecondFactor != 1 {
			t.Errorf("%+v, %v", f, err)
		}
		keys, err := b.Passkeys(ctx, s.UserID)
		if err != nil || len(keys) != 1 || keys[0].Name != "Laptop" || keys[0].UsedAt == nil {
			t.Fatalf("%+v, %v", keys, err)
		}
		if err := b.RemovePasskey(ctx, &s.Caller, keys[0].ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, in(func(*authenticator) {}), fault.Unauthenticated)
		if got := b.in("hana@example.com", ""); got.Session.Strong { // no factor is left
			t.Error("the password alone counts as strong")
		}
		left, err := b.SecurityOf(ctx, &s.Caller)
		if err != nil || left.RecoveryLeft != 0 || left.Passkeys != 0 {
			t.Errorf("%+v, %v: recovery codes outlive the last factor", left, err)
		}

		b.URL = func() string { return "http://192.0.2.1:8080" }
		_, err = b.AskPasskey(ctx)
		wantKind(t, err, fault.Conflict)
	})
}

func FuzzPasskeyAnswer(f *testing.F) {
	f.Add([]byte(`{"id":"eA","rawId":"eA","type":"public-key","response":{}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		b := &Service{Config: Config{URL: func() string { return "https://kyra.example.com" }}}
		defer func() {
			if v := recover(); v != nil {
				t.Errorf("%q: %v", answer, v)
			}
		}()
		if party, err := b.party(); err != nil || party == nil {
			t.Fatal(err)
		}
		readAnswers(answer)
	})
}

// readAnswers is what the two doors do with foreign bytes before anything else.
func readAnswers(answer []byte) {
	_, _ = protocol.ParseCredentialCreationResponseBytes(answer)
	_, _ = protocol.ParseCredentialRequestResponseBytes(answer)
}
