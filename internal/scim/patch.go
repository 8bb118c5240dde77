package scim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/account"
)

// A patch is a list of changes (RFC 7644 3.5.2).
type patch struct {
	Schemas    []string `json:"schemas"`
	Operations []change `json:"Operations"`
}

type change struct {
	Op    string          `json:"op"` // Entra ID writes Add, Replace, Remove
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

func (r *request) patch() ([]change, error) {
	var p patch
	if err := r.into(&p); err != nil {
		return nil, err
	}
	if len(p.Operations) == 0 || len(p.Operations) > maxOperations {
		return nil, &refusal{http.StatusBadRequest, "invalidSyntax", "Operations holds 1 to 1000 changes"}
	}
	for i := range p.Operations {
		p.Operations[i].Op = strings.ToLower(p.Operations[i].Op)
		switch p.Operations[i].Op {
		case "add", "replace":
		case "remove":
			if p.Operations[i].Path == "" {
				return nil, &refusal{http.StatusBadRequest, "noTarget", "remove needs a path"}
			}
		default:
			return nil, &refusal{http.StatusBadRequest, "invalidSyntax", "op is one of add, replace, remove"}
		}
	}
	return p.Operations, nil
}

func badValue(of string) error {
	return &refusal{http.StatusBadRequest, "invalidValue", "The value of " + of + " has another form than expected"}
}

// parts returns the single changes of one without a path, whose keys are paths: Entra ID
// sends {"name.givenName": …}, Okta {"active": false}.
func (c *change) parts() ([]change, error) {
	if c.Path != "" {
		return []change{*c}, nil
	}
	var of map[string]json.RawMessage
	if err := json.Unmarshal(c.Value, &of); err != nil {
		return nil, badValue("a change without a path")
	}
	keys := make([]string, 0, len(of))
	for k := range of {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	all := make([]change, len(keys))
	for i, k := range keys {
		all[i] = change{c.Op, k, of[k]}
	}
	return all, nil
}

// textOf reads a text; null is none.
func textOf(of string, raw json.RawMessage) (string, error) {
	var v *string
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", badValue(of)
	}
	if v == nil {
		return "", nil
	}
	return *v, nil
}

// truthOf reads true or false, also as the texts that Entra ID sends.
func truthOf(of string, raw json.RawMessage) (bool, error) {
	var b bool
	if json.Unmarshal(raw, &b) == nil {
		return b, nil
	}
	var t string
	if json.Unmarshal(raw, &t) == nil {
		switch strings.ToLower(t) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, badValue(of)
}

// applyUser makes one change of somebody. Attributes that KYRA does not keep are left out.
func applyUser(l *account.Listed, c *change) error {
	parts, err := c.parts()
	if err != nil {
		return err
	}
	for i := range parts {
		p, err := parsePath(parts[i].Path)
		if err != nil {
			return err
		}
		if err := setUser(l, p, &parts[i]); err != nil {
			return err
		}
	}
	return nil
}

func setUser(l *account.Listed, p path, c *change) error {
	d := &l.Details
	texts := map[string]*string{
		"username": &l.UserName, "externalid": &l.External, "displayname": &d.Display, "title": &d.Title, "name.givenname": &d.Given, "name.familyname": &d.Family, "name.formatted": &d.Formatted,
	}
	name := p.attribute
	if p.sub != "" {
		name += "." + p.sub
	}
	switch {
	case name == "active":
		if c.Op == "remove" {
			return &refusal{http.StatusBadRequest, "mutability", "active cannot be removed: replace it"}
		}
		v, err := truthOf(name, c.Value)
		l.Active = v
		return err
	case name == "name":
		if c.Op == "remove" {
			d.Given, d.Family, d.Formatted = "", "", ""
			return nil
		}
		var n scimName
		if err := json.Unmarshal(c.Value, &n); err != nil {
			return badValue(name)
		}
		if c.Op == "replace" {
			d.Given, d.Family, d.Formatted = "", "", ""
		}
		for to, from := range map[*string]string{&d.Given: n.Given, &d.Family: n.Family, &d.Formatted: n.Formatted} {
			if from != "" {
				*to = from
			}
		}
		return nil
	case p.attribute == "emails":
		return setEmails(d, p, c)
	case texts[name] != nil:
		if c.Op == "remove" {
			*texts[name] = ""
			return nil
		}
		v, err := textOf(name, c.Value)
		*texts[name] = v
		return err
	}
	return nil
}

func (p *path) picks(m *account.Email) bool {
	for _, t := range p.filter {
		switch t.attribute {
		case "type":
			if !strings.EqualFold(m.Type, t.value) {
				return false
			}
		case "value":
			if !strings.EqualFold(m.Value, t.value) {
				return false
			}
		case "primary":
			if m.Primary != (t.value == "true") {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func setEmails(d *account.Details, p path, c *change) error {
	if c.Op == "remove" {
		d.Mails = slices.DeleteFunc(d.Mails, func(m account.Email) bool { return p.picks(&m) })
		return nil
	}
	if p.filter == nil && p.sub == "" {
		given, err := emailsOf(c.Value)
		if err != nil {
			return err
		}
		if c.Op == "replace" {
			d.Mails = nil
		}
		for _, m := range given {
			if i := slices.IndexFunc(d.Mails, func(x account.Email) bool {
				return strings.EqualFold(x.Value, m.Value) || m.Type != "" && x.Type == m.Type
			}); i >= 0 {
				d.Mails[i] = m
			} else {
				d.Mails = append(d.Mails, m)
			}
		}
		return nil
	}
	var v account.Email
	switch p.sub {
	case "value":
		t, err := textOf("emails.value", c.Value)
		if err != nil {
			return err
		}
		v.Value = t
	case "":
		var x scimEmail
		if err := json.Unmarshal(c.Value, &x); err != nil {
			return badValue("emails")
		}
		v.Value = x.Value
	default: // type, primary, display: they change nothing here
		return nil
	}
	found := false
	for i := range d.Mails {
		if p.picks(&d.Mails[i]) {
			d.Mails[i].Value, found = v.Value, true
		}
	}
	if !found { // Entra ID adds the first address by a filter that nothing fits yet
		v.Primary = len(d.Mails) == 0
		for _, t := range p.filter {
			if t.attribute == "type" {
				v.Type = t.value
			}
		}
		d.Mails = append(d.Mails, v)
	}
	return nil
}

// applyGroup makes one change of a group.
func applyGroup(g *account.Group, c *change) error {
	parts, err := c.parts()
	if err != nil {
		return err
	}
	for i := range parts {
		p, err := parsePath(parts[i].Path)
		if err != nil {
			return err
		}
		c := &parts[i]
		switch p.attribute {
		case "members":
			err = setMembers(g, p, c)
		case "displayname":
			if c.Op == "remove" {
				return &refusal{http.StatusBadRequest, "mutability", "displayName cannot be removed"}
			}
			g.Name, err = textOf("displayName", c.Value)
		case "externalid":
			if g.External = ""; c.Op != "remove" {
				g.External, err = textOf("externalId", c.Value)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func setMembers(g *account.Group, p path, c *change) error {
	var given []scimRef
	whole := len(c.Value) == 0 || string(c.Value) == "null"
	if !whole {
		if err := json.Unmarshal(c.Value, &given); err != nil {
			var one scimRef
			if json.Unmarshal(c.Value, &one) != nil {
				return badValue("members")
			}
			given = []scimRef{one}
		}
	}
	switch c.Op {
	case "remove":
		gone := map[string]bool{}
		for _, m := range given {
			gone[m.Value] = true
		}
		for _, t := range p.filter {
			if t.attribute != "value" {
				return &refusal{http.StatusBadRequest, "invalidFilter", "members are removed by value"}
			}
			gone[t.value] = true
		}
		all := whole && p.filter == nil
		g.Members = slices.DeleteFunc(g.Members, func(m account.Ref) bool { return all || gone[m.ID] })
		return nil
	case "replace":
		g.Members = nil
	}
	g.Members = append(g.Members, refsOf(given)...)
	return nil
}
