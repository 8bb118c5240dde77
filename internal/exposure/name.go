package exposure

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/kyra-mdr/kyra/internal/fault"
)

const (
	maxName  = 253 // characters, RFC 1035 2.3.4
	maxLabel = 63
)

// Normal brings a host name as somebody wrote it into its one form: lower case, ASCII
// (RFC 5891), without port, dot at the end or wildcard. ok is false for what is none.
func Normal(text string) (name string, ok bool) {
	text = strings.TrimSpace(text)
	if host, port, found := strings.Cut(text, ":"); found {
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return "", false
		}
		text = host
	}
	text = strings.TrimPrefix(strings.TrimSuffix(text, "."), "*.")
	if len(text) > 4*maxName {
		return "", false
	}
	for i := range len(text) {
		if text[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(text)
			if err != nil {
				return "", false
			}
			text = ascii
			break
		}
	}
	text = strings.ToLower(text)
	return text, wellFormed(text)
}

// wellFormed tells whether a text in lower case is a host name of two labels or more.
// Underscores are let through: many names that are no hosts have them, and some that are.
func wellFormed(name string) bool {
	if len(name) == 0 || len(name) > maxName || strings.IndexByte(name, '.') < 0 {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'; !letter && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

const maxDomainLabels = 8

// domainName reads the name of a domain that somebody may own: no public suffix such as
// co.uk, under which everybody has names, and none that no public suffix is known of,
// unless the tenant's own network uses it.
func domainName(text string) (string, error) {
	name, ok := Normal(text)
	switch {
	case !ok || strings.HasPrefix(strings.TrimSpace(text), "*"):
		return "", fault.New(fault.Invalid, "Allowed: a domain such as example.com").In("name")
	case strings.Count(name, ".") >= maxDomainLabels:
		return "", fault.New(fault.Invalid, "Allowed: at most %d labels", maxDomainLabels).In("name")
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return "", fault.New(fault.Invalid, "%s is a public suffix: everybody can have names under it", name).In("name")
	}
	return name, nil
}

// under tells whether name is domain or lies under it.
func under(name, domain string) bool {
	rest, ok := strings.CutSuffix(name, domain)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}

// certificateNames yields the host names in what products write of a certificate: a
// list of alternative names, or a subject such as "C=DE, O=Example, CN=www.example.com".
func certificateNames(text string, yield func(string)) {
	const most = 200
	n := 0
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return r == ',' || r == ';' || r == ' ' || r == '/' || r == '[' || r == ']' || r == '"' || r == '\''
	}) {
		if n++; n > most {
			return
		}
		if key, value, ok := strings.Cut(part, "="); ok {
			if !strings.EqualFold(key, "CN") {
				continue
			}
			part = value
		}
		if kind, value, ok := strings.Cut(part, ":"); ok { // DNS:www.example.com
			if !strings.EqualFold(kind, "DNS") {
				continue
			}
			part = value
		}
		if name, ok := Normal(part); ok {
			yield(name)
		}
	}
}
