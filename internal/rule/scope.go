package rule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Scope says which events an exception takes from its rule. Exactly one of its
// fields is set.
type Scope struct {
	Entity *EntityScope        `json:"entity,omitempty"`
	Fields map[string][]string `json:"fields,omitempty"` // each field has one of its values, literally and in any case
	Filter string              `json:"filter,omitempty"` // Sigma: searches and a condition, or a whole filter document
}

// An EntityScope is events about one host, user, address and so on.
type EntityScope struct {
	Type  string `json:"type,omitempty"`  // as alerts name it: "ip"; it chooses fields where Field is ""
	Field string `json:"field,omitempty"` // the only field that is asked
	Value string `json:"value"`           // literally and in any case; of addresses a network too: "10.0.0.0/8"
}

// The kinds of scopes.
const (
	EntityKind = "entity"
	FieldsKind = "fields"
	FilterKind = "filter"
)

// Kinds lists the kinds of scopes.
var Kinds = []string{EntityKind, FieldsKind, FilterKind}

// EntityTypes lists the types of entities that a scope may name without a field.
var EntityTypes = slices.Sorted(maps.Keys(entityFields))

// entityFields are where events name entities of a type.
var entityFields = map[string][]string{
	"ip":      {event.RelatedIP, event.SrcIP, event.DstIP, event.HostIP, event.SrcNATIP, event.DstNATIP, event.SrcHost, event.DstHost, event.Host},
	"user":    {event.User, event.TargetUser, event.SrcUser, event.RelatedUser},
	"host":    {event.Host, event.SrcHost, event.DstHost, event.RelatedHost},
	"domain":  {event.Domain, event.DNSQuery, event.TLSSNI},
	"hash":    {event.HashSHA256, event.HashMD5, event.JA3},
	"file":    {event.FilePath, event.RegistryPath},
	"process": {event.ProcessPath, event.ParentPath, event.Program, event.Cmdline},
}

// Kind tells which of its fields s has set, "" where it is not exactly one.
func (s *Scope) Kind() string {
	switch {
	case s.Entity != nil && s.Fields == nil && s.Filter == "":
		return EntityKind
	case s.Entity == nil && s.Fields != nil && s.Filter == "":
		return FieldsKind
	case s.Entity == nil && s.Fields == nil && s.Filter != "":
		return FilterKind
	}
	return ""
}

// Bounds of a scope.
const (
	maxScopeFields = 50
	maxScopeValues = 500 // of all fields
	maxScopeValue  = 8192
	maxFilter      = 64 << 10
)

// Sigma returns the Sigma filter that s comes to for a rule. What is wrong with s is
// a fault.Invalid.
func (s *Scope) Sigma(ruleID string) (string, error) {
	var text string
	var err error
	switch s.Kind() {
	case EntityKind:
		text, err = s.Entity.sigma(ruleID)
	case FieldsKind:
		text, err = fieldsFilter(ruleID, s.Fields)
	case FilterKind:
		return wholeFilter(ruleID, s.Filter)
	default:
		return "", fault.New(fault.Invalid, "Give exactly one of entity, fields, filter").In("scope")
	}
	if err != nil {
		return "", err
	}
	if _, err := readFilter(text); err != nil { // what is written here reads well
		return "", fmt.Errorf("exception comes to a bad filter: %w", err)
	}
	return text, nil
}

func (e *EntityScope) sigma(ruleID string) (string, error) {
	fields := []string{e.Field}
	if e.Field == "" {
		var ok bool
		if fields, ok = entityFields[e.Type]; !ok {
			return "", fault.New(fault.Invalid, "Allowed: %s; of another type name the field", strings.Join(EntityTypes, ", ")).In("scope.entity.type")
		}
	} else if !isField(e.Field) {
		return "", errField.In("scope.entity.field")
	}
	if e.Value == "" || len(e.Value) > maxScopeValue {
		return "", fault.New(fault.Invalid, "Give a value of up to %d bytes", maxScopeValue).In("scope.entity.value")
	}
	value, modifier := literal(e.Value), ""
	if _, err := netip.ParsePrefix(e.Value); err == nil && (e.Type == "ip" || e.Type == "" && event.Address(event.Resolve(e.Field))) {
		value, modifier = e.Value, "|cidr"
	}
	b := header(ruleID)
	b.WriteString("  selection:\n")
	for _, f := range fields {
		fmt.Fprintf(b, "    - %s: %s\n", quoted(f+modifier), quoted(value))
	}
	b.WriteString("  condition: selection\n")
	return b.String(), nil
}

func fieldsFilter(ruleID string, fields map[string][]string) (string, error) {
	if len(fields) == 0 || len(fields) > maxScopeFields {
		return "", fault.New(fault.Invalid, "Give 1 to %d fields", maxScopeFields).In("scope.fields")
	}
	b := header(ruleID)
	b.WriteString("  selection:\n")
	n := 0
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if !isField(f) {
			return "", errField.In("scope.fields")
		}
		values := fields[f]
		if n += len(values); len(values) == 0 || n > maxScopeValues {
			return "", fault.New(fault.Invalid, "Give each field a value, and at most %d values in all", maxScopeValues).In("scope.fields")
		}
		fmt.Fprintf(b, "    %s:\n", quoted(f))
		for _, v := range values {
			if len(v) > maxScopeValue {
				return "", fault.New(fault.Invalid, "Give values of up to %d bytes", maxScopeValue).In("scope.fields")
			}
			fmt.Fprintf(b, "      - %s\n", quoted(literal(v)))
		}
	}
	b.WriteString("  condition: selection\n")
	return b.String(), nil
}

var errField = fault.New(fault.Invalid, "A field is a plain name, such as src_ip or CommandLine; for modifiers and patterns write a filter")

func isField(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsAny(s, "|\n\r\x00")
}

func header(ruleID string) *strings.Builder {
	b := &strings.Builder{}
	fmt.Fprintf(b, "title: %s\nfilter:\n  rules:\n    - %s\n", quoted("Exception of "+ruleID), quoted(ruleID))
	return b
}

// quoted writes s as a YAML text in double quotes: JSON is YAML.
func quoted(s string) string { return asJSON(s) }

// asJSON writes texts, and structures of them, as JSON as it is read best.
func asJSON(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // texts always do
	return strings.TrimSuffix(b.String(), "\n")
}

// literal writes s as a Sigma value that stands for itself.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s)
}

var rootFilter = regexp.MustCompile(`(?m)^filter\s*:`)

// wholeFilter makes what somebody wrote a filter document for the rule.
func wholeFilter(ruleID, text string) (string, error) {
	if len(text) > maxFilter {
		return "", fault.New(fault.Invalid, "Allowed: up to %d bytes", maxFilter).In("scope.filter")
	}
	whole, before := text, 0
	if !rootFilter.MatchString(text) {
		b := &strings.Builder{}
		fmt.Fprintf(b, "title: %s\nfilter:\n", quoted("Exception of "+ruleID))
		for line := range strings.Lines(text) {
			b.WriteString("  " + line)
		}
		whole, before = b.String(), 2
	}
	d, err := readFilter(whole)
	if e, ok := errors.AsType[*sigma.Error](err); ok {
		place := ""
		if e.Line > before {
			place = fmt.Sprintf("line %d, column %d: ", e.Line-before, max(1, e.Column-before))
		}
		return "", fault.New(fault.Invalid, "%s%s", place, e.Message).In("scope.filter")
	}
	if err != nil {
		return "", fault.New(fault.Invalid, "%s", err.Error()).In("scope.filter")
	}
	if named := d.Filter.Rules; len(named) > 0 && !slices.Contains(named, ruleID) {
		return "", fault.New(fault.Invalid, "the filter is for the rules %s, not for %s", strings.Join(named, ", "), ruleID).In("scope.filter")
	}
	return whole, nil
}

// readFilter reads a text that is one Sigma filter.
func readFilter(text string) (*sigma.Document, error) {
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 || docs[0].Filter == nil {
		return nil, &sigma.Error{Message: "give one Sigma filter: searches and a condition"}
	}
	if _, err := docs[0].Fill(nil); err != nil {
		return nil, err
	}
	return docs[0], nil
}
