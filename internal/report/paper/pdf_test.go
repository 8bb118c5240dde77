package paper

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// A PDF says which it is, what it is called, and in which language it is, and its table of
// places is right although the first line was changed.
func TestPDFDescribesItself(t *testing.T) {
	for language, want := range map[string]string{"en": "en-GB", "ko": "ko-KR"} {
		d := &Document{Language: language, Kind: "Status <report>", Title: "A & B", Organisation: "한빛", AsOf: time.Date(2026, 9, 30, 3, 0, 0, 0, time.UTC), Contents: "Contents"}
		var b bytes.Buffer
		if err := PDF(&b, d); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b.Bytes(), []byte("%PDF-1.7\n")) {
			t.Errorf("it begins with %q", b.Bytes()[:10])
		}
		text := b.String()
		from, to := strings.Index(text, "<x:xmpmeta"), strings.Index(text, "</x:xmpmeta>")
		if from < 0 || to < 0 || !strings.Contains(text, "/Metadata ") {
			t.Fatal("it has no XMP")
		}
		described := text[from : to+len("</x:xmpmeta>")]
		for dec := xml.NewDecoder(strings.NewReader(described)); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range []string{"<rdf:li>" + want + "</rdf:li>", "A &amp; B – 한빛", "Status &lt;report&gt;", "2026-09-30T03:00:00Z"} {
			if !strings.Contains(described, s) {
				t.Errorf("XMP lacks %s", s)
			}
		}
		if !strings.Contains(text, "/Lang ("+want+")") {
			t.Errorf("the catalogue does not say %s", want)
		}
		at := strings.LastIndex(text, "startxref\n")
		var place int
		for _, r := range text[at+len("startxref\n"):] {
			if r < '0' || r > '9' {
				break
			}
			place = place*10 + int(r-'0')
		}
		if !strings.HasPrefix(text[place:], "xref\n") {
			t.Errorf("startxref leads to %q", text[place:min(place+10, len(text))])
		}
	}
}
