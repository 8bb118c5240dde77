package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// TokenPrefix begins every enrolment token.
const TokenPrefix = "kyra-enroll_"

// Token is the text that an administrator gives to a host, once:
//
//	kyra-enroll_<secret>.<hex SHA-256 of the authority's certificate, DER>
type Token struct {
	Secret string            // what the server knows the hash of
	CA     [sha256.Size]byte // of the only authority that the collector trusts
}

// String returns the token's text.
func (t Token) String() string {
	return TokenPrefix + t.Secret + "." + hex.EncodeToString(t.CA[:])
}

// ParseToken reads a token. Its errors hold nothing of the secret.
func ParseToken(text string) (Token, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), TokenPrefix)
	if !ok {
		return Token{}, errors.New("an enrolment token begins with " + TokenPrefix + ": copy it whole")
	}
	secret, sum, ok := strings.Cut(body, ".")
	var t Token
	raw, err := hex.DecodeString(sum)
	if !ok || secret == "" || err != nil || len(raw) != len(t.CA) {
		return Token{}, errors.New("the enrolment token is cut off or changed: copy it whole, or ask for a new one")
	}
	t.Secret = secret
	copy(t.CA[:], raw)
	return t, nil
}
