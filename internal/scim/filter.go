package scim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// A term of a filter: an attribute that equals a value.
type term struct {
	attribute string // without its schema, in lower case; "emails.value" also where a type is asked for
	value     string // true and false as such
}

const maxFilter = 1000

// parseFilter reads terms joined by "and", each an equality: all that directories ask.
func parseFilter(text string) ([]term, error) {
	bad := func(says string) error {
		return &refusal{http.StatusBadRequest, "invalidFilter", says + `; supported is: attribute eq "value", joined by and`}
	}
	if len(text) > maxFilter {
		return nil, bad("the filter is too long")
	}
	var all []term
	for rest := strings.TrimSpace(text); ; {
		attribute, after, ok := attributeOf(rest)
		if !ok {
			return nil, bad("an attribute is missing")
		}
		operator, after, ok := strings.Cut(strings.TrimLeft(after, " "), " ")
		if !ok || !strings.EqualFold(operator, "eq") {
			return nil, bad("the operator is not eq")
		}
		value, after, ok := literal(strings.TrimLeft(after, " "))
		if !ok {
			return nil, bad("a value is neither a text in double quotes nor true or false")
		}
		all = append(all, term{attribute, value})
		rest = strings.TrimSpace(after)
		if rest == "" {
			return all, nil
		}
		joined, after, ok := strings.Cut(rest, " ")
		if !ok || !strings.EqualFold(joined, "and") {
			return nil, bad("terms are not joined by and")
		}
		rest = strings.TrimSpace(after)
	}
}

// attributeOf cuts an attribute off, such as userName or emails[type eq "work"].value.
func attributeOf(text string) (attribute, rest string, ok bool) {
	end := strings.IndexAny(text, " [")
	if end <= 0 {
		return "", "", false
	}
	attribute, rest = text[:end], text[end:]
	if rest[0] == '[' {
		closes := endOfBracket(rest)
		if closes < 0 {
			return "", "", false
		}
		rest = rest[closes+1:]
		sub := strings.IndexByte(rest, ' ')
		if sub < 0 {
			return "", "", false
		}
		attribute, rest = attribute+rest[:sub], rest[sub:]
	}
	return strings.ToLower(plainAttribute(attribute)), rest, true
}

// endOfBracket is where the bracket that text begins with closes; -1 for nowhere.
func endOfBracket(text string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && text[i] == ']':
			return i
		}
	}
	return -1
}

// literal cuts a value off.
func literal(text string) (value, rest string, ok bool) {
	if text == "" || text[0] != '"' {
		end := strings.IndexByte(text, ' ')
		if end < 0 {
			end = len(text)
		}
		word := strings.ToLower(text[:end])
		return word, text[end:], word == "true" || word == "false"
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			err := json.Unmarshal([]byte(text[:i+1]), &value)
			return value, text[i+1:], err == nil
		}
	}
	return "", "", false
}

// plainAttribute is an attribute without the schema before it.
func plainAttribute(a string) string {
	for _, schema := range []string{userSchema, groupSchema} {
		if len(a) > len(schema) && strings.EqualFold(a[:len(schema)], schema) && a[len(schema)] == ':' {
			return a[len(schema)+1:]
		}
	}
	return a
}

// A path of a change: name.givenName, emails[type eq "work"].value, members[value eq "id"].
type path struct {
	attribute string // in lower case
	sub       string // in lower case, "" for none
	filter    []term // what is in brackets; nil for none
}

func parsePath(text string) (path, error) {
	bad := &refusal{http.StatusBadRequest, "invalidPath", "The path " + text + " cannot be read"}
	if len(text) > maxFilter {
		return path{}, &refusal{http.StatusBadRequest, "invalidPath", "The path is too long"}
	}
	text = plainAttribute(strings.TrimSpace(text))
	if strings.HasPrefix(strings.ToLower(text), "urn:") {
		return path{attribute: strings.ToLower(text)}, nil // of a schema that is not known here
	}
	if open := strings.IndexByte(text, '['); open >= 0 {
		closes := endOfBracket(text[open:])
		if open == 0 || closes < 0 {
			return path{}, bad
		}
		terms, err := parseFilter(text[open+1 : open+closes])
		if err != nil {
			return path{}, err
		}
		sub := text[open+closes+1:]
		if sub != "" && (sub[0] != '.' || len(sub) == 1) {
			return path{}, bad
		}
		return path{attribute: strings.ToLower(text[:open]), sub: strings.ToLower(strings.TrimPrefix(sub, ".")), filter: terms}, nil
	}
	attribute, sub, dotted := strings.Cut(text, ".")
	if attribute == "" || dotted && sub == "" || strings.ContainsAny(text, " \"") {
		return path{}, bad
	}
	return path{attribute: strings.ToLower(attribute), sub: strings.ToLower(sub)}, nil
}
