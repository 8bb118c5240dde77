package intel

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Columns says where a CSV file has what: the name of a column, or its number from 1.
// Only Value is needed. A file with no names given has no header that is read.
type Columns struct {
	Value       string `json:"value,omitempty"`
	Type        string `json:"type,omitempty"`
	Confidence  string `json:"confidence,omitempty"`
	Severity    string `json:"severity,omitempty"`
	Tags        string `json:"tags,omitempty"`
	Description string `json:"description,omitempty"`
	FirstSeen   string `json:"firstSeen,omitempty"`
	LastSeen    string `json:"lastSeen,omitempty"`
	ValidUntil  string `json:"validUntil,omitempty"`
	Separator   string `json:"separator,omitempty"` // "," where empty
}

// A row is one record of a CSV file whose columns are known by place.
type row []string

func (r row) at(i int) string {
	if i < 0 || i >= len(r) {
		return ""
	}
	return strings.TrimSpace(r[i])
}

// records yields the records of a CSV file with its comment lines left out. abuse.ch
// writes the header as a comment: header is the last comment before the first record.
func records(in *bufio.Reader, separator rune, f func(header, record row) error) error {
	var header row
	c := csv.NewReader(&noComments{in: in, note: func(line string) {
		if fields := strings.Split(line, string(separator)); len(fields) > 1 {
			header = nil
			for _, name := range fields {
				header = append(header, strings.ToLower(strings.Trim(strings.TrimSpace(name), `"`)))
			}
		}
	}})
	c.Comma, c.FieldsPerRecord, c.LazyQuotes, c.TrimLeadingSpace, c.ReuseRecord = separator, -1, true, true, true
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			return fault.New(fault.Invalid, "line %d is no CSV: %v", bad.Line, bad.Err)
		}
		if err != nil {
			return lineError(err)
		}
		if err := f(header, record); err != nil {
			return err
		}
	}
}

// noComments leaves out lines that begin with #.
type noComments struct {
	in   *bufio.Reader
	note func(line string) // hears of comments
	line []byte            // not yet read
	long int               // bytes of the line that goes on
}

func (n *noComments) Read(b []byte) (int, error) {
	for len(n.line) == 0 {
		line, err := n.in.ReadSlice('\n')
		begins := n.long == 0
		n.long += len(line)
		if errors.Is(err, bufio.ErrBufferFull) {
			if n.long > maxLine*16 {
				return 0, bufio.ErrTooLong
			}
			err = nil
		} else {
			n.long = 0
		}
		if len(line) == 0 && err != nil {
			return 0, err
		}
		if begins && len(line) > 0 && line[0] == '#' {
			n.note(strings.TrimSpace(string(line[1:])))
			continue
		}
		n.line = line
	}
	k := copy(b, n.line)
	n.line = n.line[k:]
	return k, nil
}

// csv reads records by the columns that the settings name.
func (p *parsing) csv(in *bufio.Reader, c Columns) error {
	separator := ','
	if c.Separator != "" {
		separator = []rune(c.Separator)[0]
	}
	if c.Value == "" {
		c.Value = "1"
	}
	var at map[string]int // by the settings' word
	return records(in, separator, func(header, r row) error {
		if at == nil {
			names := header
			skip := false
			if !numbered(c) && !names.has(c.Value) {
				names, skip = nil, true
				for _, name := range r {
					names = append(names, strings.ToLower(strings.TrimSpace(name)))
				}
				if !names.has(c.Value) {
					return fault.New(fault.Invalid, "there is no column %q in: %s", c.Value, clip(clean(strings.Join(names, ", ")), 200))
				}
			}
			at = map[string]int{}
			for _, word := range []string{c.Value, c.Type, c.Confidence, c.Severity, c.Tags, c.Description, c.FirstSeen, c.LastSeen, c.ValidUntil} {
				at[word] = names.place(word)
			}
			if skip {
				return nil
			}
		}
		get := func(word string) string { return r.at(at[word]) }
		d := &Draft{Value: get(c.Value), Type: typeNamed(get(c.Type)), Severity: severityNamed(get(c.Severity)), Description: get(c.Description), FirstSeen: stamp(get(c.FirstSeen)), LastSeen: stamp(get(c.LastSeen))}
		if d.Value == "" {
			return nil
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(get(c.Confidence), "%")); err == nil {
			d.Confidence = &n
		}
		if t := stamp(get(c.ValidUntil)); !t.IsZero() {
			d.ValidUntil = &t
		}
		d.Tags = splitTags(get(c.Tags))
		return p.give(d)
	})
}

// numbered tells whether the columns are given by number.
func numbered(c Columns) bool {
	_, err := strconv.Atoi(c.Value)
	return err == nil
}

func (r row) has(name string) bool { return r.place(name) >= 0 }

// place finds a column by its name or number, -1 for none.
func (r row) place(word string) int {
	if word == "" {
		return -1
	}
	if n, err := strconv.Atoi(word); err == nil && n > 0 && n < 10_000 {
		return n - 1
	}
	for i, name := range r {
		if strings.EqualFold(name, strings.TrimSpace(word)) {
			return i
		}
	}
	return -1
}

func splitTags(s string) []string {
	var out []string
	for t := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r == '|' }) {
		if t = strings.TrimSpace(t); t != "" && !strings.EqualFold(t, "none") && len(out) < MaxTags {
			out = append(out, t)
		}
	}
	return out
}

// typeNamed reads the names that feeds have for types, "" for none that is known.
func typeNamed(name string) Type {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "ip", "ipv4", "ip-src", "ip-dst", "ip:port", "ipv4-addr", "ip-src|port", "ip-dst|port", "ip address":
		return IPv4
	case "ipv6", "ipv6-addr":
		return IPv6
	case "cidr", "network", "netblock":
		return CIDR
	case "domain", "hostname", "fqdn", "domain-name", "host":
		return Domain
	case "url", "uri", "link":
		return URL
	case "md5", "md5_hash", "filehash-md5":
		return MD5
	case "sha1", "sha-1", "sha1_hash", "filehash-sha1":
		return SHA1
	case "sha256", "sha-256", "sha256_hash", "filehash-sha256":
		return SHA256
	case "email", "email-src", "email-dst", "email-addr", "email-address":
		return Email
	case "ja3", "ja3-fingerprint-md5":
		return JA3
	}
	return ""
}

func severityNamed(name string) string {
	switch s := strings.ToLower(name); s {
	case "critical", "high", "medium", "low", "info":
		return s
	case "informational":
		return "info"
	}
	return ""
}
