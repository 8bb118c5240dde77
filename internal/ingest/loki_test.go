package ingest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// Messages of protobuf, for tests.
func pbLen(n int, data string) string {
	return string(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3|2), uint64(len(data)))) + data
}

func pbInt(n int, v uint64) string {
	return string(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3), v))
}

func pbFixed64(n int, v uint64) string {
	return string(binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(n)<<3|1), v))
}

func lokiProtoEntry(ns int64, line string, metadata ...string) string {
	out := pbLen(1, pbInt(1, uint64(ns/1e9))+pbInt(2, uint64(ns%1e9))) + pbLen(2, line)
	for i := 0; i < len(metadata); i += 2 {
		out += pbLen(3, pbLen(1, metadata[i])+pbLen(2, metadata[i+1]))
	}
	return pbLen(2, out)
}

func snap(message string) string { return string(snappy.Encode(nil, []byte(message))) }

func with(header map[string]string, more ...string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, header)
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = more[i+1]
	}
	return out
}

func TestLoki(t *testing.T) {
	pb := with(auth("Bearer", "good"), "Content-Type", "application/x-protobuf")
	js := with(auth("Bearer", "good"), "Content-Type", "application/json; charset=utf-8")
	const ns, at = 1795421812594000001, "2026-11-23T08:16:52.594000001Z"
	for _, x := range []struct {
		name   string
		a      asked
		status int
		answer string
		kept   string
	}{
		{"JSON", asked{"POST", "/loki/api/v1/push", `{"streams":[{"stream":{"level":"error","job":"x"},"values":[["1795421812594000001","a \"b\"\u00e9",{"level":"error","trace":"1"}],["1795421812594000001","c"]]}]}`, js}, 204, "", `{"timestamp":"` + at + `","line":"a \"b\"\u00e9","labels":{"level":"error","job":"x","trace":"1"}}|{"timestamp":"` + at + `","line":"c","labels":{"level":"error","job":"x"}}`},
		{
			"the labels behind the values, a tenant, no content type",
			asked{"POST", "/ingest/loki/loki/api/v1/push", ` { "streams" : [ { "values" : [ [ 1795421812594000001 , "a" , { "job" : "y" } ] ] , "stream" : { "job" : "x" } } ] } `, with(auth("Basic", "dXNlcjpnb29k"), "X-Scope-OrgID", "other")},
			204, "",
			`{"timestamp":"` + at + `","line":"a","labels":{"job":"x","job_extracted":"y"}}`,
		},
		{"a time that is none", asked{"POST", "/loki/api/v1/push", `{"streams":[{"stream":{},"values":[["now","a"]]}]}`, js}, 204, "", `{"line":"a","labels":{}}`},
		{"no stream", asked{"POST", "/loki/api/v1/push", `{"streams":[]}`, js}, 204, "", ``},
		{"protobuf", asked{"POST", "/loki/api/v1/push", snap(pbLen(1, pbLen(1, `{job="a\"b", host="w"}`)+lokiProtoEntry(ns, "x\ny\xff", "pod", "p", "host", "w")+lokiProtoEntry(ns, "z")+pbInt(3, math.MaxUint64))), pb}, 204, "", `{"timestamp":"` + at + `","line":"x\ny` + "\xff" + `","labels":{"job":"a\"b","host":"w","pod":"p"}}|{"timestamp":"` + at + `","line":"z","labels":{"job":"a\"b","host":"w"}}`},
		{
			"protobuf, labels last, encoding named",
			asked{"POST", "/loki/api/v1/push", snap(pbLen(1, lokiProtoEntry(ns, "x")+pbLen(1, `{}`))), with(pb, "Content-Encoding", "snappy")},
			204, "",
			`{"timestamp":"` + at + `","line":"x","labels":{}}`,
		},
		{
			"some wrong",
			asked{"POST", "/loki/api/v1/push", `{"streams":[{"stream":{},"values":[["1","a"],["1",7],[],"x"]},{"stream":[],"values":[["1","b"]]},{"values":7}]}`, js},
			400,
			"1 entries are kept, 5 are not: streams[0].values[1]: want [\"<nanoseconds since 1970>\",\"<line>\"]\n", `{"timestamp":"1970-01-01T00:00:00.000000001Z","line":"a","labels":{}}`,
		},
		{
			"wrong labels",
			asked{"POST", "/loki/api/v1/push", snap(pbLen(1, pbLen(1, `{job=x}`)+lokiProtoEntry(ns, "x")) + pbLen(1, lokiProtoEntry(ns, "y"))), pb},
			400,
			"1 entries are kept, 1 are not: streams[0].labels: want {name=\"value\", …} at \"job=x}\"\n", `{"timestamp":"` + at + `","line":"y","labels":{}}`,
		},
		{"broken JSON", asked{"POST", "/loki/api/v1/push", `{"streams":[{]`, js}, 400, "body it is no JSON from byte 14 on: invalid character ']' looking for beginning of object key string\n", ""},
		{"other JSON", asked{"POST", "/loki/api/v1/push", `[]`, js}, 400, "body want {\"streams\":[…]}\n", ""},
		{"nothing", asked{"POST", "/loki/api/v1/push", ``, pb}, 400, "body it holds no event\n", ""},
		{"no snappy", asked{"POST", "/loki/api/v1/push", "hello", pb}, 400, "", ""},
		{"broken protobuf", asked{"POST", "/loki/api/v1/push", snap("\x0a\x7f"), pb}, 400, "body broken protobuf behind streams[-1]\n", ""},
		{"no token", asked{"POST", "/loki/api/v1/push", "{}", nil}, 401, "missing or invalid ingest token\n", ""},
		{"ready", asked{"GET", "/ready", "", nil}, 200, "ready\n", ""},
	} {
		s := newSink()
		status, header, answer := ask(t, openDoors(t, s, 0), x.a)
		if status != x.status || x.answer != "" && answer != x.answer || status == 401 && header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", x.name, status, answer)
		}
		if got := strings.Join(s.records(), "|"); got != x.kept {
			t.Errorf("%s: kept %s, want %s", x.name, got, x.kept)
		}
		for _, c := range s.chunks {
			if c.Input != InputLoki || c.Tenant != 7 {
				t.Errorf("%s: chunk of %s", x.name, c.Input)
			}
		}
	}
	if status, _, answer := ask(t, openDoors(t, newSink(), 0), asked{"GET", "/loki/api/v1/status/buildinfo", "", nil}); status != 200 || !strings.Contains(answer, `"version":"3.`) {
		t.Errorf("buildinfo: %d %s", status, answer)
	}
}

func TestLokiLimits(t *testing.T) {
	js := with(auth("Bearer", "good"), "Content-Type", "application/json")
	pb := with(auth("Bearer", "good"), "Content-Type", "application/x-protobuf")
	s := newSink()
	url := openDoors(t, s, 0)
	// A line that is too long is cut, and what is kept is a record still.
	long := strings.Repeat(`é\"`, framing.MaxRecord/2)
	for _, a := range []asked{
		{"POST", "/loki/api/v1/push", `{"streams":[{"stream":{"a":"b"},"values":[["1","` + long + `"]]}]}`, js},
		{"POST", "/loki/api/v1/push", snap(pbLen(1, pbLen(1, `{a="b"}`)+lokiProtoEntry(1, strings.Repeat("é\n", framing.MaxRecord/2)))), pb},
	} {
		s.chunks = nil
		if status, _, answer := ask(t, url, a); status != 204 {
			t.Fatalf("a long line: %d %s", status, answer)
		}
		if r := s.records(); len(r) != 1 || !json.Valid([]byte(r[0])) || len(r[0]) > framing.MaxRecord || len(r[0]) < framing.MaxRecord/4 || len(s.chunks[0].Cut) != 1 {
			t.Errorf("a long line: %d records, the first %d bytes", len(r), len(r[0]))
		}
	}
	s.chunks = nil
	bomb := string(binary.AppendUvarint(nil, maxMessage+1)) + "\x00"
	wide := `{"streams":[{"stream":{"a":"` + strings.Repeat("x", maxLabels) + `"},"values":[["1","x"]]}]}`
	for name, x := range map[string]struct {
		a    asked
		want int
		text string
	}{
		"a block that says it is large": {asked{"POST", "/loki/api/v1/push", bomb, pb}, 413, "smaller batches"},
		"a large body":                  {asked{"POST", "/loki/api/v1/push", strings.Repeat(" ", maxMessage+1), js}, 413, "smaller batches"},
		"wide labels":                   {asked{"POST", "/loki/api/v1/push", wide, js}, 400, "streams[0].stream: the labels take more"},
		"a deep value":                  {asked{"POST", "/loki/api/v1/push", `{"streams":` + strings.Repeat("[", 1<<20), js}, 400, "no JSON"},
		"an encoding":                   {asked{"POST", "/loki/api/v1/push", "{}", with(js, "Content-Encoding", "br")}, 415, "gzip"},
	} {
		if status, _, answer := ask(t, url, x.a); status != x.want || !strings.Contains(answer, x.text) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if len(s.records()) > 0 {
		t.Errorf("kept %d records of what was refused", len(s.records()))
	}
	// What a message says once is written many times: bounded.
	p := lokiPush{intake: New(Config{Append: s.Append, Log: testLog(t)}).newIntake(Caller{}, InputLoki)}
	p.intake.size = maxSpread + 1
	if err := p.json(t.Context(), []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1",""]]}]}`)); !errors.Is(err, errSpread) {
		t.Errorf("a spread message: %v", err)
	}
}

func TestDoorsOfMessagesWhenFull(t *testing.T) {
	var loki, otlp strings.Builder
	for i := range 6 {
		fmt.Fprintf(&loki, `["%d","x"],`, i+1)
		fmt.Fprintf(&otlp, `{"timeUnixNano":"%d"},`, i+1)
	}
	body := map[string]string{
		"/loki/api/v1/push": `{"streams":[{"stream":{},"values":[` + strings.TrimSuffix(loki.String(), ",") + `]}]}`,
		"/v1/logs":          `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + strings.TrimSuffix(otlp.String(), ",") + `]}]}]}`,
	}
	for path, body := range body {
		a := asked{http.MethodPost, path, body, with(auth("Bearer", "good"), "Content-Type", "application/json")}
		s := newSink()
		url := openDoors(t, s, 2) // a bucket of four: six are taken, and two owed
		if status, _, answer := ask(t, url, a); status > 204 || len(s.records()) != 6 {
			t.Errorf("%s: %d %s, kept %d", path, status, answer, len(s.records()))
		}
		if status, header, _ := ask(t, url, a); status != 429 || header.Get("Retry-After") != "2" || len(s.records()) != 6 {
			t.Errorf("%s over quota: %d %v, kept %d", path, status, header, len(s.records()))
		}
		s.fail(fault.New(fault.Unavailable, "the queue is full"))
		status, header, answer := ask(t, openDoors(t, s, 0), a)
		if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(answer, "the queue is full") {
			t.Errorf("%s with a full queue: %d %v %s", path, status, header, answer)
		}
	}
}

func checkLoki(t *testing.T, body []byte, isJSON bool) {
	t.Helper()
	s := newSink()
	p := lokiPush{intake: New(Config{Append: s.Append, Log: testLog(t)}).newIntake(Caller{Tenant: Tenant{Number: 7}}, InputLoki)}
	if isJSON {
		_ = p.json(t.Context(), body)
	} else {
		_ = p.proto(t.Context(), body)
	}
	for _, r := range s.records() {
		if !json.Valid([]byte(r)) {
			t.Fatalf("%q made %q", body, r)
		}
	}
}

// checkJSONWalk compares the walker with the decoder.
func checkJSONWalk(t *testing.T, text []byte) {
	t.Helper()
	if !json.Valid(text) {
		for range members(text) {
		}
		for range elements(text) {
		}
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && list != nil {
		n := 0
		for i, v := range elements(text) {
			if i != n || i >= len(list) || string(v) != string(list[i]) {
				t.Fatalf("element %d of %s: %s", i, text, v)
			}
			n++
		}
		if n != len(list) {
			t.Fatalf("%d elements of %s", n, text)
		}
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) == nil && object != nil {
		got := map[string]string{}
		for k, v := range members(text) {
			got[decoded(withQuotes(k))] = string(v)
		}
		if len(got) != len(object) {
			t.Fatalf("%v of %s", got, text)
		}
		for k, v := range object {
			if got[k] != string(v) {
				t.Fatalf("%q of %s: %s", k, text, got[k])
			}
		}
	}
}
