package parse

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

func TestReasons(t *testing.T) {
	p := New(Options{})
	const xml = "<Event><System><Provider Name='x'/><EventID>4625</EventID><Channel>Security</Channel><Computer>DC1</Computer></System><EventData><Data Name='TargetUserName'>eve</Data></EventData></Event>"
	deep := `{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "}"
	for _, tt := range []struct {
		raw, hint string
		want      Reason
		at        int // -1: not said
	}{
		{`{"a":1}`, "", "", -1},
		{`{"a":1,"b":"x`, "", ReasonJSONCut, 13},
		{`{"a":1,"b":`, "", ReasonJSONCut, 11},
		{`{"a":1,"b" "x"}`, "", ReasonJSONInvalid, 11},
		{`{"a":1} and more`, "", ReasonJSONTrailing, 8},
		{`<13>Mar  4 05:06:07 h app: {"a":1,"b`, "", ReasonJSONCut, 36},
		{deep, "", ReasonJSONDeep, -1},
		{`{braces} only`, "", "", -1},
		{`plain text`, "", "", -1},
		{"\x00\xff", "", "", -1},
		{`CEF:0|V|P|1|2|n`, "", ReasonCEF, 15},
		{`CEF:0|V|P|1|2|n|3|src=10.0.0.1`, "", "", -1},
		{`LEEF:1.0|V|P`, "", ReasonLEEF, 12},
		{xml, "", "", -1},
		{xml[:60], "", ReasonXMLCut, 60},
		{xml[:len(xml)-12], "", ReasonXMLCut, len(xml) - 12},
		{"<Event><Other/></Event>", "", ReasonXMLInvalid, -1},
		{`no json at all`, "json", ReasonMismatch, -1},
		{`no sshd's at all`, "sshd", "", -1},
	} {
		var e event.Event
		p.Parse(&Record{Raw: tt.raw, Source: tt.hint, Tenant: 1, Arrived: 1}, &e)
		if got := p.Failure(); got != tt.want || Reason(e.Get(event.ParseErrorReason)) != tt.want {
			t.Errorf("%.80q: reason %q and %q, want %q", tt.raw, got, e.Get(event.ParseErrorReason), tt.want)
		}
		at := e.Get(event.ParseErrorAt)
		if tt.at < 0 && at != "" || tt.at >= 0 && at != strconv.Itoa(tt.at) {
			t.Errorf("%.80q: breaks at %q, want %d", tt.raw, at, tt.at)
		}
		if hasValue(&e, event.Tags, event.TagParseError) != (tt.want != "") {
			t.Errorf("%.80q: tags %q", tt.raw, e.Get(event.Tags))
		}
		if tt.want != "" && Reasons[tt.want] == "" {
			t.Errorf("%s has no explanation", tt.want)
		}
		if tt.want != "" && !strings.HasSuffix(tt.raw, e.Get(event.Message)) {
			t.Errorf("%.80q: the text did not stay whole: %q", tt.raw, e.Get(event.Message))
		}
	}
}

// Nobody quarantines an event by what it says of itself.
func TestReasonIsOurs(t *testing.T) {
	p := New(Options{})
	var e event.Event
	p.Parse(&Record{Raw: `{"parse_error_reason":"json_cut","parse_error_at":7,"parse_error_input":"http","tags":"parse_error","message":"x"}`}, &e)
	if p.Failure() != "" || e.Get(event.ParseErrorReason) != "" || e.Get(event.ParseErrorAt) != "" || e.Get(event.ParseErrorInput) != "" {
		t.Errorf("a sender's word counts: %v", e.Fields)
	}
	if e.Get("fields.parse_error_reason") != "json_cut" {
		t.Errorf("a sender's field is lost: %v", e.Fields)
	}
}
