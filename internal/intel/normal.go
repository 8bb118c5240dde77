package intel

import (
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Normalise brings a value of a type into its one form, or says what is wrong with it
// (fault.Invalid in "value"). Defanged forms (hxxp, [.], (at)) are read as they were
// meant. IPv4 inside of IPv6 becomes IPv4, so the type may be the other one of the two:
// see Guess where it matters.
func Normalise(t Type, value string) (string, error) {
	if len(value) > 4*MaxValue {
		return "", bad("at most %d bytes", MaxValue)
	}
	value = Refang(value)
	switch t {
	case IPv4, IPv6:
		a, err := netip.ParseAddr(strings.Trim(value, "[]"))
		if err != nil || a.Zone() != "" {
			return "", bad("an address such as 203.0.113.7 or 2001:db8::1")
		}
		a = a.Unmap()
		if a.Is4() != (t == IPv4) {
			return "", bad("an address of type %s", t)
		}
		if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() {
			return "", bad("an address of a host: %s would match nothing or everything", a)
		}
		return a.String(), nil
	case CIDR:
		return normalCIDR(value)
	case Domain:
		return normalDomain(value)
	case URL:
		return normalURL(value)
	case MD5, JA3:
		return normalHex(value, 32)
	case SHA1:
		return normalHex(value, 40)
	case SHA256:
		return normalHex(value, 64)
	case Email:
		return normalEmail(value)
	}
	return "", fault.New(fault.Invalid, "Allowed: ipv4, ipv6, cidr, domain, url, md5, sha1, sha256, email, ja3").In("type")
}

func bad(format string, args ...any) error {
	return fault.New(fault.Invalid, "Allowed: "+format, args...).In("value")
}

// Guess finds out the type of a value and brings it into its one form. 32 hexadecimal
// digits are taken for MD5.
func Guess(value string) (Type, string, error) {
	if len(value) > 4*MaxValue {
		return "", "", bad("at most %d bytes", MaxValue)
	}
	value = Refang(value)
	try := func(t Type) (Type, string, error) {
		v, err := Normalise(t, value)
		return t, v, err
	}
	if isHex(value) {
		switch len(value) {
		case 32:
			return try(MD5)
		case 40:
			return try(SHA1)
		case 64:
			return try(SHA256)
		}
	}
	if a, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil {
		if a.Unmap().Is4() {
			return try(IPv4)
		}
		return try(IPv6)
	}
	switch {
	case strings.Contains(value, "://"):
		return try(URL)
	case strings.Contains(value, "@"):
		return try(Email)
	}
	if before, after, ok := strings.Cut(value, "/"); ok {
		if _, err := netip.ParseAddr(before); err == nil && isDigits(after) {
			p, err := netip.ParsePrefix(value)
			if err == nil && p.IsSingleIP() {
				value = before
				return Guess(value)
			}
			return try(CIDR)
		}
		value = "http://" + value // a URL whose scheme was left out
		return try(URL)
	}
	if host, port, ok := strings.Cut(value, ":"); ok && isDigits(port) { // address:port, as ThreatFox writes it
		return Guess(host)
	}
	return try(Domain)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == "" }

var fangs = strings.NewReplacer(
	"[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "{dot}", ".", "[DOT]", ".", "(DOT)", ".",
	"[:]", ":", "[://]", "://", "[/]", "/", "[@]", "@", "(@)", "@", "[at]", "@", "(at)", "@", "[AT]", "@", "\\.", ".",
)

// Refang undoes what keeps people from clicking: hxxps://evil[.]example.
func Refang(s string) string {
	s = strings.Trim(strings.TrimSpace(s), "\"'<>")
	if strings.ContainsAny(s, "[({\\") {
		s = fangs.Replace(s)
	}
	if scheme, rest, ok := strings.Cut(s, ":"); ok && len(scheme) <= 5 {
		switch strings.ToLower(scheme) {
		case "hxxp", "htxp", "h**p", "hxtp", "xxxx":
			return "http:" + rest
		case "hxxps", "htxps":
			return "https:" + rest
		case "fxp":
			return "ftp:" + rest
		}
	}
	return s
}

// The widest networks that are taken: wider ones would match most of what there is.
const (
	widest4 = 8
	widest6 = 19
)

func normalCIDR(value string) (string, error) {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return "", bad("a network such as 203.0.113.0/24 or 2001:db8::/32")
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6 {
		return "", bad("networks from /%d (IPv4) or /%d (IPv6)", widest4, widest6)
	}
	return p.Masked().String(), nil
}

var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

func normalDomain(value string) (string, error) {
	value = strings.TrimSuffix(strings.TrimPrefix(value, "*."), ".")
	ascii, err := hostName(value)
	switch {
	case err != nil:
		return "", err
	case !strings.Contains(ascii, "."):
		return "", bad("a domain of two labels or more, such as evil.example")
	}
	if suffix, icann := publicsuffix.PublicSuffix(ascii); icann && suffix == ascii {
		return "", bad("a domain below %s: everything below it would match", suffix)
	}
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; isDigits(last) {
		return "", bad("a domain, which does not end with a number")
	}
	return ascii, nil
}

// hostName lower-cases a name and writes its Unicode in Punycode (UTS 46).
func hostName(value string) (string, error) {
	const maxName, maxLabel = 253, 63
	ascii := strings.ToLower(value)
	if !isASCII(value) {
		var err error
		if ascii, err = names.ToASCII(value); err != nil {
			return "", bad("a domain such as evil.example: %v", err)
		}
	}
	if ascii == "" || len(ascii) > maxName {
		return "", bad("a domain of 1 to %d characters", maxName)
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", bad("a domain such as evil.example")
		}
	}
	return ascii, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// normalURL lower-cases scheme and host, drops the fragment, user, a port that the
// scheme has anyway and the dot after the host. The path stays as it is, an empty one
// becomes "/".
func normalURL(value string) (string, error) {
	scheme, rest, ok := strings.Cut(value, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	// Only the part before the path is parsed: hostile paths need not be well formed.
	u, err := url.Parse("http://" + rest[:end])
	if !ok || err != nil || u.Hostname() == "" {
		return "", bad("a URL such as http://evil.example/a")
	}
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" && scheme != "ftp" {
		return "", bad("a URL of http, https or ftp")
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		if host = a.Unmap().WithZone("").String(); strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
	} else if host, err = hostName(host); err != nil {
		return "", err
	}
	if port := u.Port(); port != "" && !standardPort(scheme, port) {
		host += ":" + port
	}
	path, _, _ := strings.Cut(rest[end:], "#")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	out := scheme + "://" + host + path
	if len(out) > maxURLValue || strings.ContainsFunc(out, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }) {
		return "", bad("a URL of at most %d bytes without blanks", maxURLValue)
	}
	return out, nil
}

func standardPort(scheme, port string) bool {
	return scheme == "http" && port == "80" || scheme == "https" && port == "443" || scheme == "ftp" && port == "21"
}

func normalHex(value string, digits int) (string, error) {
	if len(value) != digits || !isHex(value) {
		return "", bad("%d hexadecimal digits", digits)
	}
	return strings.ToLower(value), nil
}

func normalEmail(value string) (string, error) {
	value = strings.TrimPrefix(strings.ToLower(value), "mailto:")
	local, host, ok := strings.Cut(value, "@")
	if !ok || local == "" || len(local) > 64 || strings.ContainsFunc(local, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '<' || r == '>' || r == ',' || r == '\uFFFD' }) {
		return "", bad("an e-mail address such as a@evil.example")
	}
	host, err := hostName(strings.TrimSuffix(host, "."))
	if err != nil || !strings.Contains(host, ".") {
		return "", bad("an e-mail address such as a@evil.example")
	}
	return local + "@" + host, nil
}
