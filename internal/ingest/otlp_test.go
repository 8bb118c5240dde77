package ingest

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/framing"
)

func otlpKV(key, value string) string { return pbLen(1, key) + pbLen(2, value) }

// otlpProto is a request with one resource and scope; the records stand before
// what is said of them, as a message may.
func otlpProto(records ...string) string {
	scope := ""
	for _, r := range records {
		scope += pbLen(2, r)
	}
	scope += pbLen(1, pbLen(1, "my.lib")+pbLen(2, "1.0"))
	return pbLen(1, pbLen(2, scope)+pbLen(1, pbLen(1, otlpKV("service.name", pbLen(1, "sshd"))))+pbLen(3, "https://schema"))
}

func TestOTLP(t *testing.T) {
	pb := with(auth("Bearer", "good"), "Content-Type", "application/x-protobuf")
	js := with(auth("Bearer", "good"), "Content-Type", "application/json")
	const ns, at = 1795421887670000000, "2026-11-23T08:18:07.67Z"
	full := pbFixed64(1, ns) + pbInt(2, 17) + pbLen(3, "ERROR") + pbLen(5, pbLen(1, "Failed \"x\"")) + pbLen(6, otlpKV("n", pbInt(3, math.MaxUint64))) + pbLen(6, otlpKV("b", pbInt(2, 1))) +
		pbLen(6, otlpKV("d", pbFixed64(4, math.Float64bits(math.Inf(-1))))) + pbInt(7, 2) + pbLen(9, "\x01\x02") + pbLen(10, "\xff") + pbFixed64(11, ns) + pbLen(12, "login")
	nested := pbLen(5, pbLen(6, pbLen(1, otlpKV("user", pbLen(1, "root")))+pbLen(1, otlpKV("list", pbLen(5, pbLen(1, pbInt(3, 1))+pbLen(1, pbLen(7, "raw")))))))
	deep, deepJSON := pbLen(1, "x"), `{"stringValue":"x"}`
	for range maxNesting + 1 {
		deep, deepJSON = pbLen(5, pbLen(1, deep)), `{"arrayValue":{"values":[`+deepJSON+`]}}`
	}
	wantFull := `{"timestamp":"` + at + `","observedTimestamp":"` + at + `","severityText":"ERROR","severityNumber":17,"body":"Failed \"x\"","attributes":{"n":-1,"b":true,"d":"-Infinity"},"resource":{"service.name":"sshd"},"scope":"my.lib","traceId":"0102","spanId":"ff","eventName":"login"}`
	wantNested := `{"body":{"user":"root","list":[1,"cmF3"]},"resource":{"service.name":"sshd"},"scope":"my.lib"}`
	jsonForm := func(records string) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + records + `],"scope":{"name":"my.lib"}}],"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"sshd"}}],"droppedAttributesCount":0}}]}`
	}
	fullJSON := `{"timeUnixNano":"1795421887670000000","observedTimeUnixNano":1795421887670000000,"severityNumber":17,"severityText":"ERROR","body":{"stringValue":"Failed \"x\""},"attributes":[{"key":"n","value":{"intValue":"-1"}},{"key":"b","value":{"boolValue":true}},{"key":"d","value":{"doubleValue":"-Infinity"}}],"traceId":"0102","spanId":"ff","eventName":"login","flags":0,"new":{}}`
	nestedJSON := `{"body":{"kvlistValue":{"values":[{"key":"user","value":{"stringValue":"root"}},{"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{"bytesValue":"cmF3"}]}}}]}}}`
	for _, x := range []struct {
		name   string
		a      asked
		status int
		kind   string
		answer string
		kept   string
	}{
		{"protobuf", asked{"POST", "/v1/logs", otlpProto(full, nested), pb}, 200, "application/x-protobuf", "", wantFull + "|" + wantNested},
		{"JSON", asked{"POST", "/ingest/otlp/v1/logs", jsonForm(fullJSON + "," + nestedJSON), js}, 200, "application/json", "{}", wantFull + "|" + wantNested},
		{"gzip", asked{"POST", "/v1/logs", string(gzipped([]byte(otlpProto(nested)))), with(pb, "Content-Encoding", "gzip")}, 200, "application/x-protobuf", "", wantNested},
		{"no content type", asked{"POST", "/v1/logs", jsonForm(nestedJSON), auth("Basic", "dXNlcjpnb29k")}, 200, "application/json", "{}", wantNested},
		{"nothing in it", asked{"POST", "/v1/logs", "", pb}, 200, "application/x-protobuf", "", ""},
		{"nothing in JSON", asked{"POST", "/v1/logs", "{}", js}, 200, "application/json", "{}", ""},
		{
			"some wrong",
			asked{"POST", "/v1/logs", jsonForm(nestedJSON + `,{"body":7},{"timeUnixNano":"x"},{"attributes":[{"key":7}]},` + `{"body":` + deepJSON + `},{"body":{"intValue":"12x"}}`), js},
			200, "application/json",
			`{"partialSuccess":{"rejectedLogRecords":"5","errorMessage":"resourceLogs[0].scopeLogs[0].logRecords[1]: want a value as {\"stringValue\":…}, with its type"}}`, wantNested,
		},
		{
			"some wrong in protobuf",
			asked{"POST", "/v1/logs", otlpProto(nested, "\xff", pbLen(5, deep)), pb},
			200, "application/x-protobuf",
			pbLen(1, pbInt(1, 2)+pbLen(2, "resourceLogs[0].scopeLogs[0].logRecords[1]: broken protobuf")), wantNested,
		},
		{"broken JSON", asked{"POST", "/v1/logs", `{"resourceLogs":[}`, js}, 400, "application/json", `{"code":3,"message":"body it is no JSON from byte 18 on: invalid character '}' looking for beginning of value"}`, ""},
		{"other JSON", asked{"POST", "/v1/logs", `[]`, js}, 400, "application/json", `{"code":3,"message":"body want {\"resourceLogs\":[…]}"}`, ""},
		{"broken protobuf", asked{"POST", "/v1/logs", otlpProto(nested) + "\x0a", pb}, 400, "application/x-protobuf", pbInt(1, 3) + pbLen(2, "body broken protobuf behind resourceLogs[0]; kept: the first 1 of its records"), wantNested},
		{"no token", asked{"POST", "/v1/logs", "{}", map[string]string{"Content-Type": "application/json"}}, 401, "application/json", `{"code":16,"message":"missing or invalid ingest token"}`, ""},
		{"a large body", asked{"POST", "/v1/logs", strings.Repeat(" ", maxMessage+1), js}, 413, "application/json", "", ""},
	} {
		s := newSink()
		status, header, answer := ask(t, openDoors(t, s, 0), x.a)
		if status != x.status || header.Get("Content-Type") != x.kind || answer != x.answer && status != 413 {
			t.Errorf("%s: %d %s %q", x.name, status, header.Get("Content-Type"), answer)
		}
		if got := strings.Join(s.records(), "|"); got != x.kept {
			t.Errorf("%s: kept\n%s, want\n%s", x.name, got, x.kept)
		}
		for _, c := range s.chunks {
			if c.Input != InputOTLP || c.Tenant != 7 {
				t.Errorf("%s: chunk of %s", x.name, c.Input)
			}
		}
	}
}

func TestOTLPCutsLongBodies(t *testing.T) {
	s := newSink()
	long := strings.Repeat("é\n", framing.MaxRecord/2)
	a := asked{"POST", "/v1/logs", otlpProto(pbLen(5, pbLen(1, long))), with(auth("Bearer", "good"), "Content-Type", "application/x-protobuf")}
	if status, _, answer := ask(t, openDoors(t, s, 0), a); status != 200 || answer != "" {
		t.Fatalf("%d %q", status, answer)
	}
	r := s.records()
	if len(r) != 1 || !json.Valid([]byte(r[0])) || len(r[0]) > framing.MaxRecord || !strings.HasSuffix(r[0], `"scope":"my.lib"}`) || len(s.chunks[0].Cut) != 1 {
		t.Errorf("%d records, the first %d bytes", len(r), len(r[0]))
	}
}

func checkOTLP(t *testing.T, body []byte, isJSON bool) {
	t.Helper()
	s := newSink()
	x := otlpLogs{intake: New(Config{Append: s.Append, Log: testLog(t)}).newIntake(Caller{Tenant: Tenant{Number: 7}}, InputOTLP)}
	if isJSON {
		_ = x.json(t.Context(), body)
	} else {
		_ = x.proto(t.Context(), body)
	}
	for _, r := range s.records() {
		if !json.Valid([]byte(r)) {
			t.Fatalf("%q made %q", body, r)
		}
	}
}
