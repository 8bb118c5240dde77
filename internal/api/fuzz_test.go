package api

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Whatever is posted as a search gets an answer of the documented form, never a
// failure of ours.
func FuzzSearchBody(f *testing.F) {
	s := newServer(f)
	s.event(s.a, noon, "source", "sshd", "user", "root", "src_ip", "10.0.1.55", "message", "Failed password")
	for _, seed := range []string{
		`{"query":"program:sshd AND user:root","fromTime":"2026-04-24T00:00:00Z","toTime":"2026-04-25T00:00:00Z","limit":50}`,
		`{"query":"src_ip:10.0.0.0/8 OR (a:[1 TO 5} -b)"}`, `{"query":"\"x\\\"y\" AND z:*"}`, `{"cursor":"abc"}`, `{"limit":-1}`, `{`, ``, `[]`, `{"query":"/a+/"}`,
	} {
		f.Add(seed)
	}
	key, h := s.ro, s.h
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/siem/search", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: the answer is no JSON: %s", body, w.Body)
		}
	})
}

// A query string is read or refused; what is read is within its bounds.
func FuzzQueryString(f *testing.F) {
	params := append(paging("createdAt", "title"),
		param{name: "severity", kind: enum, values: severities(), many: true},
		param{name: "search"}, param{name: "createdFrom", kind: moment})
	for _, seed := range []string{
		"page=1&size=20&sort=title&direction=ASC", "severity=high,low&severity=CRITICAL", "search=%00", "createdFrom=2026-04-24T00:00:00%2B09:00", "createdFrom=2026-04-24T00:00:00+09:00",
		"page=-1", "a=b", "%zz", "=", "&&", ";",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, p := parseQuery(params, raw)
		if p != nil {
			if p.Status != 400 || p.Err == "" || p.Message == "" {
				t.Errorf("%q: refused with %+v", raw, p)
			}
			return
		}
		asked := q.paging("createdAt")
		if asked.page < 0 || asked.size < 1 || asked.size > 100 || (asked.sort != "createdAt" && asked.sort != "title") {
			t.Errorf("%q: %+v", raw, asked)
		}
		for _, v := range q.all("severity") {
			if event.SeverityRank(v) == 0 {
				t.Errorf("%q: severity %q", raw, v)
			}
		}
		if v := q.one("search"); !utf8.ValidString(v) || strings.ContainsRune(v, 0) || utf8.RuneCountInString(v) > maxText {
			t.Errorf("%q: search %q", raw, v)
		}
		if v := q.moment("createdFrom"); !v.IsZero() && (v.Year() < firstYear || v.Year() >= lastYear) {
			t.Errorf("%q: createdFrom %v", raw, v)
		}
	})
}

// Our own writing of events is JSON that says the same as encoding/json would.
func FuzzEventJSON(f *testing.F) {
	f.Add("name", "value", "message")
	f.Add("a\"b", "\x00\x1f\x7f\\\"", "\xff\u2028é\n\r\t")
	f.Add("raw", "ingest_time", "")
	f.Fuzz(func(t *testing.T, name, value, message string) {
		e := &event.Event{Time: noon.UnixNano(), Raw: value}
		e.Add(name, value)
		e.Add(event.Message, message)
		e.Add(name, message)
		text := eventItem{e}.appendJSON(nil)
		var got struct {
			Message string         `json:"message"`
			Fields  map[string]any `json:"fields"`
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		clean := func(s string) string { return strings.ToValidUTF8(string([]rune(s)), "\ufffd") }
		if name != event.Message && got.Message != clean(message) {
			t.Errorf("message %q became %q", message, got.Message)
		}
		for k := range got.Fields {
			if !utf8.ValidString(k) {
				t.Errorf("field name %q", k)
			}
		}
	})
}

func TestParseMoment(t *testing.T) {
	for in, want := range map[string]string{
		"2026-04-24T00:00:00Z": "2026-04-24T00:00:00Z", "2026-04-24T00:00:00.123456789+09:00": "2026-04-23T15:00:00.123456789Z",
		"2026-04-24T00:00:00 09:00": "2026-04-23T15:00:00Z", // a plus sign that a query string has lost
		"2026-04-24t00:00:00z":      "", "2026-04-24 00:00:00Z": "", "2026-04-24": "", "": "", "2261-01-01T00:00:00Z": "", "2260-12-31T23:59:59Z": "2260-12-31T23:59:59Z",
	} {
		got, wrong := parseMoment(in)
		if text := got.Format("2006-01-02T15:04:05.999999999Z07:00"); (wrong != "") != (want == "") || wrong == "" && text != want {
			t.Errorf("parseMoment(%q) = %s, %q; want %q", in, text, wrong, want)
		}
	}
}

func TestQueryStringOfAClient(t *testing.T) {
	// Python's requests and Go's url.Values write the same.
	q, p := parseQuery([]param{{name: "createdFrom", kind: moment}}, url.Values{"createdFrom": {"2026-04-24T00:00:00+09:00"}}.Encode())
	if p != nil || q.moment("createdFrom").Hour() != 15 {
		t.Errorf("%v, %v", q, p)
	}
}
