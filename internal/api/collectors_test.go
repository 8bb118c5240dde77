package api

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fleet"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/source"
)

func newFleet(tb testing.TB, s *server) *fleet.Service {
	tb.Helper()
	sealer, err := sealing.New(bytes.Repeat([]byte{7}, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	authority, err := fleet.OpenAuthority(tb.Context(), s.db, sealer, s.now)
	if err != nil {
		tb.Fatal(err)
	}
	return fleet.New(fleet.Config{DB: s.db, Sources: s.cfg.Sources, Authority: authority, Log: s.cfg.Log, Now: s.now})
}

// enrol lets a collector in with a token, as the door does, and returns its id.
func (s *server) enrol(token string) string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		s.t.Fatal(err)
	}
	g, err := s.cfg.Fleet.Enroll(s.t.Context(), fleet.Application{
		Token: token, Request: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
		Machine: fleet.Machine{Hostname: "web-01", OSFamily: "linux", Version: "0.1.0"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return g.ID
}

// beat is a heartbeat of a collector, written down.
func (s *server) beat(id string, r fleet.Report) {
	s.t.Helper()
	c, err := s.cfg.Fleet.Admit(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.cfg.Fleet.Heartbeat(s.t.Context(), c, fleet.Machine{Hostname: "web-01", OSFamily: "linux", Version: "0.2.0"}, r, s.now().Add(time.Hour)); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cfg.Fleet.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func TestCollectorTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) { c.CollectorAddress = func() string { return "kyra.example:8080" } })
	made := s.post("/api/v1/collector-tokens", `{"name":"Web server","labels":{"site":"Seoul"}}`).want(201)
	exactly(t, "the new token", made.json(), "id", "name", "labels", "status", "createdAt", "createdBy", "expiresAt", "usedAt", "collectorId", "revokedAt", "token", "command")
	id, token := made.text("id"), made.text("token")
	made.is("command", "echo "+token+" | kyra collector enroll --server https://kyra.example:8080 --token-file -").is("status", "open").is("labels.site", "Seoul").is("expiresAt", "2026-04-23T12:00:00Z")
	if _, err := protocol.ParseToken(token); err != nil || made.header.Get("Location") != "/api/v1/collector-tokens/"+id {
		t.Errorf("token %q at %q: %v", token, made.header.Get("Location"), err)
	}
	got := s.get("/api/v1/collector-tokens/" + id).want(200)
	exactly(t, "the token", got.json(), "id", "name", "labels", "status", "createdAt", "createdBy", "expiresAt", "usedAt", "collectorId", "revokedAt")
	s.get("/api/v1/collector-tokens").want(200).is("totalElements", 1).is("content.0.id", id)

	s.do(s.ro, "POST", "/api/v1/collector-tokens", `{"name":"x"}`).want(403)
	s.do(s.foreign, "GET", "/api/v1/collector-tokens/"+id, "").problem(404, "Not found", "")
	s.do(s.foreign, "DELETE", "/api/v1/collector-tokens/"+id, "").problem(404, "Not found", "")
	s.do(s.foreign, "GET", "/api/v1/collector-tokens", "").is("content", []any{})
	s.post("/api/v1/collector-tokens", `{"name":""}`).problem(400, "Invalid name value", "")
	s.post("/api/v1/collector-tokens", `{"name":"x","expiresAt":"2026-06-22T12:00:00Z"}`).problem(400, "Invalid expiresAt value", "")
	s.post("/api/v1/collector-tokens", `{"name":"x","expires":"2026-06-22T12:00:00Z"}`).problem(400, "Unknown body key", "")

	collector := s.enrol(token)
	s.get("/api/v1/collector-tokens/"+id).is("status", "used").is("collectorId", collector)
	s.do(s.rw, "DELETE", "/api/v1/collector-tokens/"+id, "").want(409)
	other := s.post("/api/v1/collector-tokens", `{"name":"Other"}`).want(201).text("id")
	s.do(s.rw, "DELETE", "/api/v1/collector-tokens/"+other, "").want(204)
	s.get("/api/v1/collector-tokens/"+other).is("status", "revoked")
}

func TestCollectorDetail(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.cfg.Sources.Heartbeat(t.Context(), s.db, source.Beat{Tenant: s.a.Number, Name: source.Server, Hostname: "kyra", Version: "0.1.0", OSFamily: "linux"}); err != nil {
		t.Fatal(err)
	}
	server := s.get("/api/v1/collectors").text("0.id")
	id := s.enrol(s.post("/api/v1/collector-tokens", `{"name":"Web server"}`).text("token"))
	path := "/api/v1/collectors/" + id
	keys := []string{
		"id", "hostname", "status", "version", "osFamily", "lastHeartbeat", "eventsIngested", "name", "labels", "enrolledAt", "revokedAt", "awaySince",
		"address", "clockOffsetMs", "sources", "config",
	}
	exactly(t, "the server", s.get("/api/v1/collectors/"+server).want(200).is("name", "server").json(), keys...)
	fresh := s.get(path).want(200).is("name", "Web server").is("sources", []any{}).is("config.state", "none")
	exactly(t, "a new collector", fresh.json(), append([]string{"certificate"}, keys...)...)

	s.beat(id, fleet.Report{
		Address: "192.0.2.7", CPUPercent: 1.5, MemoryBytes: 20 << 20, SpoolBytes: 100, SpoolRecords: 3, SpoolLimit: 1 << 30, ClockOffset: -1500 * time.Millisecond,
		Sources: []fleet.SourceReport{{Name: "web", Type: "file", Records: 7, LastError: "no such file", LastRecord: new(noon), Rate: 0.5}},
	})
	s.get("/api/v1/collectors").want(200).is("0.hostname", "kyra").is("1.id", id).is("1.version", "0.2.0").is("1.status", "online")
	exactly(t, "an item", s.get("/api/v1/collectors").at("1"), "id", "hostname", "status", "version", "osFamily", "lastHeartbeat", "eventsIngested")
	full := s.get(path).is("clockOffsetMs", -1500).is("address", "192.0.2.7").is("sources.0.name", "web").is("figures.spoolRecords", 3)
	golden(t, "collectordetail.json", steadySerial(steady(t, full.body), full.text("certificate.serial")))

	// A change is made on what was seen, however many heartbeats came since.
	tag := full.header.Get("ETag")
	s.beat(id, fleet.Report{})
	s.do(s.foreign, "GET", path, "").problem(404, "Not found", "")
	s.do(s.foreign, "DELETE", path, "").problem(404, "Not found", "")
	s.do(s.ro, "DELETE", path, "").want(403)
	s.do(s.rw, "DELETE", "/api/v1/collectors/"+server, "").problem(409, "Conflict", "The server's own inputs cannot be revoked")
	s.do(s.rw, "DELETE", path, "", "If-Match: "+tag).want(204)
	s.do(s.rw, "DELETE", path, "").want(204)
	s.get(path).want(200).is("revokedAt", "2026-04-22T12:00:00Z")
	if got := s.get("/api/v1/collectors"); len(got.json().([]any)) != 1 || got.header.Get("X-Total-Count") != "1" {
		t.Errorf("a revoked collector is listed: %s", got.body)
	}
	entries, _, err := audit.List(t.Context(), s.db, s.a.Number, audit.Filter{Object: id, Action: "collector.revoke"})
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Actor, "key:") {
		t.Errorf("audit: %+v %v", entries, err)
	}
}

// steadySerial hides a certificate's serial, which is random.
func steadySerial(body []byte, serial string) []byte {
	return bytes.ReplaceAll(body, []byte(serial), []byte("serial"))
}

func TestCollectorConfigs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	id := s.enrol(s.post("/api/v1/collector-tokens", `{"name":"Web server"}`).text("token"))
	const common = "/api/v1/collector-config"
	own := "/api/v1/collectors/" + id + "/config"
	put := func(path, body string, headers ...string) *answerTo {
		t.Helper()
		return s.do(s.rw, http.MethodPut, path, body, headers...)
	}
	exactly(t, "none", s.get(common).want(200).is("revision", 0).is("files", map[string]any{}).is("updatedAt", nil).json(), "revision", "inherited", "files", "updatedAt", "updatedBy")
	made := put(common, `{"files":{"sources.d/web.yaml":"source:\n  type: file\n"}}`).want(200).is("revision", 1).is("inherited", false)
	s.get(own).want(200).is("revision", 1).is("inherited", true).is("files", map[string]any{"sources.d/web.yaml": "source:\n  type: file\n"})
	s.get("/api/v1/collectors/"+id).is("config.state", "pending").is("config.desiredRevision", 1)
	s.beat(id, fleet.Report{ConfigRefused: "1", ConfigError: "sources.d/web.yaml: paths is missing"})
	s.get("/api/v1/collectors/"+id).is("config.state", "refused").is("config.error", "sources.d/web.yaml: paths is missing")
	s.beat(id, fleet.Report{ConfigRevision: "1"})
	s.get("/api/v1/collectors/"+id).is("config.state", "applied").is("config.error", nil)

	seen := s.get(own).header.Get("ETag")
	put(own, `{"files":{}}`, "If-Match: "+seen).want(200).is("revision", 2).is("inherited", false)
	put(own, `{"files":{}}`, "If-Match: "+seen).want(412)
	put(common, `{"files":{}}`, "If-Match: "+made.header.Get("ETag")).want(200).is("revision", 3)
	s.do(s.rw, "DELETE", own, "").want(204)
	s.get(own).is("revision", 3).is("inherited", true)
	s.do(s.rw, "DELETE", common, "").want(204)
	s.get(own).is("revision", 0)

	put(common, `{"files":{"/etc/passwd":"x: y"}}`).problem(400, "Invalid files value", "")
	put(common, `{"files":{"sources.d/a.yaml":"x: [y"}}`).problem(400, "Invalid files.sources.d/a.yaml value", "")
	put(common, `{}`).want(400)
	s.do(s.ro, http.MethodPut, common, `{"files":{}}`).want(403)
	s.do(s.foreign, "GET", own, "").problem(404, "Not found", "")
	s.do(s.foreign, http.MethodPut, own, `{"files":{}}`).problem(404, "Not found", "")
	s.do(s.foreign, "DELETE", own, "").problem(404, "Not found", "")
	s.do(s.rw, "DELETE", "/api/v1/collectors/"+id, "").want(204)
	put(own, `{"files":{}}`).want(409)
}
