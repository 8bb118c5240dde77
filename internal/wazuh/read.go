package wazuh

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds how deep elements may be nested.
const maxDepth = 32

// read reads the rules of one file. Wazuh's files have no root, and their text is
// escaped with backslashes as well as in XML's way.
func (c *converter) read(f File) {
	text := bytes.ReplaceAll(blankComments(f.Data), []byte(`\<`), []byte(`&lt;`))
	text = ampersand.ReplaceAll(text, []byte("&amp;$1"))
	dec := xml.NewDecoder(io.MultiReader(strings.NewReader("<rules>"), bytes.NewReader(text), strings.NewReader("</rules>")))
	p := fileReader{c: c, dec: dec, file: f.Name, vars: map[string]string{}}
	head := string(f.Data[:min(len(f.Data), 4096)])
	if strings.Contains(head, "Wazuh, Inc") || strings.Contains(head, "Wazuh Inc") {
		p.author = "Wazuh, Inc."
	}
	if strings.Contains(head, "GPLv2") {
		p.license = "GPL-2.0-only"
	}
	if err := p.run(); err != nil {
		line, column := dec.InputPos()
		reason := err.Error()
		if s, ok := errors.AsType[*xml.SyntaxError](err); ok {
			line, reason = s.Line, s.Msg
		}
		c.refused = append(c.refused, Refusal{File: f.Name, Line: line, Column: column, Reason: "the XML cannot be read: " + reason + "; rules before it are taken"})
	}
}

// blankComments puts blanks in the place of comments, in which Wazuh allows what XML
// does not.
func blankComments(text []byte) []byte {
	out := bytes.Clone(text)
	for at := 0; ; {
		start := bytes.Index(out[at:], []byte("<!--"))
		if start < 0 {
			return out
		}
		start += at
		end := bytes.Index(out[start:], []byte("-->"))
		if end < 0 {
			return out // the XML reader will say where
		}
		end += start + len("-->")
		for i := start; i < end; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
		at = end
	}
}

// ampersand finds the ones that begin no entity, which Wazuh takes as they are.
var ampersand = regexp.MustCompile(`&([^#a-z]|$|[a-z]+[^a-z;])`)

type fileReader struct {
	c               *converter
	dec             *xml.Decoder
	file            string
	author, license string
	vars            map[string]string
	groups          []string // of the elements around
}

func (p *fileReader) run() error {
	var groups [][]string
	for {
		t, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "rules":
			case "group":
				if len(groups) >= maxDepth {
					return errors.New("groups are nested too deep")
				}
				groups = append(groups, p.groups)
				p.groups = append(slices.Clip(p.groups), words(p.expand(attr(t, "name")))...)
			case "var":
				text, err := p.text()
				if err != nil {
					return err
				}
				p.vars[attr(t, "name")] = text
			case "rule":
				if err := p.rule(t); err != nil {
					return err
				}
			default:
				if err := p.dec.Skip(); err != nil {
					return err
				}
			}
		case xml.EndElement:
			if t.Name.Local == "group" && len(groups) > 0 {
				p.groups = groups[len(groups)-1]
				groups = groups[:len(groups)-1]
			}
		}
	}
}

func attr(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// words splits a list with commas or blanks.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// text reads the text up to the end of the element.
func (p *fileReader) text() (string, error) {
	var b strings.Builder
	for depth := 0; ; {
		t, err := p.dec.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return "", errors.New("elements are nested too deep")
			}
		case xml.EndElement:
			if depth == 0 {
				return p.expand(strings.TrimSpace(b.String())), nil
			}
			depth--
		}
	}
}

// expand fills in variables.
func (p *fileReader) expand(s string) string {
	if strings.IndexByte(s, '$') < 0 {
		return s
	}
	for name, v := range p.vars {
		s = strings.ReplaceAll(s, "$"+name, v)
	}
	return s
}

func (p *fileReader) rule(t xml.StartElement) error {
	line, _ := p.dec.InputPos()
	r := &rule{file: p.file, line: line, author: p.author, license: p.license, groups: slices.Clip(p.groups)}
	number := func(name string) int {
		n, err := strconv.Atoi(p.expand(attr(t, name)))
		if err != nil && attr(t, name) != "" {
			r.foreign = fmt.Sprintf("%s=%q is no number", name, attr(t, name))
		}
		return n
	}
	r.id, r.level, r.frequency, r.timeframe = number("id"), number("level"), number("frequency"), number("timeframe")
	r.noAlert = attr(t, "noalert") == "1"
	if r.timeframe == 0 {
		r.timeframe = 360 // Wazuh's own default
	}
	if attr(t, "maxsize") != "" {
		r.foreign = "maxsize tests the length of the log, which Sigma cannot"
	}
	var description []string
	for {
		t, err := p.dec.Token()
		if err != nil {
			return err
		}
		if _, ok := t.(xml.EndElement); ok {
			break
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local == "mitre" {
			if err := p.mitre(r); err != nil {
				return err
			}
			continue
		}
		text, err := p.text()
		if err != nil {
			return err
		}
		if start.Name.Local == "description" {
			description = append(description, text)
			continue
		}
		r.take(start, text)
	}
	r.description = strings.Join(strings.Fields(strings.Join(description, " ")), " ")
	if r.id == 0 {
		p.c.refuse(r, "it has no id")
		return nil
	}
	if old := p.c.rules[r.id]; old != nil && attr(t, "overwrite") != "yes" {
		p.c.refuse(r, "rule %d stands in %s line %d already", r.id, old.file, old.line)
		return nil
	}
	p.c.rules[r.id] = r
	p.c.order = append(p.c.order, r)
	return nil
}

var technique = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)

func (p *fileReader) mitre(r *rule) error {
	for depth := 0; ; {
		t, err := p.dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
		case xml.CharData:
			if id := strings.ToUpper(strings.TrimSpace(string(t))); technique.MatchString(id) {
				r.techniques = append(r.techniques, id)
			}
		case xml.EndElement:
			if depth == 0 {
				return nil
			}
			depth--
		}
	}
}

// take notes one element of a rule.
func (r *rule) take(t xml.StartElement, text string) {
	name := t.Name.Local
	negate := strings.EqualFold(attr(t, "negate"), "yes")
	add := func(field string, standard patternKind) {
		kind := standard
		switch strings.ToLower(attr(t, "type")) {
		case "osmatch":
			kind = osMatch
		case "osregex":
			kind = osRegex
		case "pcre2":
			kind = pcre2
		}
		if i := len(r.tests) - 1; field == "" && i >= 0 && r.tests[i].field == "" && r.tests[i].kind == kind && r.tests[i].negate == negate && !r.tests[i].list {
			r.tests[i].pattern += text // several make one pattern
			return
		}
		r.tests = append(r.tests, test{field: field, kind: kind, pattern: text, negate: negate})
	}
	switch name {
	case "match":
		add("", osMatch)
	case "regex":
		add("", osRegex)
	case "field":
		add(attr(t, "name"), osRegex)
	case "srcip", "dstip":
		if strings.HasPrefix(text, "!") {
			negate, text = true, text[1:]
		}
		r.tests = append(r.tests, test{field: name, kind: network, pattern: text, negate: negate})
	case "user", "url", "id", "status", "action", "program_name", "hostname", "extra_data", "data", "srcport", "dstport", "protocol", "system_name", "dstuser", "srcuser":
		add(name, osMatch)
	case "decoded_as":
		r.decoder = text
	case "category":
		r.category = text
	case "if_sid", "if_matched_sid":
		for _, w := range words(text) {
			id, err := strconv.Atoi(w)
			if err != nil {
				r.foreign = fmt.Sprintf("%s names %q, which is no rule", name, w)
				continue
			}
			if name == "if_sid" {
				r.parents = append(r.parents, id)
			} else {
				r.matched = append(r.matched, id)
			}
		}
	case "if_group":
		r.parentGroup = text
	case "if_matched_group":
		r.matchedGroup = text
	case "list":
		r.list(t, text, negate)
	case "group":
		r.groups = append(r.groups, words(text)...)
	case "info":
		if attr(t, "type") == "link" {
			r.links = append(r.links, text)
		}
	case "options", "ignore", "check_if_ignored", "ddpbsd", "global_frequency": // how Wazuh tells, not what it finds
	default:
		r.relation(name, text)
	}
}

// relation notes what events that are counted have in common.
func (r *rule) relation(name, text string) {
	kind, field, ok := strings.Cut(name, "_")
	if ok && kind == "not" {
		if rest, found := strings.CutPrefix(field, "same_"); found {
			kind, field = "different", rest
		}
	}
	if field == "field" {
		field = text
	}
	switch kind {
	case "same":
		r.same = append(r.same, field)
	case "different":
		r.differ = append(r.differ, field)
	default:
		r.foreign = fmt.Sprintf("<%s> has no counterpart in Sigma", name)
	}
}

func (r *rule) list(t xml.StartElement, text string, negate bool) {
	test := test{field: attr(t, "field"), kind: osMatch, pattern: listName(text), list: true, negate: negate}
	switch attr(t, "lookup") {
	case "match_key":
	case "not_match_key":
		test.negate = !negate
	case "address_match_key":
		test.kind = network
	case "not_address_match_key":
		test.kind, test.negate = network, !negate
	default:
		r.foreign = fmt.Sprintf("<list lookup=%q> looks at values beside the keys of a list, which Sigma cannot", attr(t, "lookup"))
	}
	r.tests = append(r.tests, test)
}

// listName makes a name of the path of a list: etc/lists/audit-keys → audit-keys.
func listName(path string) string {
	path = strings.TrimSpace(path)
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, path[strings.LastIndexByte(path, '/')+1:])
}
