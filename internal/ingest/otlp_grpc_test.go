package ingest

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// call makes a call of gRPC over plain HTTP/2.
func call(t *testing.T, url, body string, header map[string]string) (status, text, message string) {
	t.Helper()
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &p}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+otlpExport, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc+proto")
	req.Header.Set("Te", "trailers")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/grpc" {
		t.Errorf("%d %s", resp.StatusCode, resp.Header)
	}
	if s := resp.Trailer.Get("Grpc-Status"); s != "" {
		return s, "", string(got)
	}
	return resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message"), string(got)
}

func grpcFrame(packed byte, message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{packed}, uint32(len(message)))) + message
}

func TestOTLPCall(t *testing.T) {
	s := newSink()
	d := NewDoors(New(Config{Append: s.Append, Log: testLog(t)}), func(_ context.Context, secret string, _ netip.Addr) (Caller, error) {
		if secret == "good" {
			return Caller{Tenant: Tenant{Number: 7}}, nil
		}
		return Caller{}, fault.New(fault.Unauthenticated, "no")
	})
	server := httptest.NewUnstartedServer(d.Handler(http.NotFoundHandler()))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	one := otlpProto(pbLen(5, pbLen(1, "hello")))
	kept := `{"body":"hello","resource":{"service.name":"sshd"},"scope":"my.lib"}`
	good := auth("Bearer", "good")
	for _, x := range []struct {
		name, body            string
		header                map[string]string
		status, text, message string
		kept                  string
	}{
		{"a message", grpcFrame(0, one), good, "0", "", grpcFrame(0, ""), kept},
		{"packed", grpcFrame(1, string(gzipped([]byte(one)))), with(good, "Grpc-Encoding", "gzip"), "0", "", grpcFrame(0, ""), kept},
		{"some wrong", grpcFrame(0, otlpProto(pbLen(5, pbLen(1, "hello")), "\xff")), good, "0", "", grpcFrame(0, pbLen(1, pbInt(1, 1)+pbLen(2, "resourceLogs[0].scopeLogs[0].logRecords[1]: broken protobuf"))), kept},
		{"no token", grpcFrame(0, one), nil, "16", "missing or invalid ingest token", "", ""},
		{"no message", "", good, "3", "call it holds no message", "", ""},
		{"a message cut short", grpcFrame(0, one)[:20], good, "3", "the body cannot be read: unexpected EOF", "", ""},
		{"a length that lies", "\x00\xff\xff\xff\xff", good, "8", errLongMessage.Message, "", ""},
		{"an unknown encoding", grpcFrame(1, one), with(good, "Grpc-Encoding", "snappy"), "12", "allowed encodings: gzip, zstd, deflate, identity", "", ""},
		{"packed wrongly", grpcFrame(1, one), with(good, "Grpc-Encoding", "gzip"), "3", "call its message cannot be unpacked", "", ""},
	} {
		s.chunks = nil
		status, text, message := call(t, server.URL, x.body, x.header)
		if status != x.status || text != x.text || message != x.message {
			t.Errorf("%s: status %s, %q, message %q", x.name, status, text, message)
		}
		if got := strings.Join(s.records(), "|"); got != x.kept {
			t.Errorf("%s: kept %s", x.name, got)
		}
	}
	s.fail(fault.New(fault.Unavailable, "the queue is full – %s", "100%"))
	if status, text, _ := call(t, server.URL, grpcFrame(0, one), good); status != "14" || text != "the queue is full %E2%80%93 100%25" {
		t.Errorf("a full queue: %s %q", status, text)
	}
	if status, _, answer := ask(t, server.URL, asked{"POST", otlpExport, "{}", good}); status != 415 || !strings.Contains(answer, "/v1/logs") {
		t.Errorf("over HTTP/1: %d %s", status, answer)
	}
}

func checkOTLPCall(t *testing.T, body, encoding string) {
	t.Helper()
	message, err := readCall(strings.NewReader(body), encoding)
	if err == nil && len(message) > maxMessage {
		t.Fatalf("%d bytes", len(message))
	}
}
