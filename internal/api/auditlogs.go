package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/audit"
)

// AuditItem is one entry of the audit log.
type AuditItem struct {
	ID        string    `json:"id" format:"uuid"`
	Seq       int64     `json:"seq" doc:"Place in your chain, from 1, without gaps."`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor" doc:"Who: system is KYRA itself."`
	Action    string    `json:"action" doc:"What, as noun and verb: alert.update."`
	Object    string    `json:"object" doc:"Id of what was changed; empty for none."`
	Address   string    `json:"address" doc:"Of the caller; empty where it was KYRA itself."`
	KeyID     string    `json:"keyId" doc:"Of the API key; empty for none."`
	RequestID string    `json:"requestId" doc:"The X-Request-Id of the answer."`
	Detail    anyObject `json:"detail" doc:"Particulars, such as values before and after."`
	Hash      string    `json:"hash" doc:"SHA-256 over the entry and the hash before it, hexadecimal."`

	_ struct{} `additionalProperties:"true"`
}

func auditOf(e *audit.Stored) AuditItem {
	return AuditItem{
		ID: e.ID, Seq: e.Seq, At: e.At, Actor: e.Actor, Action: e.Action, Object: e.Object, Address: e.Address, KeyID: e.KeyID, RequestID: e.Request,
		Detail: anyObject(e.Detail), Hash: hex.EncodeToString(e.Hash),
	}
}

// anyObject is a JSON object of whatever keys, as it is stored.
type anyObject json.RawMessage

// MarshalJSON implements json.Marshaler.
func (o anyObject) MarshalJSON() ([]byte, error) { return o, nil }

// Schema implements huma.SchemaProvider.
func (anyObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

type sealItem struct {
	Day       string    `json:"day" format:"date" doc:"The UTC day that had ended."`
	Seq       int64     `json:"seq"`
	Hash      string    `json:"hash"`
	At        time.Time `json:"at"`
	KeyID     string    `json:"keyId"`
	Message   string    `json:"message" doc:"What is signed, in ASCII."`
	Signature string    `json:"signature" doc:"Ed25519 (RFC 8032), base64."`

	_ struct{} `additionalProperties:"true"`
}

func sealOf(s *audit.Seal) *sealItem {
	if s == nil {
		return nil
	}
	return &sealItem{
		Day: s.Day.Format(time.DateOnly), Seq: s.Seq, Hash: hex.EncodeToString(s.Hash), At: s.At, KeyID: s.KeyID,
		Message: string(s.Message()), Signature: base64.StdEncoding.EncodeToString(s.Signature),
	}
}

type (
	auditOut  struct{ Body AuditItem }
	verifyOut struct {
		Body struct {
			Intact    bool      `json:"intact"`
			Entries   int64     `json:"entries" doc:"That are as they were written."`
			Seals     int       `json:"seals" doc:"Signed heads whose signature holds."`
			BrokenAt  *int64    `json:"brokenAt" nullable:"true" doc:"Number of the first entry that is not as it was written."`
			Why       string    `json:"why"`
			CheckedAt time.Time `json:"checkedAt"`
			HeadSeq   int64     `json:"headSeq"`
			HeadHash  string    `json:"headHash" doc:"Keep it elsewhere: it proves the whole chain up to here."`
			LastSeal  *sealItem `json:"lastSeal,omitempty" doc:"Absent before the first day has ended."`
			PublicKey string    `json:"publicKey" doc:"That signatures are checked with: Ed25519, base64. Keep it elsewhere."`
			KeyID     string    `json:"keyId"`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) auditLogs() {
	const tag = "Audit log"
	handle(a, operation{
		id: "listAuditLogs", method: http.MethodGet, path: "/audit-logs", tag: tag, summary: "List the audit log",
		doc:    "Who changed what, from where, with which key, and what was there before. Entries are never changed or removed.",
		params: append(paging("at"), auditFilters()...),
	}, a.listAudit)
	handle(a, operation{
		id: "verifyAuditLogs", method: http.MethodGet, path: "/audit-logs/verify", tag: tag, summary: "Verify the audit log",
		doc: "Every hash is computed again and every signed head compared. KYRA does it by itself four times a day and raises an alert when something does not fit.",
	}, a.verifyAudit)
	handle(a, operation{
		id: "getAuditLog", method: http.MethodGet, path: "/audit-logs/{id}", tag: tag, summary: "Get an entry of the audit log", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*auditOut, error) {
		e, err := audit.Get(ctx, a.DB, c.Tenant.Number, in.ID)
		if err != nil {
			return nil, err
		}
		return &auditOut{auditOf(e)}, nil
	})
}

func auditFilters() []param {
	return []param{
		{name: "actor", doc: "Filter by who."},
		{name: "action", doc: "Filter by what: alert.update, or alert for all of alerts."},
		{name: "object", doc: "Filter by the id of what was changed."},
		{name: "keyId", doc: "Filter by API key."},
		{name: "address", doc: "Filter by address of the caller."},
		{name: "from", doc: "Then or later.", kind: moment},
		{name: "to", doc: "Before then.", kind: moment},
	}
}

func auditFilter(q given) audit.Filter {
	return audit.Filter{
		Actor: q.one("actor"), Action: q.one("action"), Object: q.one("object"), KeyID: q.one("keyId"), Address: q.one("address"),
		From: q.moment("from"), To: q.moment("to"),
	}
}

func (a *api) listAudit(ctx context.Context, c *call, _ *none) (*pageOut[AuditItem], error) {
	asked := c.query.paging("at")
	f := auditFilter(c.query)
	f.Ascending, f.Page, f.Size = asked.ascending, asked.page, asked.size
	entries, total, err := audit.List(ctx, a.DB, c.Tenant.Number, f)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, entries, auditOf), nil
}

func (a *api) verifyAudit(ctx context.Context, c *call, _ *none) (*verifyOut, error) {
	out := &verifyOut{}
	b := &out.Body
	tenant := c.Tenant.Number
	seq, hash, err := audit.Head(ctx, a.DB, tenant)
	if err != nil {
		return nil, err
	}
	signer := a.Signer
	check, err := signer.Examine(ctx, a.DB, tenant, a.Now())
	if err != nil {
		return nil, err
	}
	last, err := audit.LastSeal(ctx, a.DB, tenant)
	if err != nil {
		return nil, err
	}
	key, id := signer.Public()
	b.Intact, b.Entries, b.Seals, b.Why, b.CheckedAt = check.BrokenAt == 0, check.Entries, check.Seals, check.Why, check.At
	b.HeadSeq, b.HeadHash, b.LastSeal = seq, hex.EncodeToString(hash), sealOf(last)
	b.PublicKey, b.KeyID = base64.StdEncoding.EncodeToString(key), id
	if check.BrokenAt != 0 {
		b.BrokenAt = &check.BrokenAt
	}
	return out, nil
}
