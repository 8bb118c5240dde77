package evidence

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// Config is what a Service needs.
type Config struct {
	DB         *sqldb.DB
	Files      *vault.Vault // nil: files are neither kept nor shown
	Compliance *compliance.Service
	Signer     *audit.Signer
	Log        *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // nil: time.Now

	Version, Host string // of this server: what gathered the evidence
}

// Service is the use cases. It is safe for use by several goroutines and processes.
type Service struct{ Config }

// New returns the use cases.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

// now is in the database's precision.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

const (
	maxFacts  = 8 << 20 // bytes of the artifact of one result, as canonical JSON
	maxRecord = 1 << 20 // bytes of a record
)

// Save keeps results of checks as evidence and, in the same transaction, as the latest
// results of their variants: either all of it is kept or nothing. It sets their
// EvidenceID.
func (s *Service) Save(ctx context.Context, tenant uint32, results []compliance.Result) error {
	if len(results) == 0 {
		return nil
	}
	drafts := make([]Record, len(results))
	for i := range results {
		r := &results[i]
		if err := s.Compliance.Complete(r); err != nil {
			return fault.Wrap("save evidence", err)
		}
		d, err := s.found(tenant, r)
		if err != nil {
			return fault.Wrap("save evidence of "+r.Check, err)
		}
		drafts[i], r.EvidenceID = d, d.ID
	}
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		chain, err := lock(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if err := s.Compliance.SaveResults(ctx, tx, tenant, results); err != nil {
			return err
		}
		return chain.append(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: audit.System, Action: "evidence.collect"}, drafts)
	})
	if err != nil {
		for i := range results {
			results[i].EvidenceID = ""
		}
	}
	return fault.Wrap("save evidence", err)
}

// found makes the record of what a check found, and keeps its facts in the vault: without
// their hash there is no record.
func (s *Service) found(tenant uint32, r *compliance.Result) (Record, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Record{}, err
	}
	until := micro(s.Compliance.CountsUntil(r))
	d := Record{
		ID: id.String(), Tenant: tenant, Kind: Automatic, Collector: s.collector(),
		CheckID: r.Check, CheckVersion: r.Version, Variant: r.Variant, Method: r.Method, Resources: r.Resources,
		Population: &Population{Definition: r.Population.Definition, Size: r.Population.Size, SampleSize: r.Population.Sample},
		Result:     r.Outcome, Value: r.Value, Unit: r.Unit, Threshold: r.Threshold, Reason: r.Reason,
		PeriodFrom: micro(r.From), PeriodTo: micro(r.To), EffectiveAt: micro(r.EffectiveAt), CollectedAt: micro(r.CollectedAt), ValidUntil: &until,
		Redactions: []string{},
	}
	if !r.Said.None() && r.Said.String() == r.Reason {
		d.Wording = &r.Said
	}
	if len(r.Facts) == 0 {
		return d, nil
	}
	facts, err := readJSON(r.Facts)
	if err != nil {
		return d, err
	}
	d.Redactions = redact(facts)
	text, err := appendCanonical(nil, facts, 0)
	switch {
	case err != nil:
		return d, err
	case len(text) > maxFacts:
		return d, fmt.Errorf("facts of %d bytes: at most %d are kept; sample them", len(text), maxFacts)
	}
	if s.Files == nil {
		return d, errNoFiles
	}
	ref, err := s.Files.PutBytes(tenant, text)
	if err != nil {
		return d, err
	}
	d.Artifact = &Artifact{MediaType: "application/json", Bytes: ref.Size, SHA256: ref.SHA256}
	return d, nil
}

var errNoFiles = fault.New(fault.Unavailable, "this server keeps no files")

func (s *Service) collector() Collector {
	return Collector{Service: "kyra", Version: s.Version, Host: s.Host}
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// chain is where a tenant's chain ends.
type chain struct {
	tenant uint32
	seq    int64
	hash   []byte
}

// lock makes others who add to the tenant's chain wait until tx has ended.
func lock(ctx context.Context, tx *sqldb.DB, tenant uint32) (*chain, error) {
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO evidence_head (tenant, seq, hash) VALUES ($1, 0, $2) ON CONFLICT (tenant) DO UPDATE SET seq = evidence_head.seq`, int64(tenant), []byte{}); err != nil {
		return nil, err
	}
	return headOf(ctx, tx, tenant)
}

func headOf(ctx context.Context, tx *sqldb.DB, tenant uint32) (*chain, error) {
	c, err := sqldb.One(ctx, tx, func(rows *sql.Rows, c *chain) error { return rows.Scan(&c.seq, &c.hash) }, `SELECT seq, hash FROM evidence_head WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		err = nil
	}
	c.tenant = tenant
	return &c, err
}

// append adds records to the chain, and what e says with the new head to the audit log.
func (c *chain) append(ctx context.Context, tx *sqldb.DB, e audit.Entry, records []Record) error {
	kept := make([]Kept, len(records))
	first := c.seq + 1
	for i := range records {
		k := &kept[i]
		k.Record = records[i]
		c.seq++
		k.Seq, k.PrevHash = c.seq, c.hash
		var err error
		if k.JSON, err = canonicalOf(&k.Record); err != nil {
			return err
		}
		if len(k.JSON) > maxRecord {
			return fmt.Errorf("record of %s has %d bytes: at most %d are kept", k.CheckID, len(k.JSON), maxRecord)
		}
		k.Content = contentOf(k.JSON)
		k.Hash = chained(k.PrevHash, k.Content)
		c.hash = k.Hash
	}
	detail := map[string]any{}
	if more, ok := e.Detail.(map[string]any); ok {
		detail = more
	}
	detail["firstSeq"], detail["lastSeq"], detail["head"] = first, c.seq, hexOf(c.hash)
	e.Detail = detail
	if err := audit.Record(ctx, tx, e); err != nil {
		return err
	}
	at, _, err := audit.Head(ctx, tx, c.tenant)
	if err != nil {
		return err
	}
	for i := range kept {
		kept[i].AuditSeq = at
		if err := kept[i].insert(ctx, tx); err != nil {
			return err
		}
	}
	_, err = sqldb.Exec(ctx, tx, `UPDATE evidence_head SET seq = $1, hash = $2 WHERE tenant = $3`, c.seq, c.hash, int64(c.tenant))
	return err
}

func (k *Kept) insert(ctx context.Context, tx *sqldb.DB) error {
	file := ""
	if k.Artifact != nil {
		file = k.Artifact.SHA256
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO evidence_record (tenant, seq, id, kind, check_id, variant, result, effective_at, collected_at, supersedes, artifact, record, content, hash, audit_seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		int64(k.Tenant), k.Seq, k.ID, string(k.Kind), k.CheckID, k.Variant, string(k.Result), k.EffectiveAt.UnixMicro(), k.CollectedAt.UnixMicro(), k.Supersedes, file,
		string(k.JSON), k.Content, k.Hash, k.AuditSeq); err != nil {
		return err
	}
	for _, c := range k.Controls {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO evidence_control (tenant, seq, framework, control) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, int64(k.Tenant), k.Seq, c.Framework, c.Control); err != nil {
			return err
		}
	}
	return nil
}

// selectKept reads records with the hash before them and what took their place; the
// table's name in it is r.
const selectKept = `SELECT r.record, r.content, r.hash, r.audit_seq, coalesce(p.hash, r.content), p.hash IS NULL, coalesce(n.id, '')
	FROM evidence_record r LEFT JOIN evidence_record p ON p.tenant = r.tenant AND p.seq = r.seq - 1
	LEFT JOIN evidence_record n ON n.tenant = r.tenant AND n.supersedes = r.id AND n.supersedes <> ''`

func scanKept(rows *sql.Rows, k *Kept) error {
	var text string
	var first bool
	if err := rows.Scan(&text, &k.Content, &k.Hash, &k.AuditSeq, &k.PrevHash, &first, &k.SupersededBy); err != nil {
		return err
	}
	if first {
		k.PrevHash = []byte{}
	}
	k.JSON = []byte(text)
	return json.Unmarshal(k.JSON, &k.Record)
}
