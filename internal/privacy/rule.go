// Package privacy holds what a tenant wants taken out of its records, and does it: at
// the way into the queue, so that nothing is kept anywhere as it came.
package privacy

import (
	"cmp"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/mask"
)

// A Rule is one of a tenant's. Rules apply in the order of their making: where two
// speak of one thing, the older one counts.
type Rule struct {
	Draft
	ID        string // UUIDv7
	Tenant    uint32
	Version   int64 // from 1, rises with each change
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
	UpdatedBy string
}

// A Draft is what people decide of a rule.
type Draft struct {
	Name    string // 1 to 100 printable characters
	Enabled bool
	mask.Rule
	Source string // of records from these sources alone: a name, * and ? stand for characters; "" for all
	Host   string // of these hosts or senders alone: a name or address, * and ?, or a network; "" for all
}

// Bounds of a tenant's rules and of a preview.
const (
	maxRules     = 64
	maxName      = 100
	maxScope     = 200
	MaxLines     = 100
	MaxLineBytes = 64 << 10
)

func (d *Draft) check() error {
	d.Name = strings.TrimSpace(d.Name)
	if n := utf8.RuneCountInString(d.Name); n < 1 || n > maxName || strings.ContainsFunc(d.Name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fault.New(fault.Invalid, "Allowed: 1 to %d printable characters", maxName).In("name")
	}
	for _, list := range []*[]string{&d.Patterns, &d.Fields} {
		clean := make([]string, 0, len(*list))
		for _, s := range *list {
			if s = strings.TrimSpace(s); !slices.Contains(clean, s) {
				clean = append(clean, s)
			}
		}
		*list = clean
	}
	d.Source, d.Host = strings.ToLower(strings.TrimSpace(d.Source)), strings.ToLower(strings.TrimSpace(d.Host))
	for field, pattern := range map[string]string{"source": d.Source, "host": d.Host} {
		if _, err := path.Match(pattern, ""); err != nil || len(pattern) > maxScope {
			return fault.New(fault.Invalid, "Allowed: a name of at most %d characters in which * and ? stand for others", maxScope).In(field)
		}
	}
	if strings.Contains(d.Host, "/") {
		if _, err := netip.ParsePrefix(d.Host); err != nil {
			return fault.New(fault.Invalid, "Allowed: a network such as 10.0.0.0/8").In("host")
		}
	}
	return d.Check()
}

// A scope is which records a rule is for.
type scope struct {
	source, host string
	network      netip.Prefix
}

func (d *Draft) scope() scope {
	s := scope{source: d.Source, host: d.Host}
	if strings.Contains(d.Host, "/") {
		s.network, _ = netip.ParsePrefix(d.Host) // check has read it
	}
	return s
}

func (s *scope) all() bool { return s.source == "" && s.host == "" }

// takes tells whether the rule is for a record: by what its sender said of it, and by
// what a parser sees.
func (s *scope) takes(sources, hosts [2]string) bool {
	return s.takesOne(s.source, sources) && s.takesOne(s.host, hosts)
}

func (s *scope) takesOne(pattern string, names [2]string) bool {
	if pattern == "" {
		return true
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if ok, _ := path.Match(pattern, strings.ToLower(name)); ok {
			return true
		}
		if pattern == s.host && s.network.IsValid() {
			if a, err := netip.ParseAddr(name); err == nil && s.network.Contains(a.Unmap()) {
				return true
			}
		}
	}
	return false
}

// Sorts are the orders of a list.
var Sorts = []string{"createdAt", "updatedAt", "name"}

// order sorts rules, which are few, as a list is asked for.
func order(rules []Rule, by string, ascending bool) {
	slices.SortStableFunc(rules, func(a, b Rule) int {
		n := 0
		switch by {
		case "name":
			n = strings.Compare(a.Name, b.Name)
		case "updatedAt":
			n = a.UpdatedAt.Compare(b.UpdatedAt)
		}
		n = cmp.Or(n, strings.Compare(a.ID, b.ID))
		if !ascending {
			n = -n
		}
		return n
	})
}
