// Package principal knows the accounts that events name: people, services and machines,
// which of them may do much, when each signed in last and from where. In the API they are
// called identities; package identity is KYRA's own keys.
package principal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Types lists what an account may be.
var Types = []string{"human", "service", "machine", "built-in"}

// Statuses lists what people say of an account.
var Statuses = []string{"active", "disabled", "departed", "watched"}

// A Principal is one account.
type Principal struct {
	ID, Word, Name, Domain, UID string
	Type, Status, Owner         string
	Tags                        []string
	Privileged                  bool
	Override                    *bool    // what people said of Privileged
	Reasons                     []string // why the evidence says so
	First, Last                 time.Time
	SignIn                      *time.Time // newest success
	SignInFrom, SignInHost      string
	Failed24h, Failed7d         int64
	Dormant                     bool
	Addresses, Hosts            []Place // usual ones, the most frequent first, up to 10
	Version                     int64

	tags     string
	evidence int64
}

// A Place is where an account came from, or was seen.
type Place struct {
	Value       string
	First, Last time.Time
	Times       int64 // minutes in which it was seen there
}

// Evidence that an account may do much.
const (
	bitBuiltIn int64 = 1 << iota
	bitSudo
	bitGroup
	bitSpecial
)

var reasons = []struct {
	bit  int64
	text string
}{{bitBuiltIn, "built-in administrator"}, {bitSudo, "ran commands as another user"}, {bitGroup, "was added to a group of administrators"}, {bitSpecial, "was given special privileges at logon"}}

func reasonsOf(bits int64) (out []string) {
	for _, r := range reasons {
		if bits&r.bit != 0 {
			out = append(out, r.text)
		}
	}
	return out
}

var adminGroups = []string{"sudo", "wheel", "admin", "administrators", "domain admins", "enterprise admins", "schema admins", "account operators", "backup operators", "root", "docker"}

var builtIn = []string{
	"root", "administrator", "system", "local service", "network service", "anonymous logon", "guest", "krbtgt", "nobody", "daemon", "bin", "www-data", "sys", "defaultaccount", "wdagutilityaccount", "dwm-1", "umfd-0", "umfd-1",
}

const maxText = 200

// account is who an event names, in one form.
type account struct{ word, name, domain string }

// accountOf brings user and domain into one form; ok is false where they name nobody.
func accountOf(user, domain, uid string) (a account, ok bool) {
	user, domain = strings.ToLower(strings.TrimSpace(user)), strings.ToLower(strings.TrimSpace(domain))
	if i := strings.IndexByte(user, '\\'); i > 0 {
		domain, user = user[:i], user[i+1:]
	} else if i := strings.LastIndexByte(user, '@'); i > 0 && i < len(user)-1 {
		user, domain = user[:i], user[i+1:]
	}
	if domain == "-" || domain == "." {
		domain = ""
	}
	switch user {
	case "", "-", "(null)", "null", "none", "unknown", "n/a", "unset", "anonymous":
		if user == "" && uid != "" && len(uid) <= maxText && uid != "4294967295" && !strings.ContainsAny(uid, "\x00\n") {
			return account{"uid:" + strings.ToLower(uid), uid, ""}, true
		}
		return a, false
	}
	if len(user)+len(domain) > maxText || strings.ContainsAny(user+domain, "\x00\n\r\t") {
		return a, false
	}
	a = account{user, user, domain}
	switch {
	case domain == "":
	case strings.Contains(domain, "."):
		a.word = user + "@" + domain
	default:
		a.word = domain + `\` + user
	}
	return a, true
}

func (a *account) kind() string {
	switch {
	case strings.HasSuffix(a.name, "$"):
		return "machine"
	case slices.Contains(builtIn, a.name) || a.domain == "nt authority" || a.domain == "window manager" || a.domain == "font driver host":
		return "built-in"
	case strings.HasPrefix(a.name, "svc") || strings.HasPrefix(a.name, "service") || strings.HasPrefix(a.name, "sa-") || strings.HasSuffix(a.name, "-svc") || strings.HasSuffix(a.name, "_svc") || strings.HasSuffix(a.domain, "gserviceaccount.com"):
		return "service"
	}
	return "human"
}

func (a *account) evidence() int64 {
	if a.name == "root" || a.name == "administrator" || a.name == "system" || a.name == "krbtgt" {
		return bitBuiltIn
	}
	return 0
}

// space makes ids that every server gives.
var space = uuid.MustParse("5b0d6a64-5d0e-5b9f-8f4e-7072696e6369")

func idOf(tenant uint32, word string) string {
	return uuid.NewSHA1(space, fmt.Appendf(nil, "%d\x00%s", tenant, word)).String()
}
