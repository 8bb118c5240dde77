package intel

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Format is a form that feeds come in.
type Format string

// The formats.
const (
	Plain         Format = "plain"         // one value a line, # and ; begin comments
	CSV           Format = "csv"           // columns as the feed's settings name them
	STIX          Format = "stix"          // a STIX 2.1 bundle
	TAXII         Format = "taxii"         // a TAXII 2.1 server with STIX 2.1
	MISP          Format = "misp"          // a MISP event, or a list of them, in JSON
	URLhaus       Format = "urlhaus"       // abuse.ch, CSV or JSON
	ThreatFox     Format = "threatfox"     // abuse.ch, CSV or JSON
	FeodoTracker  Format = "feodotracker"  // abuse.ch, CSV or JSON
	MalwareBazaar Format = "malwarebazaar" // abuse.ch, CSV or JSON
)

// Formats lists the formats.
var Formats = []Format{Plain, CSV, STIX, TAXII, MISP, URLhaus, ThreatFox, FeodoTracker, MalwareBazaar}

// Bounds of what a feed gives.
const (
	maxLine    = 64 << 10
	maxDepth   = 64
	maxFeed    = 1_000_000 // indicators
	maxUnpack  = 512 << 20 // bytes
	maxDocType = 4096      // bytes looked at to tell CSV from JSON
)

// Counts is what a parser made of a feed.
type Counts struct {
	Read          int    `json:"read"`          // entries that looked like indicators
	Invalid       int    `json:"invalid"`       // that could not be brought into form
	NotUnderstood int    `json:"notUnderstood"` // in a form or of a type that KYRA does not match
	FirstProblem  string `json:"firstProblem"`  // what was wrong with the first of them

	next string // the next page of a TAXII server
	more bool   // there is one
}

func (c *Counts) problem(format string, args ...any) {
	if c.FirstProblem == "" {
		c.FirstProblem = clip(clean(fmt.Sprintf(format, args...)), 300)
	}
}

// errEnough is how a taker of drafts ends the parsing.
var errEnough = errors.New("enough")

// A parsing is one document being read. Drafts are given to take as they are found; it
// may end the parsing with errEnough.
type parsing struct {
	settings *Settings
	counts   *Counts
	take     func(*Draft) error
}

// Parse reads a document of a feed, which may be packed with gzip. What is wrong with
// single entries is counted; an error is of the document as a whole (fault.Invalid) or
// of take.
func Parse(f Format, r io.Reader, settings *Settings, counts *Counts, take func(*Draft) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fault.New(fault.Invalid, "the feed is packed with gzip and cannot be unpacked").Because(err)
		}
		defer func() { _ = z.Close() }() // what is wrong was found while reading
		in = bufio.NewReaderSize(&capped{z, maxUnpack}, 64<<10)
	} else if bytes.HasPrefix(magic, []byte("PK")) {
		return fault.New(fault.Invalid, "the feed is a zip file: unpack it, or name the address of the plain file")
	}
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	p := &parsing{settings, counts, take}
	var err error
	switch f {
	case Plain:
		err = p.plain(in)
	case CSV:
		err = p.csv(in, p.settings.Columns)
	case STIX, TAXII:
		err = p.stix(in)
	case MISP:
		err = p.misp(in)
	case URLhaus, ThreatFox, FeodoTracker, MalwareBazaar:
		err = p.abuse(f, in)
	default:
		return fmt.Errorf("there is no format %q", f)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// capped is a reader that fails beyond its bound.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fault.New(fault.TooLarge, "the feed is larger than %d MiB unpacked", maxUnpack>>20)
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// give completes a draft with the feed's settings and hands it on, or counts why not.
func (p *parsing) give(d *Draft) error {
	p.counts.Read++
	var err error
	switch {
	case d.Type == "" && p.settings.Type != "":
		d.Type = p.settings.Type
		d.Value, err = Normalise(d.Type, d.Value)
	case d.Type == "":
		d.Type, d.Value, err = Guess(d.Value)
	case d.Type == IPv4 || d.Type == IPv6: // foreign types do not always tell them apart
		d.Type, d.Value, err = Guess(d.Value)
	default:
		d.Value, err = Normalise(d.Type, d.Value)
	}
	if err != nil {
		p.counts.Invalid++
		p.counts.problem("entry %d: %v", p.counts.Read, err)
		return nil
	}
	if d.Confidence == nil && p.settings.Confidence != nil {
		n := *p.settings.Confidence
		d.Confidence = &n
	}
	if d.Confidence != nil {
		*d.Confidence = min(max(*d.Confidence, 0), 100)
	}
	if d.Severity == "" {
		d.Severity = p.settings.Severity
	}
	d.Tags = append(d.Tags, p.settings.Tags...)
	if len(d.Tags) > MaxTags {
		d.Tags = d.Tags[:MaxTags]
	}
	return p.take(d)
}

// skip counts an entry of a kind that is not matched.
func (p *parsing) skip(format string, args ...any) {
	p.counts.NotUnderstood++
	p.counts.problem(format, args...)
}

// plain reads one value a line; what follows a blank or a comment sign is left out.
func (p *parsing) plain(in *bufio.Reader) error {
	lines := newLines(in)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' || strings.HasPrefix(line, "//") {
			continue
		}
		if i := strings.IndexAny(line, " \t,;|"); i >= 0 {
			first, rest := line[:i], strings.Fields(line[i+1:])
			// A line of a hosts file names the domain second.
			if (first == "0.0.0.0" || first == "127.0.0.1") && len(rest) > 0 {
				first = rest[0]
			}
			line = first
		}
		if err := p.give(&Draft{Value: line}); err != nil {
			return err
		}
	}
	return lineError(lines.Err())
}

func newLines(in io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	return s
}

func lineError(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return fault.New(fault.Invalid, "a line is longer than %d bytes: is it a feed of this format?", maxLine)
	}
	return err
}

// A stamp reads the times that feeds write; what is no time is the zero Time.
func stamp(s string) time.Time {
	s = strings.TrimSuffix(strings.TrimSpace(s), " UTC")
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return t.UTC()
		}
	}
	return time.Time{}
}
