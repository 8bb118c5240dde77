package sigma

import (
	"encoding/base64"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxAlternatives bounds what one value may grow to through windash and lists.
const maxAlternatives = 20_000

// An item is one line of a detection: field, modifiers, values.
type item struct {
	field  string
	mods   []string
	values []value
	all    bool
	neq    bool
	cased  bool
	anchor string // contains, startswith, endswith
	op     string // re, cidr, exists, fieldref, gt, gte, lt, lte, or a part of time; "" = text
	cmp    string // with a part of time: gt, gte, lt, lte
	flags  string // of re
	expand bool
}

// A value is a scalar that has been checked against its item's modifiers.
type value struct {
	text     string // as written
	null     bool
	patterns []pattern // text
	re       *regexp.Regexp
	net      netip.Prefix
	num      float64
	yes      bool
	ref      string
}

// modifierAliases holds other spellings of modifiers.
var modifierAliases = map[string]string{"utf16le": "wide", "ignorecase": "i", "multiline": "m", "dotall": "s"}

func isTimePart(m string) bool {
	return slices.Contains([]string{"minute", "hour", "day", "week", "month", "year"}, m)
}

// parseItem checks one line of a detection, such as "CommandLine|contains|all".
func parseItem(key *entry) (*item, error) {
	parts := strings.Split(key.key, "|")
	it := &item{field: parts[0]}
	for _, m := range parts[1:] {
		if a, ok := modifierAliases[m]; ok {
			m = a
		}
		if err := it.modify(key, m); err != nil {
			return nil, err
		}
		it.mods = append(it.mods, m)
	}
	if err := it.check(key); err != nil {
		return nil, err
	}
	values := []*node{key.value}
	if key.value.kind == listNode {
		values = key.value.items
		if len(values) == 0 {
			return nil, key.errorf("%q has an empty list of values", key.key)
		}
	}
	for _, n := range values {
		v, err := it.value(n)
		if err != nil {
			return nil, err
		}
		v.text = n.text
		it.values = append(it.values, v)
	}
	return it, nil
}

// modifiers are those that modify knows.
var modifiers = []string{
	"contains", "startswith", "endswith", "all", "exact", "neq", "cased", "re", "i", "m", "s", "cidr", "exists", "fieldref", "gt", "gte", "lt", "lte", "expand",
	"windash", "base64", "base64offset", "wide", "utf16le", "utf16be", "utf16", "minute", "hour", "day", "week", "month", "year",
}

func (it *item) modify(key *entry, m string) error {
	set := func(what *string) error {
		if *what != "" && *what != m {
			return key.errorf("modifiers %q and %q cannot stand together", *what, m)
		}
		*what = m
		return nil
	}
	switch m {
	case "contains", "startswith", "endswith":
		return set(&it.anchor)
	case "all":
		it.all = true
	case "exact": // what a plain value means anyway
		if it.anchor != "" {
			return key.errorf("modifiers %q and %q cannot stand together", it.anchor, m)
		}
	case "neq":
		it.neq = true
	case "cased":
		it.cased = true
	case "i", "m", "s":
		if it.op != "re" {
			return key.errorf("modifier %q is only possible after \"re\"", m)
		}
		if !strings.Contains(it.flags, m) {
			it.flags += m
		}
	case "gt", "gte", "lt", "lte":
		if isTimePart(it.op) {
			return set(&it.cmp)
		}
		return set(&it.op)
	case "re", "cidr", "exists", "fieldref":
		return set(&it.op)
	case "expand":
		it.expand = true
	case "windash", "base64", "base64offset", "wide", "utf16be", "utf16":
	case "":
		return key.errorf("%q has an empty modifier", key.key)
	default:
		if isTimePart(m) {
			return set(&it.op)
		}
		return key.errorf("unknown modifier %q: allowed are %s", m, strings.Join(modifiers, ", "))
	}
	return nil
}

// check refuses combinations that mean nothing.
func (it *item) check(key *entry) error {
	encodes := slices.ContainsFunc(it.mods, func(m string) bool {
		return slices.Contains([]string{"windash", "base64", "base64offset", "wide", "utf16be", "utf16"}, m)
	})
	switch {
	case it.op != "" && encodes:
		return key.errorf("modifier %q cannot stand with one that changes text", it.op)
	case it.op != "" && it.op != "fieldref" && it.op != "re" && it.anchor != "":
		return key.errorf("modifiers %q and %q cannot stand together", it.op, it.anchor)
	case it.op != "" && it.op != "fieldref" && it.cased:
		return key.errorf("modifiers %q and \"cased\" cannot stand together", it.op)
	case it.op != "" && it.op != "cidr" && it.expand:
		return key.errorf("modifiers %q and \"expand\" cannot stand together", it.op)
	case it.field == "" && it.op != "" && it.op != "re":
		return key.errorf("modifier %q needs a field", it.op)
	}
	return nil
}

func (it *item) value(n *node) (value, error) {
	switch n.kind {
	case nullNode:
		if it.op != "" || it.anchor != "" {
			return value{}, n.errorf("null is only possible without modifiers")
		}
		if it.field == "" {
			return value{}, n.errorf("a keyword cannot be null")
		}
		return value{null: true}, nil
	case scalarNode:
	default:
		return value{}, n.errorf("a value must be text, a number, a boolean or null, not %s", n.what())
	}
	switch it.op {
	case "":
		return it.textValue(n)
	case "re":
		return it.regexValue(n)
	case "cidr":
		if it.expand {
			return it.textValue(n)
		}
		net, ok := parseNetwork(n.text)
		if !ok {
			return value{}, n.errorf("%q is not a network such as 10.0.0.0/8 or fe80::/10", n.text)
		}
		return value{net: net}, nil
	case "exists":
		switch fold(n.text) {
		case "true", "yes":
			return value{yes: true}, nil
		case "false", "no":
			return value{}, nil
		}
		return value{}, n.errorf("exists needs true or false, not %q", n.text)
	case "fieldref":
		if n.text == "" {
			return value{}, n.errorf("fieldref needs the name of a field")
		}
		return value{ref: n.text}, nil
	}
	f, ok := parseNumber(n.text)
	if !ok {
		return value{}, n.errorf("%s needs a number, not %q", it.op, n.text)
	}
	return value{num: f}, nil
}

// parseNetwork reads a network, or one address as a network of its own.
func parseNetwork(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// textValue applies the modifiers that change text, in the order in which they
// stand.
func (it *item) textValue(n *node) (value, error) {
	current := []pattern{parsePattern(n.text)}
	if it.expand {
		current[0] = parseExpandable(n.text)
	}
	for _, m := range it.mods {
		var change func(string) []string
		switch m {
		case "windash":
			change = windash
		case "base64":
			change = func(s string) []string { return []string{base64.StdEncoding.EncodeToString([]byte(s))} }
		case "base64offset":
			change = base64Offsets
		case "wide":
			change = func(s string) []string { return []string{utf16Bytes(s, false)} }
		case "utf16be":
			change = func(s string) []string { return []string{utf16Bytes(s, true)} }
		case "utf16":
			change = func(s string) []string { return []string{"\xff\xfe" + utf16Bytes(s, false)} }
		default:
			continue
		}
		var next []pattern
		for _, p := range current {
			if _, plain := p.literal(); !plain && m != "windash" {
				return value{}, n.errorf("modifier %q is not possible for text with wildcards or placeholders", m)
			}
			changed, ok := p.mapLiterals(change)
			next = append(next, changed...)
			if !ok || len(next) > maxAlternatives {
				return value{}, n.errorf("modifier %q makes more than %d values of this one", m, maxAlternatives)
			}
		}
		current = next
	}
	return value{patterns: current}, nil
}

// placeholders appends the names of the lists that it needs.
func (it *item) placeholders(dst []string) []string {
	for _, v := range it.values {
		for _, p := range v.patterns {
			for _, x := range p {
				if x.kind == unfilledPart && !slices.Contains(dst, x.literal) {
					dst = append(dst, x.literal)
				}
			}
		}
	}
	return dst
}

// lower turns the item into predicates.
func (it *item) lower(lists map[string][]string) *expr {
	var kids []*expr
	for i := range it.values {
		kids = append(kids, it.lowerValue(&it.values[i], lists))
	}
	kind := orExpr
	if it.all {
		kind = andExpr
	}
	out := join(kind, kids)
	if it.neq {
		return not(out)
	}
	return out
}

func (it *item) lowerValue(v *value, lists map[string][]string) *expr {
	one := func(p *predicate) *expr {
		p.field = it.field
		return &expr{kind: predExpr, pred: p}
	}
	if v.null {
		return one(&predicate{op: opAbsent})
	}
	switch it.op {
	case "re":
		return one(&predicate{op: opRegex, text: v.re.String(), re: v.re})
	case "cidr":
		if !it.expand {
			return one(&predicate{op: opCIDR, net: v.net})
		}
	case "exists":
		if v.yes {
			return one(&predicate{op: opPresent})
		}
		return one(&predicate{op: opAbsent})
	case "fieldref":
		ops := map[string]op{"": opEqual, "contains": opContains, "startswith": opPrefix, "endswith": opSuffix}
		return one(&predicate{op: opRef, text: v.ref, refOp: ops[it.anchor], cased: it.cased})
	case "gt", "gte", "lt", "lte":
		return one(&predicate{op: opCompare, cmp: it.op, num: v.num})
	case "":
	default:
		cmp := it.cmp
		if cmp == "" {
			cmp = "eq"
		}
		return one(&predicate{op: opTime, part: it.op, cmp: cmp, num: v.num})
	}
	var kids []*expr
	for _, p := range v.patterns {
		filled, _ := p.fill(lists) // Fill has refused what is too much
		for _, f := range filled {
			if it.op == "cidr" {
				text, _ := f.literal()
				if net, ok := parseNetwork(text); ok { // an entry that is no network matches nothing
					kids = append(kids, one(&predicate{op: opCIDR, net: net}))
				}
				continue
			}
			f = f.wrap(it.anchor == "contains" || it.anchor == "endswith", it.anchor == "contains" || it.anchor == "startswith")
			kids = append(kids, &expr{kind: predExpr, pred: stringPredicate(it.field, f, it.cased)})
		}
	}
	return join(orExpr, kids)
}

// windash returns s with each dash that begins an option written in each way in
// which Windows takes it: \B[-/]\b in the words of the specification.
func windash(s string) []string {
	out := []string{""}
	last := 0
	for i := range len(s) {
		if s[i] != '-' && s[i] != '/' {
			continue
		}
		if before, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && isWordRune(before) {
			continue
		}
		if after, _ := utf8.DecodeRuneInString(s[i+1:]); i+1 == len(s) || !isWordRune(after) {
			continue
		}
		if len(out) > maxAlternatives {
			break // the caller refuses it
		}
		next := make([]string, 0, 5*len(out))
		for _, o := range out {
			for _, dash := range []string{"-", "/", "–", "—", "―"} {
				next = append(next, o+s[last:i]+dash)
			}
		}
		out, last = next, i+1
	}
	for i := range out {
		out[i] += s[last:]
	}
	return out
}

func isWordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// base64Offsets returns what s looks like inside longer base64 text, at each of
// the three places at which it may begin.
func base64Offsets(s string) []string {
	out := make([]string, 3)
	for i := range out {
		e := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", i) + s))
		start := []int{0, 2, 3}[i]
		end := len(e) - []int{0, 3, 2}[(len(s)+i)%3]
		out[i] = e[start:max(start, end)]
	}
	return out
}

func utf16Bytes(s string, bigEndian bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if bigEndian {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

// parseNumber reads a decimal number; it does not allocate for text that is none.
func parseNumber(s string) (float64, bool) {
	if len(s) == 0 || len(s) > 40 {
		return 0, false
	}
	if n, ok := smallInteger(s); ok {
		return n, true
	}
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-':
			if digits == 0 && (c == 'e' || c == 'E') {
				return 0, false
			}
		default:
			return 0, false
		}
	}
	if digits == 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func smallInteger(s string) (float64, bool) {
	if len(s) > 15 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return float64(n), true
}

func compareNumbers(op string, a, b float64) bool {
	switch op {
	case "lt":
		return a < b
	case "lte":
		return a <= b
	case "gt":
		return a > b
	case "gte":
		return a >= b
	case "eq":
		return a == b
	case "neq":
		return a != b
	}
	return false
}
