// Package outbound is the way out: every call to an address that somebody typed in
// goes through its guard, which looks at the address that is about to be connected
// to, after names are resolved and again on every redirect. It knows no protocol
// above HTTP and keeps no data.
package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Guard decides which addresses may be called. Everything that is not a public
// unicast address is refused: loopback, private, link-local (where clouds keep their
// metadata), shared (RFC 6598), documentation, multicast, and every IPv6 form that
// carries an IPv4 address inside. What the operator allows by prefix is let through.
type Guard struct {
	allow    []netip.Prefix
	guardian *ssrf.Guardian
	resolver *net.Resolver // nil: the system's
}

// metadata is a cloud's service for its guests on a public address (Azure).
var metadata = netip.MustParsePrefix("168.63.129.16/32")

// NewGuard returns a guard that lets through what lies in the networks of allow, such
// as "10.1.0.0/16" or "192.0.2.7".
func NewGuard(allow []string) (*Guard, error) {
	g := &Guard{}
	for _, text := range allow {
		p, err := ParseNetwork(text)
		if err != nil {
			return nil, err
		}
		g.allow = append(g.allow, p)
	}
	g.guardian = ssrf.New(ssrf.WithAnyPort(), ssrf.WithAnyNetwork(), ssrf.WithDeniedV4Prefixes(metadata))
	return g, nil
}

// ParseNetwork reads a network in CIDR form or one address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fault.New(fault.Invalid, "%q is not a network such as 10.0.0.0/8", text)
	}
	return p.Masked(), nil
}

// Allowed tells whether the operator has let the address through by name.
func (g *Guard) Allowed(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, p := range g.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Check returns nil where the address may be called, and else a fault.Forbidden that
// says how to allow it.
func (g *Guard) Check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	if g.Allowed(addr) || addr.IsValid() && g.guardian.SafeAddr(addr) == nil {
		return nil
	}
	return fault.New(fault.Forbidden, "%s is not a public address: the operator can allow it with --webhook-allow", addr)
}

// Dialer returns a dialer that connects only to what the guard lets through. It looks
// at the address of each connection itself, so that a name cannot resolve to one
// address when it is checked and to another when it is called.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Resolver: g.resolver, Control: g.control(g.Check)}
}

// PlainDialer is Dialer for connections without TLS: only to addresses that the operator
// allows by name.
func (g *Guard) PlainDialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Resolver: g.resolver, Control: g.control(func(addr netip.Addr) error {
		if err := g.Check(addr); err != nil {
			return err
		}
		if !g.Allowed(addr) {
			return fault.New(fault.Forbidden, "a connection to %s without TLS is refused: use TLS, or let the operator allow the address with --webhook-allow", addr)
		}
		return nil
	})}
}

func (g *Guard) control(check func(netip.Addr) error) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fault.New(fault.Forbidden, "%s %s is not an address that can be called", network, address)
		}
		return check(to.Addr())
	}
}

const maxURL = 2000 // characters

// CheckURL reads an address of http or https and refuses what can be seen to be wrong
// without asking the network: other schemes, credentials, a fragment, an address that
// is not let through, a name that means this machine. What a name resolves to is looked
// at when it is called. The fault names no field.
func (g *Guard) CheckURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fault.New(fault.Invalid, "Allowed: an https address of at most %d characters", maxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }):
		return nil, fault.New(fault.Invalid, "Allowed: an https address such as https://example.com/hook")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fault.New(fault.Invalid, "Allowed: an address that begins with https://")
	case u.Hostname() == "":
		return nil, fault.New(fault.Invalid, "Allowed: an address with a host, such as https://example.com/hook")
	case u.User != nil:
		return nil, fault.New(fault.Invalid, "Allowed: an address without a user name or password in it")
	case u.Fragment != "":
		return nil, fault.New(fault.Invalid, "Allowed: an address without a fragment (#…)")
	}
	return u, g.checkHost(u)
}

func (g *Guard) checkHost(u *url.URL) error {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if port := u.Port(); port != "" {
		if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
			return fault.New(fault.Invalid, "%q is not a port", port)
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		switch {
		case host == "localhost" || strings.HasSuffix(host, ".localhost"):
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case numeric(host):
			return fault.New(fault.Invalid, "%q is no host name: write an address as four decimal numbers", host)
		default:
			return nil // asked when it is called; so is whether http is allowed there
		}
	}
	if err := g.Check(addr); err != nil {
		return fault.New(fault.Invalid, "%s is not a public address: the operator can allow it with --webhook-allow", addr)
	}
	if u.Scheme == "http" && !g.Allowed(addr) {
		return fault.New(fault.Invalid, "Allowed: https; plain http only to addresses that the operator allows with --webhook-allow")
	}
	return nil
}

// numeric tells whether some resolver would take the host for an IPv4 address in one of
// its old forms: 2130706433, 0x7f.1, 127.1, 0177.0.0.1.
func numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return true
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// String lists what is allowed, for the log.
func (g *Guard) String() string { return fmt.Sprint(g.allow) }
