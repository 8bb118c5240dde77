package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// found keeps what f says of every variant of tenant A.
func (s *server) found(f func(check string) compliance.Outcome) {
	s.t.Helper()
	svc := compliance.New(compliance.Config{DB: s.db, Now: s.now})
	all, err := svc.Variants(s.t.Context(), s.a.Number)
	if err != nil {
		s.t.Fatal(err)
	}
	var results []compliance.Result
	for _, v := range all {
		if o := f(v.Check); o != "" {
			results = append(results, compliance.Result{
				Variant: v.Key(), Check: v.Check, Outcome: o, Value: new(0.97), Unit: "ratio", Threshold: "ratio >= 0.95", Reason: "97 of 100.", Method: "SELECT 1", Resources: []string{"table alert"},
				Population: compliance.Population{Definition: "all of them", Size: 100, Sample: 100}, From: noon.Add(-24 * time.Hour), To: noon, EvidenceID: "0197f000-0000-7000-8000-000000000001",
			})
		}
	}
	if err := s.db.Tx(s.t.Context(), func(tx *sqldb.DB) error { return svc.SaveResults(s.t.Context(), tx, s.a.Number, results) }); err != nil {
		s.t.Fatal(err)
	}
}

func allPass(string) compliance.Outcome { return compliance.Pass }

func TestFrameworks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(allPass)
	list := s.get("/api/v1/compliance/frameworks").want(200)
	golden(t, "frameworks.json", steady(t, list.body))
	if list.exact("X-Total-Count") != "9" {
		t.Errorf("X-Total-Count is %q", list.exact("X-Total-Count"))
	}
	var order []string
	for _, f := range list.json().([]any) {
		order = append(order, f.(map[string]any)["id"].(string))
	}
	if got := strings.Join(order, " "); got != "ISMSP ISO27001 SOC2 PCIDSS TISAX CMMC GDPR CCPA NISTCSF" {
		t.Errorf("the order is %s", got)
	}
	// Another tenant has the frameworks, and nothing found.
	s.do(s.foreign, "GET", "/api/v1/compliance/ISMSP/coverage", "").is("compliant", 0).is("notAssessed", 31)
}

// The coverage of a healthy system is the example of the reference, key by key.
func TestCoverageExample(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(allPass)
	const want = `{"framework":"ISMSP","totalControls":31,"compliant":24,"partial":0,"nonCompliant":0,"notAssessed":7,"score":77.42}`
	for _, name := range []string{"ISMSP", "ismsp", "ISMS-P", "isms-p", "ISMSP@2023-10"} {
		if got := strings.TrimSpace(s.get("/api/v1/compliance/" + name + "/coverage").want(200).body); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	s.get("/api/v1/compliance/iso-27001/coverage").is("framework", "ISO27001")
	s.get("/api/v1/compliance/ISMSP/coverage?profile=full").is("totalControls", 101).is("compliant", 24).is("score", 23.76)
	s.get("/api/v1/compliance/ISMSP/coverage?profile=half").problem(400, "Invalid profile value", "Allowed: core, full")
	for _, path := range []string{"/DORA/coverage", "/ISO/controls", "/ISMSP@2099/coverage", "/ISMSP/controls/9.9.9", "/ISMSP/nothing", "/evidence/coverage"} {
		s.get("/api/v1/compliance"+path).problem(404, "Not found", "Resource not found")
	}
	s.do(s.rw, "DELETE", "/api/v1/compliance/ISMSP/coverage", "").problem(405, "Method not allowed", "Allowed: GET, HEAD")
}

func TestControls(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(func(check string) compliance.Outcome {
		switch check {
		case "backup-mon":
			return compliance.Fail
		case "auth-policy":
			return compliance.NoData
		}
		return compliance.Pass
	})
	list := s.get("/api/v1/compliance/ISMSP/controls?domain=2.9&size=3").want(200).is("totalElements", 6).is("totalPages", 2)
	golden(t, "controls.json", steady(t, list.body))
	for _, key := range []string{"id", "title", "domain", "status", "mode", "owner", "evidence", "checks", "lastAssessedAt"} {
		list.at("content.0." + key)
	}
	golden(t, "control.json", steady(t, s.get("/api/v1/compliance/ISMSP/controls/2.9.3").want(200).body))
	s.get("/api/v1/compliance/ISMSP/controls?status=partial").is("totalElements", 1).is("content.0.id", "2.9.3").is("content.0.statusReason", "These do not pass: backup-mon")
	s.get("/api/v1/compliance/ISMSP/controls?status=PARTIAL,notassessed&mode=auto").is("totalElements", 2)
	s.get("/api/v1/compliance/ISMSP/controls?ready=true").is("totalElements", 7)
	s.get("/api/v1/compliance/ISMSP/controls?check=auth-policy,backup-mon").is("totalElements", 2)
	s.get("/api/v1/compliance/ISMSP/controls?search=%EB%A1%9C%EA%B7%B8%20%EB%B0%8F").is("totalElements", 2) // 로그 및
	s.get("/api/v1/compliance/ISMSP/controls?page=9").is("content", []any{}).is("totalElements", 31)
	s.get("/api/v1/compliance/ISMSP/controls?stale=true").is("totalElements", 0)
	s.get("/api/v1/compliance/ISMSP/controls?size=101").problem(400, "Invalid size value", "Allowed: 1 to 100")
	s.get("/api/v1/compliance/ISMSP/controls?colour=red").want(400)
	// Ids with brackets and dots.
	s.get("/api/v1/compliance/ccpa/controls/7123(c)(7)").want(200).is("id", "7123(c)(7)")
	s.get("/api/v1/compliance/gdpr/controls/Art.33(1)").want(200).is("id", "Art.33(1)")
	// Titles by language.
	for header, want := range map[string]string{
		"": "Backups run, kept apart and restorable", "ko": "백업 및 복구관리", "ko-KR,ko;q=0.9,en;q=0.8": "백업 및 복구관리", "en,ko;q=0.5": "Backups run, kept apart and restorable",
		"ja": "Backups run, kept apart and restorable", "!!": "Backups run, kept apart and restorable",
	} {
		s.do(s.ro, "GET", "/api/v1/compliance/ISMSP/controls/2.9.3", "", "Accept-Language: "+header).is("title", want)
	}
	s.get("/api/v1/compliance/ISMSP/controls/2.9.3?lang=ko").is("statusReason", "통과하지 못한 점검: backup-mon").is("domainTitle", "시스템 및 서비스 운영관리")
	s.get("/api/v1/compliance/gdpr/controls/Art.30?lang=ko").want(200) // there is no Korean title: the English one
	// What time does.
	s.pass(14 * 24 * time.Hour)
	s.get("/api/v1/compliance/ISMSP/controls/2.9.3").is("stale", true).is("checks.0.result", "noData").is("checks.0.stale", true).is("evidence", []any{})
}

func TestNoteControl(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const path = "/api/v1/compliance/iso-27001/controls/A.8.15"
	before := s.get(path).want(200)
	after := s.do(s.rw, "PATCH", path, `{"owner":"SOC lead","dueAt":"2026-05-01T09:00:00+09:00","justification":"risk R-12"}`, "If-Match: "+before.header.Get("ETag")).want(200)
	after.is("owner", "SOC lead").is("dueAt", "2026-05-01T00:00:00Z").is("version", 1)
	s.do(s.rw, "PATCH", path, `{"notes":"x"}`, "If-Match: "+before.header.Get("ETag")).want(412)
	s.do(s.rw, "PATCH", path, `{"dueAt":null}`).want(200).is("dueAt", nil).is("owner", "SOC lead")
	s.do(s.rw, "PATCH", path, `{}`).want(400)
	s.do(s.rw, "PATCH", path, `{"status":"compliant"}`).problem(400, "Unknown body key", "")
	s.do(s.ro, "PATCH", path, `{"notes":"x"}`).want(403)
	soa := s.get("/api/v1/compliance/iso-27001/statement-of-applicability").want(200).is("applicable", 93).is("excluded", 0).is("withoutJustification", 92)
	if n := len(soa.at("controls").([]any)); n != 93 {
		t.Errorf("the statement has %d controls", n)
	}
}

func TestAttest(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(allPass)
	const path = "/api/v1/compliance/attestations"
	made := s.post(path, `{"framework":"isms-p","control":"2.5.2","status":"compliant","statement":"Seen on site"}`).want(201)
	where := made.header.Get("Location")
	golden(t, "attestation.json", steady(t, s.get(where).want(200).body))
	s.get("/api/v1/compliance/ISMSP/coverage").is("compliant", 25).is("score", 80.65)
	s.do(s.foreign, "GET", where, "").problem(404, "Not found", "Resource not found")
	s.do(s.ro, "POST", path, `{"framework":"isms-p","control":"2.5.2","status":"compliant","statement":"x"}`).want(403)
	s.post(path, `{"framework":"DORA","control":"2.5.2","status":"compliant","statement":"x"}`).problem(400, "Invalid framework value", "")
	s.post(path, `{"framework":"ISMSP","control":"9.9","status":"compliant","statement":"x"}`).problem(400, "Invalid control value", "")
	s.post(path, `{"framework":"ISMSP","control":"2.5.2","status":"good","statement":"x"}`).want(400)
	s.post(path, `{"framework":"ISMSP","control":"2.5.2","status":"compliant","statement":" "}`).problem(400, "Invalid statement value", "")

	// Not applicable needs another person.
	none := s.post(path, `{"framework":"ISO27001","control":"A.7.4","status":"notApplicable","statement":"No premises of our own"}`).want(201).is("state", "pending")
	review := none.header.Get("Location") + "/review"
	s.post(review, `{"approve":true}`).problem(403, "Forbidden", "")
	_, other, err := s.cfg.Keys.Create(t.Context(), s.a.Number, "system", identity.Draft{Name: "CISO", Scope: identity.ReadWrite})
	if err != nil {
		t.Fatal(err)
	}
	s.do(other, "POST", review, `{"approve":false}`).problem(400, "Invalid note value", "")
	s.do(other, "POST", review, `{"approve":true}`).want(200).is("state", "approved").is("reviewer", "key:CISO")
	s.get("/api/v1/compliance/ISO27001/statement-of-applicability").is("excluded", 1).is("applicable", 92)
	s.get("/api/v1/compliance/ISO27001/controls/A.7.4").is("status", "notApplicable").is("statusReason", "Not applicable: No premises of our own")
	s.get("/api/v1/compliance/ISO27001/coverage?profile=full").is("totalControls", 92)
	s.get(path+"?framework=iso27001&state=approved&status=notApplicable").is("totalElements", 1)
	s.get(path+"?framework=DORA").problem(400, "Invalid framework value", "")

	s.post(where+"/withdraw", `{"note":"wrong place"}`).want(200).is("state", "withdrawn").is("note", "wrong place")
	s.post(where+"/withdraw", "").problem(409, "Conflict", "The attestation is withdrawn already")
	s.get("/api/v1/compliance/ISMSP/coverage").is("compliant", 24)
}

func TestComplianceExceptions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(func(check string) compliance.Outcome {
		if check == "auth-policy" {
			return compliance.Fail
		}
		return compliance.Pass
	})
	const path = "/api/v1/compliance/exceptions"
	s.get("/api/v1/compliance/ISMSP/coverage").is("nonCompliant", 1)
	made := s.post(path, `{"framework":"ISMSP","control":"2.5.4","checks":["auth-policy"],"owner":"CISO","reason":"old system","compensation":"second factor","endsAt":"2026-06-01T00:00:00Z"}`).want(201)
	where := made.header.Get("Location")
	golden(t, "complianceexception.json", steady(t, s.get(where).want(200).body))
	s.get("/api/v1/compliance/ISMSP/controls/2.5.4").is("status", "partial").is("statusCode", "exception").is("exceptions.0.owner", "CISO").is("checks.0.excepted", true)
	for body, field := range map[string]string{
		`{"framework":"ISMSP","control":"2.5.4","owner":"","reason":"r","compensation":"c","endsAt":"2026-06-01T00:00:00Z"}`:                       "owner",
		`{"framework":"ISMSP","control":"2.5.4","owner":"o","reason":"r","compensation":"c","endsAt":"2036-06-01T00:00:00Z"}`:                      "endsAt",
		`{"framework":"ISMSP","control":"2.5.4","checks":["mfa-all"],"owner":"o","reason":"r","compensation":"c","endsAt":"2026-06-01T00:00:00Z"}`: "checks",
		`{"framework":"ISMSP","control":"1.1.1","owner":"o","reason":"r","compensation":"c","endsAt":"2026-06-01T00:00:00Z"}`:                      "control",
	} {
		s.post(path, body).problem(400, "Invalid "+field+" value", "")
	}
	s.get(path+"?active=true&framework=isms-p&control=2.5.4").is("totalElements", 1)
	s.do(s.foreign, "GET", where, "").want(404)
	s.post(where+"/end", `{"note":"repaired"}`).want(200).is("active", false)
	s.get(path+"?active=true").is("totalElements", 0)
	s.get("/api/v1/compliance/ISMSP/coverage").is("nonCompliant", 1)
}

func TestComplianceSettings(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(allPass)
	const path = "/api/v1/compliance/settings"
	golden(t, "compliancesettings.json", steady(t, s.get(path).want(200).body))
	s.do(s.rw, "PATCH", path, `{"strict":true}`).want(200).is("strict", true).is("version", 1)
	s.get("/api/v1/compliance/ISMSP/coverage").is("compliant", 15).is("score", 48.39)
	s.do(s.rw, "PATCH", path, `{"strict":false,"frameworks":{"isms-p":{"profile":"full"},"SOC2":{"categories":["security"]}}}`).want(200).is("frameworks.ISMSP.profile", "full")
	s.get("/api/v1/compliance/ISMSP/coverage").is("totalControls", 101)
	s.get("/api/v1/compliance/SOC2/coverage?profile=full").is("totalControls", 33)
	s.do(s.rw, "PATCH", path, `{"frameworks":{"ISMSP":{}}}`).want(200)
	s.get("/api/v1/compliance/ISMSP/coverage").is("totalControls", 31)
	s.do(s.rw, "PATCH", path, `{"partialWeight":2}`).problem(400, "Invalid partialWeight value", "Allowed: 0 to 1, up to two decimals")
	s.do(s.rw, "PATCH", path, `{"frameworks":{"TISAX":{"edition":"2027"}}}`).problem(400, "Invalid frameworks.TISAX.edition value", "Allowed: 6.0")
	s.do(s.ro, "PATCH", path, `{"strict":true}`).want(403)
}

func TestAssessment(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *Config) {
		c.Compliance = compliance.New(compliance.Config{DB: c.DB, Now: c.Now, Kept: func(context.Context, uint32) (compliance.Kept, error) {
			return compliance.Kept{ConfiguredDays: 365, Oldest: noon.AddDate(0, 0, -100)}, nil
		}})
	})
	s.found(allPass)
	golden(t, "assessment.json", steady(t, s.get("/api/v1/compliance/PCIDSS/assessment").want(200).body))
	s.get("/api/v1/compliance/cmmc/assessment").is("officialScore.highest", 110).is("officialScore.lowest", -203).is("officialScore.level1Requirements", 15)
	pci := s.get("/api/v1/compliance/pci-dss/assessment").want(200)
	pci.is("logRetention.control", "10.5").is("logRetention.requiredDays", 365).is("logRetention.searchableDays", 90).is("logRetention.heldDays", 100).is("logRetention.missingDays", 265).is("logRetention.enough", true)
	s.get("/api/v1/compliance/ISMSP/assessment").is("logRetention.requiredDays", 365).is("logRetention.personalDataDays", 730).is("logRetention.reachedOn", "2027-01-12")
	s.post("/api/v1/compliance/attestations", `{"framework":"TISAX","control":"1.6.2","status":"compliant","statement":"seen","maturity":4}`).want(201)
	s.get("/api/v1/compliance/tisax/assessment").is("maturity.average", 3).is("maturity.rated", 1)
	s.pass(24 * time.Hour)
	s.found(func(check string) compliance.Outcome {
		if check == "backup-mon" {
			return compliance.Fail
		}
		return compliance.Pass
	})
	golden(t, "compliancehistory.json", steady(t, s.get("/api/v1/compliance/ISMSP/history").want(200).body))
	s.get("/api/v1/compliance/ISMSP/changes?control=2.9.3&size=1").is("totalElements", 2).is("content.0.cause", "backup-mon: pass → fail; platform-backup: pass, evaluated again").is("content.0.from", "compliant").is("content.0.to", "partial")
	s.get("/api/v1/compliance/ISMSP/history?from=2026-04-22T00:00:00Z&to=2026-04-21T00:00:00Z").want(400)
}

func TestChecks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(func(check string) compliance.Outcome {
		switch check {
		case "mfa-all":
			return compliance.Fail
		case "dsr-deadline":
			return ""
		}
		return compliance.Pass
	})
	s.get("/api/v1/compliance/checks?size=100").is("totalElements", 64)
	s.get("/api/v1/compliance/checks?result=fail").is("totalElements", 1).is("content.0.id", "mfa-all")
	s.get("/api/v1/compliance/checks?group=privacy&result=noData").is("totalElements", 1).is("content.0.id", "dsr-deadline")
	golden(t, "check.json", steady(t, s.get("/api/v1/compliance/checks/log-retention").want(200).body))
	s.get("/api/v1/compliance/checks/nothing").problem(404, "Not found", "Resource not found")
	s.get("/api/v1/compliance/crosswalk?check=log-retention").is("totalElements", 1).is("content.0.controls", 8)
	s.get("/api/v1/compliance/crosswalk?framework=pci-dss,gdpr&check=audit-chain").is("content.0.controls", 3)
	s.get("/api/v1/compliance/crosswalk?framework=DORA").want(400)
	gains := s.get("/api/v1/compliance/gains").want(200).is("content.0.result", "noData")
	if text := gains.text("content.0.summary"); gains.text("content.0.check") != "dsr-deadline" || !strings.Contains(text, " CCPA") {
		t.Errorf("the greatest gain is %s: %s", gains.text("content.0.check"), text)
	}
	s.get("/api/v1/compliance/gains").is("content.1.check", "mfa-all").is("content.1.reason", "97 of 100.")
	s.get("/api/v1/compliance/gains?lang=ko").is("content.1.title", "다중 인증(MFA)")
	s.get("/api/v1/compliance/gains?lang=ja").is("content.1.title", "MFA enabled")
	if text := s.get("/api/v1/compliance/ISMSP/controls?lang=ja&mode=manual&profile=full").text("content.0.statusReason"); text != "自動では点検できない: 担当者の確認が必要" {
		t.Errorf("in Japanese: %s", text)
	}
}

func TestCollectEvidence(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const path = "/api/v1/compliance/evidence/collect"
	s.post(path, "").problem(503, "Service unavailable", "This server collects no evidence")
	var asked compliance.Selection
	s = newServer(t, func(c *Config) {
		jobs := job.New(c.DB, job.Config{Now: c.Now}, map[string]job.Kind{"evidence-collect": {}})
		c.CollectEvidence = func(ctx context.Context, tenant uint32, actor string, chosen compliance.Selection) (*job.Job, error) {
			asked = chosen
			return jobs.Start(ctx, tenant, actor, job.Draft{Kind: "evidence-collect", Params: chosen})
		}
	})
	a := s.post(path, `{"frameworks":["isms-p"],"controls":["2.9.4"]}`).want(202)
	if where := a.header.Get("Location"); where != "/api/v1/jobs/"+a.text("id") || a.text("state") != "QUEUED" {
		t.Errorf("the job is %s at %s", a.body, where)
	}
	if len(asked.Frameworks) != 1 || asked.Controls[0] != "2.9.4" {
		t.Errorf("asked for %+v", asked)
	}
	s.get(a.header.Get("Location")).want(200)
	s.post(path, "").want(202)
	s.post(path, `{"frameworks":["DORA"]}`).problem(400, "Invalid frameworks value", `There is no framework "DORA"`)
	s.post(path, `{"controls":["9.9.9.9"]}`).problem(400, "Invalid controls value", "")
	s.post(path, `{"checks":["x"]}`).problem(400, "Invalid checks value", "")
	s.do(s.ro, http.MethodPost, path, "").want(403)
}

func TestExportControls(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.found(allPass)
	rows, err := csv.NewReader(strings.NewReader(s.get("/api/v1/export/compliance-controls?format=csv").want(200).body)).ReadAll()
	if err != nil || len(rows) != 1+31+49+36+39+31+77+25+38+62 || rows[0][0] != "id" || rows[1][0] != "2.5.1" || rows[1][3] != "compliant" {
		t.Errorf("%d rows, %v: %v", len(rows), err, rows[:min(2, len(rows))])
	}
	rows, err = csv.NewReader(strings.NewReader(s.get("/api/v1/export/compliance-controls?format=csv&profile=full").want(200).body)).ReadAll()
	if err != nil || len(rows) != 757 {
		t.Errorf("%d rows of the full profile, %v", len(rows), err)
	}
	var items []ControlItem
	if err := json.Unmarshal([]byte(s.do(s.ro, "GET", "/api/v1/export/compliance-controls?format=json&framework=isms-p,ISMSP&status=notAssessed", "", "Accept-Language: ko").want(200).body), &items); err != nil || len(items) != 7 || items[0].Title != "사용자 식별" {
		t.Errorf("%d items, %v", len(items), err)
	}
	s.get("/api/v1/export/compliance-controls?framework=DORA").problem(400, "Invalid framework value", "")
}
