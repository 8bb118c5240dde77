package intel

import (
	"bufio"
	"encoding/json"
	"strings"
	"time"
)

// stixObject is what is read of an object of a STIX 2.1 bundle.
type stixObject struct {
	Type        string   `json:"type"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Pattern     string   `json:"pattern"`
	PatternType string   `json:"pattern_type"`
	ValidFrom   string   `json:"valid_from"`
	ValidUntil  string   `json:"valid_until"`
	Created     string   `json:"created"`
	Modified    string   `json:"modified"`
	Confidence  *int     `json:"confidence"`
	Revoked     bool     `json:"revoked"`
	Labels      []string `json:"labels"`
	Kinds       []string `json:"indicator_types"`
}

// stix reads the indicators of a bundle, or of a page of a TAXII server.
func (p *parsing) stix(in *bufio.Reader) error {
	return elements(in, []string{"objects"}, func(key string, item json.RawMessage) error {
		switch key {
		case "objects":
			return p.stixObject(item)
		case "":
			return p.stixObject(item) // a bare list of objects
		case "next":
			_ = json.Unmarshal(item, &p.counts.next) // a text, or it is no next page
		case "more":
			_ = json.Unmarshal(item, &p.counts.more) // likewise
		}
		return nil
	})
}

func (p *parsing) stixObject(item json.RawMessage) error {
	var o stixObject
	if json.Unmarshal(item, &o) != nil {
		p.counts.Invalid++
		p.counts.problem("an object is not of STIX 2.1")
		return nil
	}
	if o.Type != "indicator" || o.Revoked {
		return nil
	}
	if o.PatternType != "" && !strings.EqualFold(o.PatternType, "stix") {
		p.counts.Read++
		p.skip("a pattern of type %q", o.PatternType)
		return nil
	}
	values, ok := patternValues(o.Pattern)
	if !ok {
		p.counts.Read++
		p.skip("the pattern %s", clip(o.Pattern, 120))
		return nil
	}
	for _, v := range values {
		d := &Draft{Type: v.t, Value: v.value, Confidence: o.Confidence, Description: o.Name, ValidFrom: stamp(o.ValidFrom), FirstSeen: stamp(o.Created), LastSeen: stamp(o.Modified)}
		d.Tags = append(append(d.Tags, o.Labels...), o.Kinds...)
		if d.Confidence != nil {
			d.Confidence = new(*o.Confidence)
		}
		if t := stamp(o.ValidUntil); !t.IsZero() {
			d.ValidUntil = &t
		}
		if d.Description == "" {
			d.Description = o.Description
		}
		if err := p.give(d); err != nil {
			return err
		}
	}
	return nil
}

type patternValue struct {
	t     Type
	value string
}

// patternValues reads a STIX pattern that names values: comparisons by = or IN (of
// addresses also ISSUBSET), joined by OR within or between observations. Everything
// else (AND, NOT, LIKE, FOLLOWEDBY, qualifiers, other objects) is not understood: an
// indicator that is only half of its condition would cry wolf.
func patternValues(pattern string) ([]patternValue, bool) {
	if len(pattern) > 64<<10 {
		return nil, false
	}
	s := scanner{rest: pattern}
	var out []patternValue
	for {
		if !s.sign("[") {
			return nil, false
		}
		for {
			values, ok := s.comparison()
			if !ok {
				return nil, false
			}
			if out = append(out, values...); len(out) > 1000 {
				return nil, false
			}
			if s.word("OR") {
				continue
			}
			break
		}
		if !s.sign("]") {
			return nil, false
		}
		if s.space(); s.rest == "" {
			return out, true
		}
		if !s.word("OR") {
			return nil, false
		}
	}
}

// A scanner reads the tokens of a pattern.
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

func (s *scanner) sign(sign string) bool {
	s.space()
	rest, ok := strings.CutPrefix(s.rest, sign)
	if ok {
		s.rest = rest
	}
	return ok
}

// word reads a keyword, in any case.
func (s *scanner) word(word string) bool {
	s.space()
	if len(s.rest) < len(word) || !strings.EqualFold(s.rest[:len(word)], word) {
		return false
	}
	if len(s.rest) > len(word) && strings.IndexByte(" \t\r\n['(", s.rest[len(word)]) < 0 && s.rest[len(word)-1] != '=' {
		// a longer word, but what OR stands before is a path: OR url:value
		return false
	}
	s.rest = s.rest[len(word):]
	return true
}

// text reads a literal in single quotes.
func (s *scanner) text() (string, bool) {
	if !s.sign("'") {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '\\':
			if i++; i == len(s.rest) {
				return "", false
			}
			b.WriteByte(s.rest[i])
		case '\'':
			s.rest = s.rest[i+1:]
			return b.String(), true
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// path reads an object path such as file:hashes.'SHA-256'.
func (s *scanner) path() string {
	s.space()
	inText := false
	for i := range len(s.rest) {
		c := s.rest[i]
		if c == '\'' {
			inText = !inText
			continue
		}
		if !inText && strings.IndexByte(" \t\r\n=!<>()[]", c) >= 0 {
			path := s.rest[:i]
			s.rest = s.rest[i:]
			return strings.ToLower(strings.ReplaceAll(path, "'", ""))
		}
	}
	return ""
}

func (s *scanner) comparison() ([]patternValue, bool) {
	if s.sign("(") { // brackets around a list of alternatives
		var out []patternValue
		for len(out) < 1000 {
			values, ok := s.comparison()
			if !ok {
				return nil, false
			}
			out = append(out, values...)
			if s.sign(")") {
				return out, true
			}
			if !s.word("OR") {
				return nil, false
			}
		}
		return nil, false
	}
	t, ok := pathTypes[s.path()]
	if !ok {
		return nil, false
	}
	var texts []string
	switch {
	case s.sign("="), (t == IPv4 || t == IPv6) && s.word("ISSUBSET"):
		v, ok := s.text()
		if !ok {
			return nil, false
		}
		texts = []string{v}
	case s.word("IN"):
		if !s.sign("(") {
			return nil, false
		}
		for {
			v, ok := s.text()
			if !ok || len(texts) >= 1000 {
				return nil, false
			}
			texts = append(texts, v)
			if s.sign(",") {
				continue
			}
			if s.sign(")") {
				break
			}
			return nil, false
		}
	default:
		return nil, false
	}
	out := make([]patternValue, len(texts))
	for i, v := range texts {
		out[i] = patternValue{t, v}
	}
	return out, true
}

var pathTypes = map[string]Type{
	"ipv4-addr:value": IPv4, "ipv6-addr:value": IPv6, "domain-name:value": Domain, "url:value": URL, "email-addr:value": Email,
	"network-traffic:dst_ref.value": IPv4, "network-traffic:src_ref.value": IPv4, "email-message:from_ref.value": Email, "email-message:sender_ref.value": Email,
	"file:hashes.md5": MD5, "file:hashes.sha-1": SHA1, "file:hashes.sha1": SHA1, "file:hashes.sha-256": SHA256, "file:hashes.sha256": SHA256,
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
