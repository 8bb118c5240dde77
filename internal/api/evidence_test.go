package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// withEvidence gives the server files, and returns their folder.
func withEvidence(t *testing.T, s **server) string {
	t.Helper()
	dir := t.TempDir()
	*s = newServer(t, func(c *Config) {
		files, err := vault.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		c.Compliance = compliance.New(compliance.Config{DB: c.DB, Now: c.Now, Evidence: evidence.Known})
		c.Evidence = evidence.New(evidence.Config{DB: c.DB, Files: files, Compliance: c.Compliance, Signer: c.Signer, Now: c.Now, Version: "1.0.0", Host: "kyra-1"})
	})
	return dir
}

// collected keeps that two checks found something of tenant A.
func (s *server) collected() {
	s.t.Helper()
	result := func(check string, o compliance.Outcome, facts string) compliance.Result {
		return compliance.Result{
			Variant: check, Check: check, Outcome: o, Value: new(0.5), Unit: "ratio", Threshold: "ratio >= 0.98", Reason: "1 of 2 accounts has a second factor.", Method: "SELECT count(*) FROM account",
			Resources: []string{"table account"}, Population: compliance.Population{Definition: "accounts", Size: 2, Sample: 2}, From: s.now().Add(-24 * time.Hour), To: s.now(), Facts: json.RawMessage(facts),
		}
	}
	err := s.cfg.Evidence.Save(s.t.Context(), s.a.Number, []compliance.Result{
		result("mfa-all", compliance.Fail, `{"accounts":[{"name":"ann","mfa":true,"token":"x"},{"name":"bob","mfa":false}]}`), result("audit-chain", compliance.Pass, `{"entries":7}`),
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

const evidencePath = "/api/v1/compliance/evidence"

func TestEvidence(t *testing.T) {
	t.Parallel()
	var s *server
	dir := withEvidence(t, &s)
	s.collected()
	list := s.get(evidencePath+"?check=mfa-all&framework=isms-p").want(200).is("totalElements", 1)
	item := list.json().(map[string]any)["content"].([]any)[0].(map[string]any)
	id, _ := item["id"].(string)
	one := s.get(evidencePath+"/"+id).want(200).is("checkId", "mfa-all").is("result", "fail").is("kind", "automatic").is("seq", 1).is("stale", false).is("prevHash", "")
	body := strings.ReplaceAll(one.body, id, "0197f000-0000-7000-8000-000000000001")
	for _, key := range []string{"contentHash", "hash"} {
		body = strings.ReplaceAll(body, one.text(key), key)
	}
	golden(t, "evidence.json", steady(t, body))
	if one.header.Get("ETag") == "" {
		t.Error("no ETag")
	}
	frameworks := map[string]bool{}
	for _, r := range item["frameworkRefs"].([]any) {
		frameworks[r.(map[string]any)["framework"].(string)] = true
	}
	if len(frameworks) < 8 {
		t.Errorf("it serves %v", frameworks)
	}

	file := s.get(evidencePath + "/" + id + "/artifact").want(200)
	if file.body != `{"accounts":[{"mfa":true,"name":"ann","token":"[redacted]"},{"mfa":false,"name":"bob"}]}` || !strings.HasPrefix(file.exact("Content-Disposition"), "attachment;") ||
		file.exact("X-Content-Type-Options") != "nosniff" || file.exact("Content-Type") != "application/json" {
		t.Errorf("artifact is %s with %v", file.body, file.header)
	}
	s.get(evidencePath+"/"+id+"/verify").want(200).is("intact", true)
	s.get(evidencePath+"/verify").want(200).is("intact", true).is("records", 2)

	for query, want := range map[string]int{"": 2, "?result=fail": 1, "?kind=manual": 0, "?control=2.5.6": 0, "?from=2026-04-23T00:00:00Z": 0, "?to=2026-04-23T00:00:00Z": 2, "?framework=CMMC&check=audit-chain": 1} {
		s.get(evidencePath+query).want(200).is("totalElements", want)
	}
	for _, query := range []string{"?result=good", "?kind=x", "?framework=nope", "?colour=red", "?from=yesterday", "/bundle?framework=nope", "/bundle?to=2020-01-01T00:00:00Z", "/bundle?size=3"} {
		s.get(evidencePath + query).want(400)
	}
	for _, path := range []string{"", "/artifact", "/verify"} {
		s.do(s.foreign, "GET", evidencePath+"/"+id+path, "").want(404)
		s.get(evidencePath + "/0197f000-0000-7000-8000-0000000000ff" + path).want(404)
		s.get(evidencePath + "/nope" + path).want(404)
	}
	s.do(s.foreign, "GET", evidencePath, "").want(200).is("totalElements", 0)
	s.do(s.foreign, "GET", evidencePath+"/bundle", "").want(400)

	// A file that was changed on disk is found.
	sum := item["artifact"].(map[string]any)["sha256"].(string)
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(s.a.Number), sum[:2], sum), []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.get(evidencePath+"/"+id+"/verify").want(200).is("intact", false)
	s.get(evidencePath+"/verify").want(200).is("intact", false).is("records", 2)
}

func TestEvidenceBundle(t *testing.T) {
	t.Parallel()
	var s *server
	withEvidence(t, &s)
	s.collected()
	s.pass(24 * time.Hour)
	if _, err := s.cfg.Signer.SealDay(t.Context(), s.db, s.a.Number, s.now()); err != nil {
		t.Fatal(err)
	}
	b := s.get(evidencePath + "/bundle?framework=isms-p&from=2026-04-01T00:00:00Z").want(200)
	if b.exact("Content-Type") != "application/zip" || b.exact("Content-Disposition") != `attachment; filename="evidence-ISMSP-2026-04-01.zip"` {
		t.Errorf("headers are %v", b.header)
	}
	// The key comes another way: as the API shows it.
	key, err := evidence.ParseKey([]byte(s.get("/api/v1/audit-logs/verify").want(200).text("publicKey")))
	if err != nil {
		t.Fatal(err)
	}
	v, err := evidence.Verify(strings.NewReader(b.body), int64(len(b.body)), key)
	if err != nil || !v.OK() || v.Records != 2 || v.Framework != "ISMSP" {
		t.Errorf("verdict is %+v, %v", v, err)
	}
	if again := s.get(evidencePath + "/bundle?framework=ISMSP&from=2026-04-01T00:00:00Z").want(200); again.body != b.body {
		t.Error("two bundles of one state differ")
	}
	s.get("/api/v1/audit-logs?action=evidence.export").want(200).is("totalElements", 2)
}

func TestEvidenceUpload(t *testing.T) {
	t.Parallel()
	var s *server
	withEvidence(t, &s)
	pdf := "%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
	post := func(query, body string, headers ...string) *answerTo {
		return s.post(evidencePath+query, body, headers...)
	}
	one := post("?name=review.pdf&controls=ISMSP/2.5.6,iso-27001/A.5.18&effectiveAt=2026-03-31T00:00:00Z&title=Review", pdf, "Content-Type: application/pdf").want(201).is("kind", "manual").is("title", "Review").
		is("effectiveAt", "2026-03-31T00:00:00Z").is("collectedAt", "2026-04-22T12:00:00Z").is("validUntil", nil).is("checkId", nil)
	id := one.text("id")
	if one.exact("Location") != evidencePath+"/"+id {
		t.Errorf("Location is %q", one.exact("Location"))
	}
	s.get(evidencePath+"?control=2.5.6&framework=ismsp").want(200).is("totalElements", 1)
	if got := s.get(evidencePath + "/" + id + "/artifact").want(200); got.body != pdf || !strings.Contains(got.exact("Content-Disposition"), "review.pdf") {
		t.Errorf("artifact is %q, %v", got.body, got.header)
	}

	// As a form, in its place.
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="new.csv"`}, "Content-Type": {"text/csv"}}
	part, err := w.CreatePart(h)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("a,b\n"))
	_ = w.Close()
	two := post("?controls="+url.QueryEscape("ISMSP/2.5.6")+"&supersedes="+id, form.String(), "Content-Type: "+w.FormDataContentType()).want(201).is("supersedes", id)
	s.get(evidencePath+"/"+id).want(200).is("supersededBy", two.text("id")).is("stale", true)
	post("?controls=ISMSP/2.5.6&name=a.pdf&supersedes="+id, pdf, "Content-Type: application/pdf").want(409)

	// Attestations name it.
	attest := func(id string) *answerTo {
		return s.post("/api/v1/compliance/attestations", `{"framework":"ISMSP","control":"2.5.6","status":"compliant","statement":"reviewed","evidence":["`+id+`"]}`)
	}
	attest(two.text("id")).want(201)
	attest(id).want(400)
	attest("0197f000-0000-7000-8000-0000000000ff").want(400)

	for query, bad := range map[string][2]string{
		"?name=a.pdf":                                                       {pdf, "application/pdf"},
		"?name=a.pdf&controls=ISMSP":                                        {pdf, "application/pdf"},
		"?name=a.pdf&controls=ISMSP/0":                                      {pdf, "application/pdf"},
		"?name=a.png&controls=ISMSP/2.5.6":                                  {pdf, "image/png"},
		"?name=a.exe&controls=ISMSP/2.5.6":                                  {"MZ\x90\x00", "application/x-msdownload"},
		"?name=b.exe&controls=ISMSP/2.5.6":                                  {"MZ\x90\x00", "application/octet-stream"},
		"?name=c.pdf&controls=ISMSP/2.5.6&effectiveAt=2027-01-01T00:00:00Z": {pdf, "application/pdf"},
		"?controls=ISMSP/2.5.6":                                             {pdf, "application/pdf"},
		"?name=d.pdf&controls=ISMSP/2.5.6&supersedes=" + "nope":             {pdf, "application/pdf"},
		"?name=e.pdf&controls=ISMSP/2.5.6&periodFrom=2026-12-01T00:00:00Z":  {pdf, "application/pdf"},
		"?name=f.pdf&controls=ISMSP/2.5.6&validUntil=2020-12-01T00:00:00Z":  {pdf, "application/pdf"},
	} {
		post(query, bad[0], "Content-Type: "+bad[1]).want(400)
	}
	s.do(s.ro, "POST", evidencePath+"?name=a.pdf&controls=ISMSP/2.5.6", pdf, "Content-Type: application/pdf").want(403)
}
