package intel

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// headers are the columns of abuse.ch's CSV files where the file does not say them.
var headers = map[Format]row{
	URLhaus:       {"id", "dateadded", "url", "url_status", "last_online", "threat", "tags", "urlhaus_link", "reporter"},
	ThreatFox:     {"first_seen_utc", "ioc_id", "ioc_value", "ioc_type", "threat_type", "fk_malware", "malware_alias", "malware_printable", "last_seen_utc", "confidence_level", "reference", "tags", "anonymous", "reporter"},
	FeodoTracker:  {"first_seen_utc", "dst_ip", "dst_port", "c2_status", "last_online", "malware"},
	MalwareBazaar: {"first_seen_utc", "sha256_hash", "md5_hash", "sha1_hash", "reporter", "file_name", "file_type_guess", "mime_type", "signature"},
}

// abuse reads the forms of abuse.ch: a CSV with comments, or JSON.
func (p *parsing) abuse(f Format, in *bufio.Reader) error {
	begin, _ := in.Peek(maxDocType)
	if begin = bytes.TrimLeft(begin, " \t\r\n"); len(begin) > 0 && (begin[0] == '{' || begin[0] == '[') {
		return elements(in, []string{"data", "urls"}, func(_ string, item json.RawMessage) error { return p.abuseItem(f, item) })
	}
	return records(in, ',', func(header, r row) error {
		names := header
		if len(names) < 3 {
			names = headers[f]
		}
		if slices.Contains(r, names[0]) { // the header again, without its comment sign
			return nil
		}
		return p.abuseEntry(f, func(name string) string { return r.at(names.place(name)) })
	})
}

// abuseItem reads an entry of JSON, or the list of entries that stands under an id.
func (p *parsing) abuseItem(f Format, item json.RawMessage) error {
	if len(item) == 0 || item[0] != '{' {
		var list []json.RawMessage
		if json.Unmarshal(item, &list) != nil {
			return nil // such as "query_status": "ok"
		}
		for _, inner := range list {
			if len(inner) > 0 && inner[0] == '{' {
				if err := p.abuseItem(f, inner); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal(item, &fields); err != nil {
		return jsonError(err)
	}
	return p.abuseEntry(f, func(name string) string { return textOf(fields[name]) })
}

// textOf is a value of JSON as a CSV has it.
func textOf(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case []any:
		var all []string
		for _, one := range x {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return strings.Join(all, ",")
	}
	return ""
}

// abuseEntry reads one entry whose fields get returns.
func (p *parsing) abuseEntry(f Format, get func(string) string) error {
	first := func(names ...string) string {
		for _, n := range names {
			if v := get(n); v != "" {
				return v
			}
		}
		return ""
	}
	d := Draft{Severity: "high", Tags: splitTags(get("tags")), FirstSeen: stamp(first("first_seen_utc", "first_seen", "dateadded", "date_added")), LastSeen: stamp(first("last_seen_utc", "last_seen", "last_online"))}
	malware := first("malware_printable", "malware", "signature", "threat")
	if malware != "" && malware != "n/a" {
		d.Description = malware
	}
	give := func(t Type, value string, confidence int) error {
		one := d
		one.Type, one.Value, one.Confidence = t, value, &confidence
		one.Tags = slices.Clone(d.Tags)
		return p.give(&one)
	}
	switch f {
	case URLhaus:
		confidence := 80
		if get("url_status") == "offline" {
			confidence = 60
		}
		return give(URL, get("url"), confidence)
	case FeodoTracker:
		return give(IPv4, first("dst_ip", "ip_address"), 90)
	case MalwareBazaar:
		return errorsOf(
			p.ifValue(SHA256, get("sha256_hash"), give), p.ifValue(MD5, get("md5_hash"), give), p.ifValue(SHA1, get("sha1_hash"), give))
	}
	value, kind := first("ioc_value", "ioc"), get("ioc_type")
	t := typeNamed(kind)
	if t == "" {
		p.counts.Read++
		p.skip("type %q", kind)
		return nil
	}
	confidence, err := strconv.Atoi(get("confidence_level"))
	if err != nil {
		confidence = standardConfidence
	}
	if kind := get("threat_type"); kind != "" {
		d.Tags = append(d.Tags, kind)
	}
	return give(t, value, confidence)
}

func (p *parsing) ifValue(t Type, value string, give func(Type, string, int) error) error {
	if value == "" || value == "n/a" {
		return nil
	}
	return give(t, value, 90)
}

// errorsOf returns the first error.
func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// mispEvent is what is read of a MISP event (core format).
type mispEvent struct {
	Info      string          `json:"info"`
	Level     any             `json:"threat_level_id"` // 1 high, 2 medium, 3 low, as text or number
	Attribute []mispAttribute `json:"Attribute"`
	Object    []struct {
		Attribute []mispAttribute `json:"Attribute"`
	} `json:"Object"`
	Tag []mispTag `json:"Tag"`
}

type mispTag struct {
	Name string `json:"name"`
}

type mispAttribute struct {
	Type      string    `json:"type"`
	Value     any       `json:"value"`
	ToIDs     any       `json:"to_ids"`
	Deleted   any       `json:"deleted"`
	Comment   string    `json:"comment"`
	Timestamp any       `json:"timestamp"`
	Tag       []mispTag `json:"Tag"`
}

// misp reads {"Event": …}, {"response": [{"Event": …}]} and [{"Event": …}].
func (p *parsing) misp(in *bufio.Reader) error {
	events := 0
	err := elements(in, []string{"response"}, func(key string, item json.RawMessage) error {
		var wrapped struct{ Event *mispEvent }
		if key == "Event" {
			wrapped.Event = &mispEvent{}
			if err := json.Unmarshal(item, wrapped.Event); err != nil {
				return jsonShape(err)
			}
		} else if len(item) > 0 && item[0] == '{' {
			if err := json.Unmarshal(item, &wrapped); err != nil {
				return jsonShape(err)
			}
		}
		if wrapped.Event == nil {
			return nil
		}
		events++
		return p.mispEvent(wrapped.Event)
	})
	if err == nil && events == 0 {
		p.counts.problem("there is no MISP event in the document")
	}
	return err
}

func jsonShape(err error) error { return jsonError(fmt.Errorf("entry: %w", err)) }

func (p *parsing) mispEvent(e *mispEvent) error {
	severity := map[string]string{"1": "high", "2": "medium", "3": "low"}[textOf(e.Level)]
	var tags []string
	for _, t := range e.Tag {
		tags = append(tags, t.Name)
	}
	attributes := e.Attribute
	for _, o := range e.Object {
		attributes = append(attributes, o.Attribute...)
	}
	for i := range attributes {
		a := &attributes[i]
		if truthy(a.Deleted) {
			continue
		}
		if err := p.mispAttribute(a, Draft{Severity: severity, Tags: slices.Clone(tags), Description: e.Info}); err != nil {
			return err
		}
	}
	return nil
}

func (p *parsing) mispAttribute(a *mispAttribute, d Draft) error {
	if !truthy(a.ToIDs) {
		p.counts.Read++
		p.skip("an attribute of type %q that is not meant for detection (to_ids)", a.Type)
		return nil
	}
	for _, t := range a.Tag {
		d.Tags = append(d.Tags, t.Name)
	}
	if a.Comment != "" {
		d.Description = strings.TrimSuffix(d.Description+": "+a.Comment, ": ")
	}
	if n, err := strconv.ParseInt(textOf(a.Timestamp), 10, 40); err == nil && n > 0 {
		d.LastSeen = unix(n)
	}
	value := textOf(a.Value)
	kinds, values := strings.Split(a.Type, "|"), strings.Split(value, "|")
	if len(kinds) != len(values) {
		kinds, values = []string{a.Type}, []string{value}
	}
	understood := false
	for i, kind := range kinds {
		if t := typeNamed(kind); t != "" {
			understood = true
			one := d
			one.Type, one.Value, one.Tags = t, values[i], slices.Clone(d.Tags)
			if err := p.give(&one); err != nil {
				return err
			}
		}
	}
	if !understood {
		p.counts.Read++
		p.skip("an attribute of type %q", a.Type)
	}
	return nil
}

// truthy reads what MISP writes for true.
func truthy(v any) bool {
	switch x := v.(type) {
	case bool:
		return x
	case string:
		return x == "1" || strings.EqualFold(x, "true")
	case float64:
		return x != 0
	}
	return false
}
