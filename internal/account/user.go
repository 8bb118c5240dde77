package account

import (
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
)

// A User is a person's account, without its secrets.
type User struct {
	ID         string // UUIDv7
	Email      string // in lower case
	Name       string
	Language   string // one of Languages
	TimeZone   string // IANA name
	Theme      string // one of Themes
	PasswordAt *time.Time
	TOTP       bool // a second factor is confirmed
	CreatedAt  time.Time
	CreatedBy  string
	SignedInAt *time.Time
	Version    int64

	password string // PHC form, "" for none
	totp     []byte // sealed
	totpStep int64
}

// A Member is a person's place in one tenant.
type Member struct {
	UserID   string
	Tenant   uint32
	Role     identity.Role
	Status   Status
	Origin   string // local, sso or scim: who made it
	External string // its id at who provisions it
	Vouched  bool   // an identity provider or directory gave it to an account that others had made: only the provider opens it
	AddedAt  time.Time
	AddedBy  string
}

// A Status tells whether somebody may come in.
type Status string

// The states of a member.
const (
	Invited  Status = "invited"
	Active   Status = "active"
	Disabled Status = "disabled"
)

// Statuses lists the states by their written names.
var Statuses = []string{string(Invited), string(Active), string(Disabled)}

// What a profile may say.
var (
	Languages = []string{"en", "ko", "ja"}
	Themes    = []string{"auto", "light", "dark"}
)

const (
	maxName  = 100
	maxEmail = 254 // RFC 5321 4.5.3.1.3
)

// checkEmail returns the address in the one form that accounts are known by.
func checkEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > maxEmail || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "Allowed: a mail address such as hana@example.com").In("email")
	}
	return s, nil
}

func checkName(s string) (string, error) {
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n < 1 || n > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", fault.New(fault.Invalid, "Allowed: 1 to %d printable characters", maxName).In("name")
	}
	return s, nil
}

func checkRole(r identity.Role) error {
	if !slices.Contains(identity.Roles, string(r)) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(identity.Roles, ", ")).In("role")
	}
	return nil
}
