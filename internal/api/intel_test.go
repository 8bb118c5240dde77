package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound"
	sealing "github.com/kyra-mdr/kyra/internal/seal"
)

// newIntel has a folder of feeds of its own; this machine may be called.
func newIntel(tb testing.TB, s *server) (*intel.Service, *intel.Feeds) {
	tb.Helper()
	sealer, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		tb.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	svc := intel.New(s.db, log, s.now)
	s.intelDir = tb.TempDir()
	return svc, intel.NewFeeds(intel.FeedsConfig{DB: s.db, Service: svc, Sealer: sealer, Guard: guard, Folder: s.intelDir, Holder: "test", Version: "0.1.0", Log: log, Now: s.now})
}

const iocs = "/api/v1/threat-intel-iocs"

func TestIndicators(t *testing.T) {
	s := newServer(t)
	created := s.post(iocs, `{"value":"hxxp://Evil[.]example/a","severity":"HIGH","confidence":90,"tags":["c2"]}`).want(http.StatusCreated)
	created.is("type", "url").is("value", "http://evil.example/a").is("severity", "high").is("source", "manual").is("active", true).is("sightings", 0)
	path := created.exact("Location")
	if path != iocs+"/"+created.text("id") {
		t.Errorf("Location %q", path)
	}
	s.post(iocs, `{"value":"http://evil.example/a","severity":"high","confidence":90,"tags":["c2"]}`).want(http.StatusOK).is("id", created.text("id"))
	s.post(iocs, `{"value":"nothing"}`).problem(http.StatusBadRequest, "Invalid value value", "")
	s.post(iocs, `{"value":"203.0.113.7","confidence":101}`).problem(http.StatusBadRequest, "Invalid confidence value", "Allowed: 0 to 100")
	s.post(iocs, `{"value":"203.0.113.7","validUntil":"2020"}`).problem(http.StatusBadRequest, "Invalid validUntil value", "")
	s.do(s.ro, http.MethodPost, iocs, `{"value":"203.0.113.7"}`).problem(http.StatusForbidden, "Forbidden", "")

	bulk := s.post(iocs+"/bulk", `{"indicators":[{"value":"203.0.113.7"},{"value":"http://evil.example/a","severity":"high","confidence":91,"tags":["c2"]},{"value":"?"},{"value":"203.0.113.0/24","type":"cidr"},{"value":"203.0.113.7"}]}`).want(http.StatusOK)
	bulk.is("created", 2).is("updated", 1).is("failed", 1).is("unchanged", 1).is("results.2.status", "failed").is("results.0.value", "203.0.113.7")

	list := s.get(iocs + "?type=ipv4,cidr&active=true&sort=confidence&direction=asc").want(http.StatusOK)
	list.is("totalElements", 2).is("content.0.value", "203.0.113.7")
	s.get(iocs+"?tag=c2&minConfidence=91").is("totalElements", 1)
	s.get(iocs+"?minConfidence=101").problem(http.StatusBadRequest, "", "Allowed: 0 to 100")
	s.get(iocs+"?colour=red").problem(http.StatusBadRequest, `Unknown parameter "colour"`, "")

	lookup := s.get(iocs + "/lookup?value=203.0.113[.]7").want(http.StatusOK)
	lookup.is("type", "ipv4").is("matches", true).is("content.0.value", "203.0.113.7").is("content.1.value", "203.0.113.0/24")
	s.get(iocs+"/lookup").problem(http.StatusBadRequest, "Invalid value value", "")

	got := s.get(path).want(http.StatusOK)
	tag := got.exact("Etag")
	s.do(s.rw, http.MethodPatch, path, `{"active":false,"severity":"LOW"}`, "If-Match: "+tag).want(http.StatusOK).is("active", false).is("severity", "low")
	s.do(s.rw, http.MethodPatch, path, `{"active":true}`, "If-Match: "+tag).problem(http.StatusPreconditionFailed, "", "")
	s.do(s.rw, http.MethodPatch, path, `{"validUntil":"2030-01-01T00:00:00Z"}`).is("validUntil", "2030-01-01T00:00:00Z")
	s.do(s.rw, http.MethodPatch, path, `{"validUntil":null}`).is("validUntil", nil)
	s.get(path+"/sightings").want(http.StatusOK).is("content", []any{})
	for _, call := range [][2]string{{http.MethodGet, path}, {http.MethodGet, path + "/sightings"}, {http.MethodPatch, path}, {http.MethodDelete, path}} {
		body := ""
		if call[0] == http.MethodPatch {
			body = `{"active":false}`
		}
		s.do(s.foreign, call[0], call[1], body).problem(http.StatusNotFound, "Not found", "Resource not found")
	}
	s.do(s.rw, http.MethodDelete, path, "").want(http.StatusNoContent)
	s.get(path).want(http.StatusNotFound)

	csv := s.do(s.ro, http.MethodGet, "/api/v1/export/threat-intel-iocs?format=csv", "").want(http.StatusOK)
	if lines := strings.Split(strings.TrimSpace(csv.body), "\r\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "id,type,value,source,confidence") {
		t.Errorf("export: %q", csv.body)
	}
}

func TestAllowlist(t *testing.T) {
	s := newServer(t)
	const list = "/api/v1/threat-intel-allowlist"
	s.post(iocs, `{"value":"cdn.evil.example"}`).want(http.StatusCreated)
	a := s.post(list, `{"value":"EVIL.example","reason":"ours"}`).want(http.StatusCreated).is("type", "domain").is("value", "evil.example")
	s.post(list, `{"value":"evil.example"}`).problem(http.StatusConflict, "Conflict", "")
	s.get(list+"?search=evil").is("totalElements", 1)
	s.get(iocs+"/lookup?value=x.cdn.evil.example").is("matches", false).is("allowed.reason", "ours")
	s.do(s.foreign, http.MethodDelete, a.exact("Location"), "").want(http.StatusNotFound)
	s.get(a.exact("Location")).want(http.StatusOK)
	s.do(s.rw, http.MethodDelete, a.exact("Location"), "").want(http.StatusNoContent)
	s.get(a.exact("Location")).want(http.StatusNotFound)
}

func TestThresholds(t *testing.T) {
	s := newServer(t)
	s.get(iocs+"/thresholds").want(http.StatusOK).is("critical", 30).is("info", nil)
	s.do(s.rw, http.MethodPut, iocs+"/thresholds", `{"critical":0,"high":10,"medium":20,"low":null,"info":100}`).want(http.StatusOK).is("low", nil).is("info", 100)
	s.get(iocs+"/thresholds").is("critical", 0)
	s.do(s.rw, http.MethodPut, iocs+"/thresholds", `{"critical":101,"high":10,"medium":20,"low":null,"info":100}`).problem(http.StatusBadRequest, "Invalid critical value", "Allowed: 0 to 100, or null for never")
	s.do(s.foreign, http.MethodGet, iocs+"/thresholds", "").is("critical", 30)
}

func TestRetroMatchIsAJob(t *testing.T) {
	s := newServer(t, func(c *Config) {
		c.Jobs = job.New(c.DB, job.Config{Now: c.Now}, map[string]job.Kind{intel.RetroKind: {}})
	})
	s.post(iocs+"/retro", `{"days":7,"types":["IPv4"]}`).want(http.StatusAccepted).is("kind", intel.RetroKind).is("state", "QUEUED")
	s.post(iocs+"/retro", `{"days":366}`).problem(http.StatusBadRequest, "Invalid days value", "Allowed: 1 to 365")
	s.post(iocs+"/retro", `{"types":["cve"]}`).want(http.StatusBadRequest)
	s.post(iocs+"/retro", `{"createdAfter":"soon"}`).want(http.StatusBadRequest)
}

func TestFeeds(t *testing.T) {
	s := newServer(t)
	const feeds = "/api/v1/threat-intel-feeds"
	body, status, asked := "203.0.113.7\nevil.example\nbad line\n", http.StatusOK, []http.Header{}
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Clone())
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	defer remote.Close()
	draft := fmt.Sprintf(`{"name":"Test","format":"plain","url":%q,"confidence":80,"severity":"high","tags":["x"],"auth":{"type":"header","header":"Auth-Key","secret":"s3cret"}}`, remote.URL)
	trial := s.post(feeds+"/test", draft).want(http.StatusOK).is("read", 3).is("invalid", 1).is("indicators.0.value", "203.0.113.7").is("indicators.0.confidence", 80)
	if strings.Contains(trial.body, "s3cret") {
		t.Error("the secret is shown")
	}
	s.get(iocs).is("totalElements", 0)
	f := s.post(feeds, draft).want(http.StatusCreated).is("status", "new").is("authType", "header")
	path := f.exact("Location")
	if strings.Contains(f.body, "s3cret") {
		t.Error("the secret is shown")
	}
	s.post(feeds, draft).problem(http.StatusConflict, "Conflict", "")
	s.post(path+"/run", "").want(http.StatusOK).is("status", "ok").is("activeIndicators", 2).is("lastRun.created", 2).is("lastRun.invalid", 1)
	if got := asked[len(asked)-1].Get("Auth-Key"); got != "s3cret" {
		t.Errorf("the feed is asked with %q", got)
	}
	s.post(path+"/run", "").is("lastRun.notModified", true).is("activeIndicators", 2)

	// A file with other content: what is gone expires, and comes back when it is named again.
	s.post(path+"/upload", "203.0.113.8\n203.0.113.7\n", "Content-Type: text/plain").want(http.StatusOK).is("lastRun.created", 1).is("lastRun.expired", 1).is("activeIndicators", 2)
	s.get(iocs+"?active=false").is("content.0.value", "evil.example")
	s.post(path+"/upload", "evil.example\n203.0.113.7\n203.0.113.8\n", "Content-Type: text/plain").is("lastRun.changed", 1).is("activeIndicators", 3)
	// An empty or broken document takes nothing away.
	s.post(path+"/upload", "# nothing\n", "Content-Type: text/plain").is("status", "failing").is("activeIndicators", 3)

	s.do(s.rw, http.MethodPatch, path, `{"url":"https://other.example/list"}`).problem(http.StatusBadRequest, "Invalid auth value", "")
	status = http.StatusForbidden
	s.do(s.rw, http.MethodPatch, path, `{"interval":600,"enabled":false}`).want(http.StatusOK).is("interval", 600).is("status", "disabled")
	s.post(path+"/run", "").is("lastError", "the feed answers 403 Forbidden: check the feed's secret").is("activeIndicators", 3)
	s.post(path+"/test", "").problem(http.StatusConflict, "Conflict", "The feed answers 403 Forbidden: check the feed's secret")
	s.do(s.rw, http.MethodPatch, path, `{"auth":null}`).is("authType", "")

	for _, bad := range []string{
		`{"name":"a","format":"plain","url":"http://169.254.169.254/"}`, `{"name":"a","format":"plain","url":"file:../x"}`, `{"name":"a","format":"odd"}`, `{"name":"","format":"plain"}`,
		`{"name":"a","format":"taxii"}`, `{"name":"a","format":"plain","interval":1}`, `{"name":"a","format":"csv","columns":{"separator":"ab"}}`, `{"name":"a","format":"plain","auth":{"type":"header","header":"A: b","secret":"x"}}`,
	} {
		s.post(feeds, bad).want(http.StatusBadRequest)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		s.do(s.foreign, method, path, "").want(http.StatusNotFound)
	}
	s.do(s.foreign, http.MethodPost, path+"/run", "").want(http.StatusNotFound)
	s.get(feeds+"?format=plain&enabled=false").is("totalElements", 1)
	s.do(s.rw, http.MethodDelete, path, "").want(http.StatusNoContent)
	s.get(iocs).is("totalElements", 0)
}

func TestFeedFromAFile(t *testing.T) {
	s := newServer(t)
	if err := os.WriteFile(filepath.Join(s.intelDir, "list.csv"), []byte("ioc;score\n203.0.113.7;91\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := s.post("/api/v1/threat-intel-feeds", `{"name":"File","format":"csv","url":"file:list.csv","columns":{"value":"ioc","confidence":"score","separator":";"}}`).want(http.StatusCreated)
	s.post(f.exact("Location")+"/run", "").is("activeIndicators", 1).is("lastError", nil)
	s.get(iocs).is("content.0.confidence", 91).is("content.0.source", "File")
}
