package dsr

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// IdentifierTypes lists what may name a person.
var IdentifierTypes = []string{"email", "user", "ip", "phone", "other"}

// An Identifier names a person in data.
type Identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
	// Words looks for the value as a word of any text too, not in the fields of its type
	// only. An account such as "admin" is a word of many texts about nobody.
	Words bool `json:"words"`
}

const (
	maxIdentifiers = 50
	maxValue       = 256 // characters
)

func cleanIdentifiers(list []Identifier) ([]Identifier, error) {
	if len(list) == 0 || len(list) > maxIdentifiers {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d identifiers", maxIdentifiers).In("identifiers")
	}
	out := make([]Identifier, len(list))
	for i, x := range list {
		x.Value = strings.TrimSpace(x.Value)
		if n := utf8.RuneCountInString(x.Value); n < 3 || n > maxValue || !utf8.ValidString(x.Value) || strings.ContainsRune(x.Value, 0) {
			return nil, fault.New(fault.Invalid, "Allowed: 3 to %d characters", maxValue).In("identifiers.value")
		}
		bad := false
		switch x.Type {
		case "email":
			at := strings.LastIndexByte(x.Value, '@')
			bad = at < 1 || at == len(x.Value)-1 || strings.ContainsAny(x.Value, " \t\r\n")
			x.Words = true
		case "ip":
			a, err := netip.ParseAddr(x.Value)
			bad = err != nil || a.IsUnspecified()
			if !bad {
				x.Value = a.Unmap().WithZone("").String()
			}
			x.Words = true
		case "phone", "other":
			x.Words = true
		case "user":
		default:
			return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(IdentifierTypes, ", ")).In("identifiers.type")
		}
		if bad {
			return nil, fault.New(fault.Invalid, "this is no %s", x.Type).In("identifiers.value")
		}
		out[i] = x
	}
	return out, nil
}

// masked shows enough of a value to tell two apart by whoever knows them.
func masked(s string) string {
	keep := func(s string) string {
		r := []rune(s)
		if len(r) < 4 {
			return "***"
		}
		return string(r[:1]) + "***" + string(r[len(r)-1:])
	}
	if local, domain, ok := strings.Cut(s, "@"); ok && local != "" {
		return string([]rune(local)[:1]) + "***@" + domain
	}
	return keep(s)
}

func (p *Person) masked() Person {
	m := Person{Name: masked(p.Name), Identifiers: make([]Identifier, len(p.Identifiers))}
	for i, x := range p.Identifiers {
		m.Identifiers[i] = Identifier{Type: x.Type, Value: masked(x.Value), Words: x.Words}
	}
	return m
}

// userFields are those that name an account.
var userFields = []string{event.User, event.TargetUser, event.RelatedUser, event.SrcUser, event.UserID}

// node finds the events that carry the identifier.
func (x *Identifier) node() query.Node {
	var nodes []query.Node
	switch x.Type {
	case "email", "user":
		for _, f := range userFields {
			nodes = append(nodes, query.Equal{Field: query.NewField(f), Value: x.Value})
		}
	case "ip":
		for _, f := range []string{query.AnyIP, event.PeerIP} {
			nodes = append(nodes, query.Equal{Field: query.NewField(f), Value: x.Value})
		}
	}
	if x.Words {
		nodes = append(nodes, query.Contains{Text: x.Value})
	}
	return anyOf(nodes)
}

func anyOf(nodes []query.Node) query.Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return query.Or{Nodes: nodes}
}

// nodeOf finds the events that carry one of the identifiers, of which there is at least one.
func nodeOf(list []Identifier) query.Node {
	nodes := make([]query.Node, len(list))
	for i := range list {
		nodes[i] = list[i].node()
	}
	return anyOf(nodes)
}
