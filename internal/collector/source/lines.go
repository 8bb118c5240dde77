package source

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// Multiline joins lines to one record.
type Multiline struct {
	Start    string        `yaml:"start"`     // RE2 that the first line of a record matches
	Timeout  time.Duration `yaml:"timeout"`   // after which an unfinished record goes; default 2s
	MaxLines int           `yaml:"max_lines"` // default 500
}

// A group decides which lines are one record.
type group struct {
	begins  func(line []byte) bool                 // a line that cannot go on a record; nil: none
	ends    func(line []byte) bool                 // a line that ends its record; nil: only what begins the next
	join    func(path string, lines string) string // what becomes of the lines; nil: as they are
	timeout time.Duration
	most    int // lines
}

// group reads the settings, nil where every line is a record.
func (m *Multiline) group() (*group, error) {
	if m == nil {
		return nil, nil
	}
	start, err := regexp.Compile(m.Start)
	if err != nil || m.Start == "" {
		return nil, wrong("multiline.start", "%q is not a pattern: it must match the first line of each record, such as '^\\d{4}-'", m.Start)
	}
	g := &group{begins: start.Match, timeout: m.Timeout, most: m.MaxLines}
	if g.timeout <= 0 {
		g.timeout = 2 * time.Second
	}
	if g.most <= 0 {
		g.most = 500
	}
	return g, nil
}

// A cutter takes records off the front of what was read.
type cutter struct {
	group *group
	path  string
	skip  bool             // the rest of a line that was cut is still to come
	order binary.ByteOrder // of UTF-16, nil for bytes as they are
}

// A cutting is what a cutter took.
type cutting struct {
	records []string
	cut     []uint32
	used    int // bytes of the input that are done with
	size    int
}

func (c *cutting) full() bool { return c.size >= maxPiece || len(c.records) >= maxPieceRecords }

// add keeps a record, of at most framing.MaxRecord bytes.
func (c *cutting) add(text string, cut bool) {
	if len(text) > framing.MaxRecord {
		text, cut = text[:framing.MaxRecord], true
	}
	if text == "" {
		return
	}
	if cut {
		c.cut = append(c.cut, uint32(len(c.records)))
	}
	c.records = append(c.records, text)
	c.size += len(text)
}

// take cuts b. With rest, what has no end yet is a record as well: it has waited
// long enough; with last, so is a line without its line feed.
func (c *cutter) take(b []byte, rest, last bool) cutting {
	if c.order != nil {
		return c.takeWide(b, rest, last)
	}
	return c.takeBytes(b, rest, last)
}

func (c *cutter) takeBytes(b []byte, rest, last bool) cutting {
	var out cutting
	if c.skip {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			out.used = len(b)
			return out
		}
		out.used, c.skip = i+1, false
	}
	if c.group == nil {
		c.takeLines(b, last, &out)
	} else {
		c.takeGroups(b, rest || last, last, &out)
	}
	return out
}

func (c *cutter) takeLines(b []byte, last bool, out *cutting) {
	for !out.full() {
		line, n := nextLine(b[out.used:], last)
		if n == 0 {
			if len(b)-out.used > framing.MaxRecord {
				out.add(string(b[out.used:out.used+framing.MaxRecord]), true)
				out.used, c.skip = len(b), true
			}
			return
		}
		out.add(string(line), false)
		out.used += n
	}
}

// nextLine returns the first line of b without its end, and how many bytes it takes.
func nextLine(b []byte, last bool) (line []byte, n int) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i >= 0:
		return bytes.TrimSuffix(b[:i], []byte{'\r'}), i + 1
	case last && len(b) > 0:
		return bytes.TrimSuffix(b, []byte{'\r'}), len(b)
	}
	return nil, 0
}

func (c *cutter) takeGroups(b []byte, rest, last bool, out *cutting) {
	for !out.full() {
		at, lines, whole := out.used, 0, false
		for !whole {
			line, n := nextLine(b[at:], last)
			switch {
			case n == 0 && len(b)-out.used > framing.MaxRecord:
				c.emit(b[out.used:], out)
				out.used, c.skip = len(b), at < len(b)
				return
			case n == 0 && (!rest || at == out.used):
				return
			case n == 0:
				whole = true
			case lines > 0 && c.group.begins != nil && c.group.begins(line):
				whole = true
			default:
				at += n
				lines++
				whole = lines >= c.group.most || c.group.ends != nil && c.group.ends(line)
			}
		}
		c.emit(b[out.used:at], out)
		out.used = at
	}
}

func (c *cutter) emit(b []byte, out *cutting) {
	text := strings.TrimRight(string(b), "\r\n")
	if c.group.join != nil && text != "" {
		text = c.group.join(c.path, text)
	}
	out.add(text, false)
}
