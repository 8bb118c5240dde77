package identity

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// A Scope is what a key may do.
type Scope string

// The scopes.
const (
	ReadOnly  Scope = "read-only"
	ReadWrite Scope = "read-write"
)

// Scopes lists the scopes by their written names.
var Scopes = []string{string(ReadOnly), string(ReadWrite)}

// A Status is what became of a key.
type Status string

// The states of a key.
const (
	Active  Status = "active"
	Expired Status = "expired"
	Revoked Status = "revoked"
)

// Statuses lists the states by their written names.
var Statuses = []string{string(Active), string(Expired), string(Revoked)}

// A Key is an API key of one tenant, without its secret.
type Key struct {
	ID        string // UUIDv7
	Tenant    uint32
	Name      string
	Scope     Scope
	Prefix    string         // the first characters of the secret, to recognise it by
	CIDRs     []netip.Prefix // where it may be used from; empty: anywhere
	CreatedAt time.Time
	CreatedBy string     // actor
	ExpiresAt *time.Time // nil: never
	LastUsed  *time.Time // to the minute; nil: never
	RevokedAt *time.Time // nil: not revoked
}

// Status returns the key's state at the time now.
func (k *Key) Status(now time.Time) Status {
	switch {
	case k.RevokedAt != nil:
		return Revoked
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return Expired
	}
	return Active
}

// permits tells whether the key may be used at that time from that address.
func (k *Key) permits(now time.Time, from netip.Addr) bool {
	if k.Status(now) != Active {
		return false
	}
	if len(k.CIDRs) == 0 {
		return true
	}
	from = from.Unmap().WithZone("")
	for _, p := range k.CIDRs {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// A Caller is who sent a request: an API key, or a person who has signed in.
type Caller struct {
	Tenant tenant.Tenant
	KeyID  string // "" for a person
	Name   string
	Scope  Scope  // of a person: ReadWrite for an Admin or Analyst, else ReadOnly
	Actor  string // for audit and history: "key:" and the name, "user:" and the address

	UserID    string // "" for a key
	SessionID string
	Home      uint32 // the tenant whose people they are of: Tenant, or the one that a demo tenant is of
	Role      Role   // of the person in the tenant
	Provider  bool   // an Admin of the tenant that runs the installation
	Strong    bool   // a second factor was shown
	Weak      bool   // a second factor is required and none was shown: all they may do is set one up
	Bound     bool   // the tenant's identity provider vouches for them: the session stays in it and its demo
}

// ID names the caller for what is kept for each one: the key's id, or the person's.
func (c *Caller) ID() string {
	if c.UserID != "" {
		return c.UserID
	}
	return c.KeyID
}

// CanWrite tells whether the caller may change anything.
func (c *Caller) CanWrite() bool { return c.Scope == ReadWrite }

// A Draft describes a key to make.
type Draft struct {
	Name      string     // 1 to 100 printable characters
	Scope     Scope      // required
	ExpiresAt *time.Time // nil: never; else in the future
	CIDRs     []string   // networks or single addresses; empty: from anywhere
}

const (
	maxName  = 100
	maxCIDRs = 50
)

// check returns the networks, or a fault that names the field.
func (d *Draft) check(now time.Time) ([]netip.Prefix, error) {
	d.Name = strings.TrimSpace(d.Name)
	n := utf8.RuneCountInString(d.Name)
	if n < 1 || n > maxName || strings.ContainsFunc(d.Name, unprintable) {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d printable characters", maxName).In("name")
	}
	if d.Scope != ReadOnly && d.Scope != ReadWrite {
		return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Scopes, ", ")).In("scope")
	}
	if d.ExpiresAt != nil && !d.ExpiresAt.After(now) {
		return nil, fault.New(fault.Invalid, "Allowed: a time in the future").In("expiresAt")
	}
	if len(d.CIDRs) > maxCIDRs {
		return nil, fault.New(fault.Invalid, "Allowed: at most %d networks", maxCIDRs).In("allowedCidrs")
	}
	networks := make([]netip.Prefix, 0, len(d.CIDRs))
	for _, s := range d.CIDRs {
		p, err := parseNetwork(s)
		if err != nil {
			return nil, fault.New(fault.Invalid, "Allowed: networks such as 10.0.0.0/8 or 2001:db8::/32, or addresses").In("allowedCidrs")
		}
		networks = append(networks, p)
	}
	return networks, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func parseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fault.Invalid
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fault.Invalid
	}
	return p.Masked(), nil
}
