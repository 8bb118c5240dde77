package intel

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A hit is an indicator in a field of an event.
type hit struct {
	entry uint32
	field string
}

// maxHits is how many indicators of one event are told.
const maxHits = 16

// A look is one event being searched. It lives on the stack.
type look struct {
	s    *Snapshot
	e    *event.Event
	hits [maxHits]hit
	n    int // of hits
}

// found returns the hits.
func (l *look) found() []hit { return l.hits[:l.n] }

// A fieldKind is what a field may hold.
type fieldKind uint8

const (
	nothing   fieldKind = iota
	addresses           // one address
	hosts               // a name or an address, perhaps with a port
	answers             // several of hosts, by comma or blank
	urls
	hashes
	hashLists // MD5=…,SHA256=… as Sysmon writes them
	emails    // when there is an @ in it
	ja3s
)

// kindOf tells what is looked for in a field. Addresses of our own machines (host_ip,
// peer_ip) are not: they would say nothing of what happened.
func kindOf(name string) fieldKind {
	switch name {
	case event.SrcIP, event.DstIP, event.SrcNATIP, event.DstNATIP, event.RelatedIP:
		return addresses
	case event.SrcHost, event.DstHost, event.RelatedHost, event.Domain, event.DNSQuery, event.TLSSNI:
		return hosts
	case event.DNSAnswer:
		return answers
	case event.URL, event.Referrer:
		return urls
	case event.HashSHA256, event.HashMD5, "hash_sha1", "sha1", "sha256", "md5", "SHA1", "SHA256", "MD5", "hash", "file_hash", "fileHash", "filehash":
		return hashes
	case "Hashes", "hashes":
		return hashLists
	case event.User, event.SrcUser, event.TargetUser, event.RelatedUser, "from", "to", "sender", "recipient", "mail_from", "suser", "duser":
		return emails
	case event.JA3, "ja3_hash", "ja3.hash", "tls.ja3.hash":
		return ja3s
	}
	return nothing
}

// run looks through the fields. It allocates nothing where values are in their usual
// forms.
func (l *look) run() {
	e := l.e
	for i := range e.Fields {
		f := &e.Fields[i]
		kind := kindOf(f.Name)
		if kind == nothing || f.Value == "" || f.Value == "-" {
			continue
		}
		switch kind {
		case addresses:
			l.address(f.Name, f.Value)
		case hosts:
			l.host(f.Name, f.Value)
		case answers:
			rest := f.Value
			for n := 0; rest != "" && n < 64; n++ {
				part := rest
				if i := strings.IndexAny(rest, ", ;"); i >= 0 {
					part, rest = rest[:i], rest[i+1:]
				} else {
					rest = ""
				}
				l.host(f.Name, part)
			}
		case urls:
			l.url(f.Name, f.Value)
		case hashes:
			l.digest(f.Name, f.Value)
		case hashLists:
			for part := range strings.SplitSeq(f.Value, ",") {
				if _, v, ok := strings.Cut(part, "="); ok {
					l.digest(f.Name, v)
				}
			}
		case emails:
			l.email(f.Name, f.Value)
		case ja3s:
			l.hex(f.Name, f.Value, classJA3, 16)
		}
	}
}

// take notes an entry, once, if it is valid now and nobody allows it.
func (l *look) take(found uint32, field string, allowed bool) {
	if found == 0 || allowed {
		return
	}
	for i := range l.n {
		if l.hits[i].entry == found-1 {
			return
		}
	}
	if l.n < maxHits {
		l.hits[l.n] = hit{found - 1, field}
		l.n++
	}
}

// address looks for an address and reports whether value is one.
func (l *look) address(field, value string) bool {
	if a, ok := parse4(value); ok {
		l.addr4(field, a)
		return true
	}
	if strings.IndexByte(value, ':') < 0 || !addressLike(value) {
		return false
	}
	a, err := netip.ParseAddr(strings.Trim(value, "[]"))
	if err != nil {
		return false
	}
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		l.addr4(field, b)
	} else {
		l.addr6(field, a.As16())
	}
	return true
}

func addressLike(s string) bool {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case s[i] == ':', s[i] == '.', s[i] == '[', s[i] == ']', s[i] >= '0' && s[i] <= '9', c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// parse4 reads four decimal numbers without leading zeros.
func parse4(s string) (a [4]byte, ok bool) {
	n, digits, part := 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if digits > 0 && n == 0 {
				return a, false
			}
			n = n*10 + int(c-'0')
			if digits++; n > 255 {
				return a, false
			}
		case c == '.' && digits > 0 && part < 3:
			a[part] = byte(n)
			part++
			n, digits = 0, 0
		default:
			return a, false
		}
	}
	a[3] = byte(n) //nolint:gosec // at most 255
	return a, part == 3 && digits > 0
}

func (l *look) addr4(field string, a [4]byte) {
	if found := l.s.find(classIPv4, a[:]); found != 0 {
		l.take(found, field, l.s.allow.hasAddr4(a))
	}
	if found := l.s.inNet4(a); found != 0 {
		l.take(found, field, l.s.allow.hasAddr4(a))
	}
}

func (l *look) addr6(field string, a [16]byte) {
	if found := l.s.find(classIPv6, a[:]); found != 0 {
		l.take(found, field, l.s.allow.hasAddr6(a))
	}
	if found := l.s.inNet6(a); found != 0 {
		l.take(found, field, l.s.allow.hasAddr6(a))
	}
}

func (s *Snapshot) inNet4(a [4]byte) uint32 {
	n := &s.net4
	first := int(a[0])<<8 | int(a[1])
	if n.some == nil || n.some[first/64]>>(first%64)&1 == 0 {
		return 0
	}
	v := binary.BigEndian.Uint32(a[:])
	for _, length := range n.lengths {
		var key [5]byte
		binary.BigEndian.PutUint32(key[:], v&^(1<<(32-length)-1))
		key[4] = length
		if found := s.find(classNet4, key[:]); found != 0 {
			return found
		}
	}
	return 0
}

func (s *Snapshot) inNet6(a [16]byte) uint32 {
	n := &s.net6
	first := int(a[0])<<8 | int(a[1])
	if n.some == nil || n.some[first/64]>>(first%64)&1 == 0 {
		return 0
	}
	high, low := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	for _, length := range n.lengths {
		h, w := high, uint64(0)
		if length <= 64 {
			h = high &^ (1<<(64-length) - 1)
		} else {
			w = low &^ (1<<(128-length) - 1)
		}
		var key [17]byte
		binary.BigEndian.PutUint64(key[:8], h)
		binary.BigEndian.PutUint64(key[8:], w)
		key[16] = length
		if found := s.find(classNet6, key[:]); found != 0 {
			return found
		}
	}
	return 0
}

func (s *Snapshot) hasAddr4(a [4]byte) bool {
	return s != nil && (s.find(classIPv4, a[:]) != 0 || s.inNet4(a) != 0)
}

func (s *Snapshot) hasAddr6(a [16]byte) bool {
	return s != nil && (s.find(classIPv6, a[:]) != 0 || s.inNet6(a) != 0)
}

// host looks for a name with the domains above it, or an address.
func (l *look) host(field, value string) {
	if value == "" || l.address(field, value) {
		return
	}
	if i := strings.IndexByte(value, ':'); i >= 0 {
		value = value[:i]
		if a, ok := parse4(value); ok {
			l.addr4(field, a)
			return
		}
	}
	if !l.s.has[classDomain] {
		return
	}
	var room [256]byte
	if name := lowerName(room[:0], value); name != nil {
		l.name(field, name)
	}
}

// lowerName brings a name into its one form in to, or returns nil.
func lowerName(to []byte, value string) []byte {
	value = strings.TrimSuffix(value, ".")
	if len(value) > 253 || strings.IndexByte(value, '.') < 0 {
		return nil
	}
	if !isASCII(value) {
		ascii, err := hostName(value)
		if err != nil {
			return nil
		}
		return append(to, ascii...)
	}
	for i := range len(value) {
		c := value[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		to = append(to, c)
	}
	return to
}

func (l *look) name(field string, name []byte) {
	if found := l.s.domain(name); found != 0 {
		l.take(found, field, l.s.allow != nil && l.s.allow.domain(name) != 0)
	}
}

// domain finds the longest domain that name is, or lies in.
func (s *Snapshot) domain(name []byte) uint32 {
	if !s.has[classDomain] {
		return 0
	}
	for {
		dot := -1
		for i, c := range name {
			if c == '.' {
				dot = i
				break
			}
		}
		if dot < 0 { // a top-level domain is no indicator
			return 0
		}
		if found := s.find(classDomain, name); found != 0 {
			return found
		}
		name = name[dot+1:]
	}
}

// url looks for a URL and for its host. One that is only a path is completed by the
// event's domain.
func (l *look) url(field, value string) {
	const most = 4096
	if len(value) > most || !l.s.has[classURL] && !l.s.has[classDomain] && !l.s.has[classIPv4] && l.s.net4.some == nil && !l.s.has[classIPv6] && l.s.net6.some == nil {
		return
	}
	scheme, rest, ok := strings.Cut(value, "://")
	var room [1024]byte // a longer one goes to the heap
	key := room[:0]
	if ok && len(scheme) <= 5 {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		host := rest[:end]
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		bare, port := host, ""
		if i := strings.LastIndexByte(host, ':'); i >= 0 && isDigits(host[i+1:]) {
			bare, port = host[:i], host[i+1:]
		}
		if field != event.Referrer { // where somebody came from is no sign of what was called
			l.host(field, bare)
		}
		key = appendHost(key, bare)
		if port != "" && (port != "443" || len(scheme) != 5) && (port != "80" || len(scheme) != 4) {
			key = append(append(key, ':'), port...)
		}
		key = appendPath(key, rest[end:])
	} else if strings.HasPrefix(value, "/") && l.s.has[classURL] {
		domain := l.e.Get(event.Domain)
		if domain == "" {
			return
		}
		key = appendPath(appendHost(key, domain), value)
	} else {
		return
	}
	if found := l.s.find(classURL, key); found != 0 && len(key) <= MaxValue {
		l.take(found, field, l.s.allow != nil && l.s.allow.hasURL(key))
	}
}

// hasURL tells whether the URL or its host is in s.
func (s *Snapshot) hasURL(key []byte) bool {
	if s.find(classURL, key) != 0 {
		return true
	}
	host, _, _ := strings.Cut(string(key), "/")
	l := look{s: s}
	l.host("", strings.Trim(host, "[]"))
	return l.n > 0
}

func appendHost(to []byte, host string) []byte {
	host = strings.TrimSuffix(host, ".")
	if !isASCII(host) {
		if ascii, err := hostName(host); err == nil {
			return append(to, ascii...)
		}
	}
	for i := range len(host) {
		c := host[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		to = append(to, c)
	}
	return to
}

func appendPath(to []byte, path string) []byte {
	if i := strings.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	if !strings.HasPrefix(path, "/") {
		to = append(to, '/')
	}
	return append(to, path...)
}

func (l *look) digest(field, value string) {
	switch len(value) {
	case 32:
		l.hex(field, value, classMD5, 16)
	case 40:
		l.hex(field, value, classSHA1, 20)
	case 64:
		l.hex(field, value, classSHA256, 32)
	}
}

func (l *look) hex(field, value string, c class, size int) {
	if !l.s.has[c] || len(value) != 2*size {
		return
	}
	var key [32]byte
	for i := range size {
		high, ok1 := nibble(value[2*i])
		low, ok2 := nibble(value[2*i+1])
		if !ok1 || !ok2 {
			return
		}
		key[i] = high<<4 | low
	}
	if found := l.s.find(c, key[:size]); found != 0 {
		l.take(found, field, l.s.allow != nil && l.s.allow.find(c, key[:size]) != 0)
	}
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func (l *look) email(field, value string) {
	at := strings.LastIndexByte(value, '@')
	if at <= 0 || len(value) > 320 {
		return
	}
	value = strings.Trim(value, "<>\" ")
	var room [384]byte
	key := appendHost(room[:0], value)
	at = -1
	for i, c := range key {
		if c == '@' {
			at = i
		}
	}
	if at <= 0 {
		return
	}
	host := key[at+1:]
	if l.s.allow != nil && l.s.allow.find(classEmail, key) != 0 {
		return
	}
	if found := l.s.find(classEmail, key); found != 0 {
		l.take(found, field, l.s.allow != nil && l.s.allow.domain(host) != 0)
	}
	l.name(field, host)
}
