package assess

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// raise records alerts of so many rules, one each.
func raise(t *testing.T, h *house, s *alert.Service, severity string, n int, at time.Time) (ids []string) {
	t.Helper()
	var findings []alert.Finding
	for i := range n {
		findings = append(findings, alert.Finding{
			Tenant: h.number, Rule: alert.RuleRef{ID: fmt.Sprintf("rule-%s-%d-%d", severity, at.UnixNano(), i), Name: "r", Author: "x", Version: 1},
			Title: "Something", Severity: severity, Source: "sshd", Key: fmt.Sprint(i), First: at.UnixNano(), Last: at.UnixNano(), Count: 1,
		})
	}
	if err := h.DB.Tx(t.Context(), func(tx *sqldb.DB) error {
		_, err := s.Record(t.Context(), tx, at, findings)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	page, err := s.List(t.Context(), h.number, alert.Query{Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range page.Alerts {
		if a.Severity == severity && a.CreatedAt.Equal(at) {
			ids = append(ids, a.ID)
		}
	}
	if len(ids) != n {
		t.Fatalf("%d of %d alerts", len(ids), n)
	}
	return ids
}

// Who answers, and how late, is counted when it happens, and moves with the alert.
func TestAnswersAreCounted(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		s := alert.New(h.DB)
		h.now = time.Now().UTC().Truncate(time.Microsecond) // patches are made now
		ids := raise(t, h, s, "critical", 4, h.now.Add(-30*time.Minute))
		status, note := alert.InProgress, "seen"
		patch := func(actor, id string, p alert.Patch) {
			t.Helper()
			if _, err := s.Patch(t.Context(), h.number, actor, id, p); err != nil {
				t.Fatal(err)
			}
		}
		patch("user:kim", ids[0], alert.Patch{Note: note})
		patch("user:kim", ids[0], alert.Patch{Status: &status}) // the first counts
		patch("system", ids[1], alert.Patch{Status: &status})
		patch("system", ids[2], alert.Patch{Note: note}) // nobody
		patch("playbook:x", ids[3], alert.Patch{Note: note})
		r := h.evaluate("alert-mtta")
		// Two are answered within the limit, two are still young.
		if r.Outcome != compliance.Pass || r.Population.Size != 2 || r.Value == nil || *r.Value < 30 || *r.Value > 32 {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		h.now = h.now.Add(3 * time.Hour)
		if r = h.evaluate("alert-mtta"); r.Outcome != compliance.Partly || r.Population.Size != 4 {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		// What is graver than it was counts there.
		exec(t, h.DB, `UPDATE alert SET severity = 'low' WHERE id = $1`, ids[0])
		counts, err := sqldb.All(t.Context(), h.DB, sqldb.Value[string], `SELECT severity || ' ' || n FROM alert_answer WHERE n > 0 ORDER BY severity`)
		if err != nil || fmt.Sprint(counts) != "[critical 1 low 1]" {
			t.Errorf("%v %v", counts, err)
		}
		exec(t, h.DB, `DELETE FROM alert WHERE id IN ($1, $2)`, ids[0], ids[1])
		if counts, err = sqldb.All(t.Context(), h.DB, sqldb.Value[string], `SELECT severity FROM alert_answer WHERE n > 0`); err != nil || len(counts) != 0 {
			t.Errorf("%v %v", counts, err)
		}
	})
}

func TestBacklogOfRealAlerts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		s := alert.New(h.DB)
		if r := h.evaluate("alert-backlog"); r.Outcome != compliance.NoData {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		raise(t, h, s, "critical", 1, h.now.Add(-50*day)) // open ever since
		recent := raise(t, h, s, "high", 19, h.now.Add(-80*time.Hour))
		raise(t, h, s, "high", 2, h.now.Add(-71*time.Hour)) // too young to count
		done := alert.Resolved
		for _, id := range recent {
			if _, err := s.Patch(t.Context(), h.number, "user:kim", id, alert.Patch{Status: &done}); err != nil {
				t.Fatal(err)
			}
		}
		r := h.evaluate("alert-backlog")
		if r.Outcome != compliance.Pass || r.Population.Size != 20 || *r.Value != 0.05 || !strings.Contains(string(r.Facts), `"openOlder":1`) {
			t.Errorf("%s %d %s %s", r.Outcome, r.Population.Size, r.Reason, r.Facts)
		}
		if !strings.Contains(r.Method, "alert_hour") || !strings.Contains(r.Method, "$1 = ") {
			t.Errorf("method %s", r.Method)
		}
		another := h.number
		h.number = 99
		if r := h.evaluate("alert-backlog"); r.Outcome != compliance.NoData {
			t.Errorf("of another tenant: %s", r.Reason)
		}
		h.number = another
	})
}

func TestRealIncidents(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		s := incident.New(h.DB, alert.New(h.DB), incident.DefaultSLA)
		h.now = time.Now().UTC().Truncate(time.Microsecond)
		in, err := s.Create(t.Context(), h.number, "user:kim", incident.Draft{Title: "Exercise: ransom", Severity: "critical"})
		if err != nil {
			t.Fatal(err)
		}
		h.now = h.now.Add(25 * time.Hour)
		if r := h.evaluate("incident-mttr"); r.Outcome != compliance.Fail || !strings.Contains(r.Reason, "assigned to nobody") {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		if r := h.evaluate("incident-root-cause"); r.Outcome != compliance.NoData {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		if _, err := s.Comment(t.Context(), h.number, "user:kim", in.ID, "Root cause: a guessed password\nLessons: none like it"); err != nil {
			t.Fatal(err)
		}
		for _, status := range []incident.Status{incident.Contained, incident.Eradicated, incident.Recovered, incident.Closed} {
			reason := ""
			if status == incident.Closed {
				reason = "Corrective action: keys alone"
			}
			if _, err := s.Patch(t.Context(), h.number, "user:kim", in.ID, incident.Patch{Status: &status, AssignedTo: new("kim"), Reason: reason}); err != nil {
				t.Fatal(err)
			}
		}
		for check, want := range map[string]compliance.Outcome{"incident-mttr": compliance.Pass, "incident-root-cause": compliance.Pass, "incident-evidence": compliance.Fail} {
			if r := h.evaluate(check); r.Outcome != want || r.Population.Size != 1 {
				t.Errorf("%s: %s %d %s", check, r.Outcome, r.Population.Size, r.Reason)
			}
		}
		exec(t, h.DB, `INSERT INTO playbook (id, tenant, handle, origin, name, event, enabled, outside, number, revision, created_at, created_by, updated_at) VALUES ('p', $1, 'p', 'custom', 'P', 'manual', TRUE, FALSE, 1, 1, 0, 'x', 0)`, int64(h.number))
		if r := h.evaluate("playbook-tested"); r.Outcome != compliance.Partly || !strings.Contains(r.Reason, "exercise ended") {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		record(t, h, audit.Entry{Tenant: h.number, At: h.now.Add(-day), Actor: "user:kim", Action: "playbook.run", Object: "p"})
		if r := h.evaluate("playbook-tested"); r.Outcome != compliance.Pass {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

func record(t *testing.T, h *house, e audit.Entry) {
	t.Helper()
	if err := h.DB.Tx(t.Context(), func(tx *sqldb.DB) error { return audit.Record(t.Context(), tx, e) }); err != nil {
		t.Fatal(err)
	}
}

// addAsset makes an asset that logs, and is told of by a scanner.
func addAsset(t *testing.T, h *house, id string, tags string, sent time.Time, scanned bool) {
	t.Helper()
	exec(t, h.DB, `INSERT INTO asset (tenant, id, root, parent, own_first, own_last, evidence, owner, tags, name, type, first_at, last_at) VALUES ($1, $2, $2, '', 0, 0, 0, 'ops', $3, $2, 'server', $4, $5)`,
		int64(h.number), id, tags, h.now.Add(-90*day).UnixMicro(), h.now.Add(-time.Hour).UnixMicro())
	trait := func(source string, at time.Time) {
		exec(t, h.DB, `INSERT INTO asset_trait (tenant, asset, kind, value, place, first_at, last_at) VALUES ($1, $2, 'source', $3, '', 0, $4)`, int64(h.number), id, source, at.UnixMicro())
	}
	trait("sshd", sent)
	if scanned {
		trait("tenable_nnm", h.now.Add(-2*day))
	}
}

func TestRealAssets(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		addAsset(t, h, "a", `["Personal-Data"]`, h.now.Add(-time.Hour), true)
		addAsset(t, h, "b", `[]`, h.now.Add(-time.Hour), true)
		addAsset(t, h, "c", `["out-of-scope"]`, h.now.Add(-50*day), false)
		// A part of b: what it sent, b sent.
		addAsset(t, h, "d", `[]`, h.now, false)
		exec(t, h.DB, `UPDATE asset SET root = 'b', parent = 'b' WHERE id = 'd'`)
		for check, want := range map[string]int64{"log-source-coverage": 2, "vuln-scan": 2, "asset-inventory": 2, "pii-access-audit": 1} {
			r := h.evaluate(check)
			if r.Population.Size != want || r.Outcome == compliance.NoData {
				t.Errorf("%s: %s, %d: %s", check, r.Outcome, r.Population.Size, r.Reason)
			}
			if check != "pii-access-audit" && r.Outcome != compliance.Pass {
				t.Errorf("%s: %s: %s", check, r.Outcome, r.Reason)
			}
		}
		if r := h.evaluate("log-retention", compliance.Params{"piiMinDays": 730}); r.Outcome != compliance.Fail || !strings.Contains(r.Reason, "1 asset holds personal data") {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

// sees puts events of a source into the store, and the log source into the database.
func sees(t *testing.T, h *house, source string, at time.Time, n int, fields ...string) {
	t.Helper()
	var events []event.Event
	for i := range n {
		e := event.Event{ID: event.ID{Partition: 1, Seq: uint64(at.UnixNano()) + uint64(len(source))<<32, Index: uint32(i)}, Tenant: h.number, Time: at.UnixNano(), Arrived: at.UnixNano()}
		e.Add(event.Source, source)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			e.Add(name, value)
		}
		events = append(events, e)
	}
	if err := h.store.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	exec(t, h.DB, `INSERT INTO log_source (tenant, id, source, host, first_at, last_at, seen, events, unparsed, silent_after) VALUES ($1, $2, $2, 'web-01', $3, $3, '{"quality":[0,0,0,0]}', 1, 0, 1800) ON CONFLICT (tenant, id) DO NOTHING`, int64(h.number), source, at.UnixMicro())
	exec(t, h.DB, `INSERT INTO source_ledger (tenant, hour, source, received, stored, quarantined, dropped) VALUES ($1, $2, $3, $4, $4, 0, 0) ON CONFLICT (tenant, hour, source) DO UPDATE SET stored = source_ledger.stored + excluded.stored`,
		int64(h.number), at.Unix()/3600, source, int64(n))
	h.reload()
}

func TestClassesOfRealEvents(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if r := h.evaluate("failed-login-mon"); r.Outcome != compliance.NoData {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		if r := h.evaluate("network-mon"); r.Outcome != compliance.NoData {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		sees(t, h, "sshd", h.now.Add(-5*time.Hour), 7, "category=authentication", "action=login", "outcome=failure", "user=root", "src_ip=203.0.113.9")
		r := h.evaluate("failed-login-mon")
		if r.Outcome != compliance.Partly || !strings.Contains(string(r.Facts), `"events":{"sshd":7}`) {
			t.Errorf("%s %s %s", r.Outcome, r.Reason, r.Facts)
		}
		// The way back ends where events are found.
		if strings.Count(r.Method, "events:") != 2 {
			t.Errorf("method %s", r.Method)
		}
		// A source that sends nothing else is counted by the ledger.
		sees(t, h, "cisco_asa", h.now.Add(-5*time.Hour), 3, "category=network", "action=deny")
		if r = h.evaluate("network-mon"); r.Outcome != compliance.Partly || !strings.Contains(string(r.Facts), `"cisco_asa":3`) || strings.Contains(r.Method, "events:") || !strings.Contains(r.Method, "source_ledger") {
			t.Errorf("%s %s %s", r.Outcome, r.Reason, r.Method)
		}
		// A product that no table names shows by what it sends.
		sees(t, h, "newdb", h.now.Add(-10*time.Minute), 2, "category=database", "action=query")
		if r = h.evaluate("db-access-mon"); r.Outcome != compliance.Partly {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		// Silent for longer than the window.
		h.now = h.now.Add(48 * time.Hour)
		if r = h.evaluate("network-mon"); r.Outcome != compliance.Fail {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		h.now = noon
		r = h.evaluate("log-field-completeness")
		// Logins are whole; of the database events nobody knows who.
		if r.Outcome != compliance.Fail || r.Population.Size != 9 || *r.Value < 0.77 || *r.Value > 0.78 || !strings.Contains(r.Reason, "newdb") {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		// sshd and the others are watched for silence since a limit is set; nobody is told.
		if r = h.evaluate("source-silence-alert"); r.Outcome != compliance.Partly || *r.Value != 1 {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

func TestReceiversOfAlarms(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		hook := func(id, owner, events, filters string, last time.Time) {
			exec(t, h.DB, `INSERT INTO webhook (id, tenant, name, url, format, events, filters, enabled, secret, last_success, created_at, created_by, updated_at, owner) VALUES ($1, $2, $1, '', '', $3, $4, TRUE, $5, $6, 0, 'x', 0, $7)`,
				id, int64(h.number), events, filters, []byte{}, last.UnixMicro(), owner)
		}
		hook("low", "", `["alert.created"]`, `{"severity":["low"]}`, h.now)
		hook("unrouted", "channel", `[]`, `{}`, h.now)
		if r := h.evaluate("notify-channel"); r.Outcome != compliance.Fail || r.Population.Size != 0 {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		// A test of one proves that it works.
		hook("tested", "", `["alert.created"]`, `{"severity":["critical"]}`, h.now.Add(-60*day))
		if r := h.evaluate("notify-channel"); r.Outcome != compliance.Fail || r.Population.Size != 1 {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		exec(t, h.DB, `INSERT INTO webhook_delivery (id, tenant, webhook_id, message_id, event, object, state, body, next_at, expires_at, created_at, attempted_at) VALUES ('t', $1, 'tested', '', 'webhook.test', '', 'DELIVERED', '', 0, 0, $2, $2)`, int64(h.number), h.now.Add(-time.Hour).UnixMicro())
		if r := h.evaluate("notify-channel"); r.Outcome != compliance.Pass {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		exec(t, h.DB, `UPDATE webhook SET enabled = FALSE WHERE id = 'tested'`)
		hook("mail", "channel", `[]`, `{}`, h.now.Add(-2*day))
		exec(t, h.DB, `INSERT INTO notice_route (id, tenant, name, enabled, filters, channels, created_at, created_by, updated_at) VALUES ('r', $1, 'r', TRUE, '{"severity":["critical"]}', '["mail"]', 0, 'x', 0)`, int64(h.number))
		if r := h.evaluate("notify-channel"); r.Outcome != compliance.Pass || r.Population.Size != 1 {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		for i, state := range []string{"DELIVERED", "DELIVERED", "FAILED"} {
			exec(t, h.DB, `INSERT INTO webhook_delivery (id, tenant, webhook_id, message_id, event, object, state, body, next_at, expires_at, created_at, attempted_at) VALUES ($1, $2, 'mail', $1, 'alert.created', 'o', $3, '', 0, 0, $4, $4)`,
				fmt.Sprint("d", i), int64(h.number), state, h.now.Add(-day).UnixMicro())
		}
		if r := h.evaluate("notify-channel"); r.Outcome != compliance.Partly || !strings.Contains(r.Reason, "1 of 3") {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

func TestRealAccounts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		person := func(id, role string, factor any, signedIn time.Time) {
			exec(t, h.DB, `INSERT INTO account_user (id, email, name, language, time_zone, theme, password, totp_at, totp_step, created_at, created_by, signed_in_at, version) VALUES ($1, $1, $1, 'en', 'UTC', '', 'x', $2, 0, 0, 'x', $3, 1)`, id, factor, signedIn.UnixMicro())
			exec(t, h.DB, `INSERT INTO account_member (user_id, tenant, role, status, origin, external, added_at, added_by, changed_at) VALUES ($1, $2, $3, 'active', 'local', '', 0, 'x', 0)`, id, int64(h.number), role)
		}
		person("kim", "Admin", int64(1), h.now)
		person("lee", "Analyst", nil, h.now.Add(-91*day))
		if r := h.evaluate("mfa-all"); r.Outcome != compliance.Fail {
			t.Errorf("one person has no second factor: %s %s", r.Outcome, r.Reason)
		}
		principal := func(id, kind, status string, evidence int64, last time.Time) {
			exec(t, h.DB, `INSERT INTO principal (tenant, id, word, name, domain, uid, type, evidence, first_at, last_at, status) VALUES ($1, $2, $2, $2, '', '', $3, $4, 0, $5, $6)`, int64(h.number), id, kind, evidence, last.UnixMicro(), status)
		}
		principal("root", "built-in", "active", 1, h.now)
		principal("choi", "human", "active", 2, h.now)
		principal("gone", "human", "disabled", 0, h.now.Add(-200*day))
		principal("park", "human", "departed", 0, h.now.Add(-5*day))
		for check, want := range map[string]string{
			"mfa-all": "fail: 1 of 2 (50 %) people have a second factor, 1 of 1 administrators", "role-separation": "partial: 1 of 2 (50 %)", "dormant-accounts": "fail: 1 of 3 (33.33 %) accounts",
			"access-review": "fail: About 0 of 3 (0 %) accounts", "audit-access-restricted": "partial: Nobody can change or purge the audit log; 1 of 2",
		} {
			if r := h.evaluate(check); !strings.HasPrefix(string(r.Outcome)+": "+r.Reason, want) {
				t.Errorf("%s: %s: %s", check, r.Outcome, r.Reason)
			}
		}
		exec(t, h.DB, `INSERT INTO account_passkey (id, user_id, name, credential, created_at) VALUES ('p', 'lee', 'laptop', '{}', 0)`)
		if r := h.evaluate("mfa-all"); r.Outcome != compliance.Pass || r.Population.Size != 2 {
			t.Errorf("a passkey is a second factor: %s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		person("jung", "Viewer", nil, h.now)
		exec(t, h.DB, `UPDATE account_user SET password = '' WHERE id = 'jung'`)
		exec(t, h.DB, `INSERT INTO sso_provider (id, tenant, slug, name, issuer, client_id, scopes, role_claim, roles, default_role, domains, link_claim, creates, second_factor, listed, enabled, created_at, created_by, changed_at, version)
			VALUES ('acme', $1, 'acme', 'Acme', 'https://acme.example', 'kyra', '[]', '', '[]', '', '[]', 'sub', FALSE, FALSE, FALSE, TRUE, 0, 'x', 0, 1)`, int64(h.number))
		exec(t, h.DB, `INSERT INTO sso_identity (tenant, provider, issuer, subject, user_id, linked_at, used_at) VALUES ($1, 'acme', 'https://acme.example', 's', 'jung', 0, 0)`, int64(h.number))
		if r := h.evaluate("mfa-all"); r.Outcome == compliance.Pass || r.Population.Size != 3 {
			t.Errorf("the provider asks for no second factor: %s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		exec(t, h.DB, `UPDATE sso_provider SET second_factor = TRUE`)
		if r := h.evaluate("mfa-all"); r.Outcome != compliance.Pass {
			t.Errorf("the provider always asks for a second factor: %s %s", r.Outcome, r.Reason)
		}
		exec(t, h.DB, `DELETE FROM account_user WHERE id = 'jung'`)
		for _, id := range []string{"kim", "lee", "choi"} {
			record(t, h, audit.Entry{Tenant: h.number, At: h.now.Add(-day), Actor: "user:kim", Action: "user.update", Object: id})
			record(t, h, audit.Entry{Tenant: h.number, At: h.now.Add(-day), Actor: "user:" + id, Action: "user.password", Object: id})
		}
		if r := h.evaluate("access-review"); r.Outcome != compliance.Fail || !strings.Contains(r.Reason, "About 2 of 3") {
			t.Errorf("nobody reviews oneself: %s %s", r.Outcome, r.Reason)
		}
		record(t, h, audit.Entry{Tenant: h.number, At: h.now.Add(-day), Actor: "key:iam", Action: "user.update", Object: "kim"})
		if r := h.evaluate("access-review"); r.Outcome != compliance.Pass || r.Population.Size != 3 {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		record(t, h, audit.Entry{Tenant: h.number, At: h.now.Add(-3 * day), Actor: "user:kim", Action: "identity.update", Object: "park", Detail: map[string]any{"status": "departed"}})
		if r := h.evaluate("leaver-disabled"); r.Outcome != compliance.Fail || r.Population.Size != 1 {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		// Windows says that it was deleted.
		sees(t, h, "windows_security", h.now.Add(-3*day+time.Hour), 1, "category=iam", "action=account_delete", "user=admin", "target_user=park")
		if r := h.evaluate("leaver-disabled"); r.Outcome != compliance.Pass {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		exec(t, h.DB, `UPDATE principal SET signin_at = $1 WHERE id = 'park'`, h.now.Add(-day).UnixMicro())
		if r := h.evaluate("leaver-disabled"); r.Outcome != compliance.Fail || !strings.Contains(r.Reason, "signed in after leaving") {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

// The guard of the audit log is looked at in the database itself.
func TestAuditLogWithoutItsGuard(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		drop := []string{`DROP TRIGGER audit_entry_no_update`, `DROP TRIGGER audit_entry_no_delete`}
		if h.DB.Dialect() == sqldb.Postgres {
			names, err := sqldb.All(t.Context(), h.DB, sqldb.Value[string], `SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relname = 'audit_entry' AND NOT t.tgisinternal`)
			if err != nil || len(names) == 0 {
				t.Fatal(names, err)
			}
			drop = nil
			for _, n := range names {
				drop = append(drop, `DROP TRIGGER `+n+` ON audit_entry`)
			}
		}
		for _, text := range drop {
			exec(t, h.DB, text)
		}
		if r := h.evaluate("audit-access-restricted"); r.Outcome != compliance.Fail {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

func TestMaskingOfRealEvents(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		sees(t, h, "app", h.now.Add(-time.Hour), 3, "message=mail to kim@shop.example was sent")
		if r := h.evaluate("pii-masking"); r.Outcome != compliance.Fail || r.Population.Size != 3 || !strings.Contains(r.Reason, "email in 3") {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		exec(t, h.DB, `INSERT INTO masking_rule (id, tenant, name, enabled, action, patterns, fields, source, host, version, created_at, created_by, updated_at, updated_by) VALUES ('m', $1, 'm', TRUE, 'mask', '["card"]', '[]', '', '', 1, 0, '', 0, '')`, int64(h.number))
		if r := h.evaluate("pii-masking"); r.Outcome != compliance.Partly {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		// What came before a rule it could not take out.
		exec(t, h.DB, `UPDATE masking_rule SET patterns = '["email"]', updated_at = $1`, h.now.Add(-30*time.Minute).UnixMicro())
		if r := h.evaluate("pii-masking"); r.Outcome != compliance.NoData {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
		sees(t, h, "app", h.now.Add(-time.Minute), 2, "message=mail to ****@**** was sent")
		if r := h.evaluate("pii-masking"); r.Outcome != compliance.Pass || r.Population.Size != 2 {
			t.Errorf("%s %s", r.Outcome, r.Reason)
		}
	})
}

func TestCollectorsWithGaps(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		exec(t, h.DB, `INSERT INTO collector (id, tenant, name, hostname, version, os_family, created_at, last_heartbeat) VALUES ('c', $1, 'c', 'web-01', 'v1.2.0', 'linux', 0, $2)`, int64(h.number), h.now.UnixMicro())
		exec(t, h.DB, `INSERT INTO fleet_member (id, tenant, name, labels, enrolled_at, serial, not_after) VALUES ('c', $1, 'web', '{}', $2, '', $3)`, int64(h.number), h.now.Add(-100*time.Hour).UnixMicro(), h.now.Add(30*day).UnixMicro())
		if r := h.evaluate("collector-online"); r.Outcome != compliance.Pass || r.Population.Size != 1 {
			t.Errorf("%s %d %s", r.Outcome, r.Population.Size, r.Reason)
		}
		for i, e := range []struct {
			event string
			ago   time.Duration
		}{{"collector.disconnected", 50 * time.Hour}, {"collector.connected", 45 * time.Hour}} {
			exec(t, h.DB, `INSERT INTO notice (seq, id, tenant, event, kind, object, title, severity, text, rule, source, at) VALUES ($1, $2, $3, $4, 'collectors', 'c', '', '', '', '', '', $5)`, int64(i+1), fmt.Sprint("n", i), int64(h.number), e.event, h.now.Add(-e.ago).UnixMicro())
		}
		if r := h.evaluate("collector-online"); r.Outcome != compliance.Partly || *r.Value != 0.95 {
			t.Errorf("%s %v %s", r.Outcome, *r.Value, r.Reason)
		}
		for check, want := range map[string]compliance.Outcome{"tls-ingest": compliance.Pass, "platform-patch": compliance.Pass, "cert-key-age": compliance.Pass} {
			if r := h.evaluate(check); r.Outcome != want {
				t.Errorf("%s: %s %s", check, r.Outcome, r.Reason)
			}
		}
	})
}
