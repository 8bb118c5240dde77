package evidence

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// The files of a bundle, in the order in which they stand in it. Between index and links
// stand the artifacts.
const (
	fileReadme   = "README.txt"
	fileRecords  = "records.ndjson"
	fileIndex    = "index.csv"
	dirArtifacts = "artifacts/"
	fileLinks    = "chain/links.ndjson"
	fileAudit    = "chain/audit.ndjson"
	fileHead     = "chain/head.json"
	fileKey      = "public-key.pem"
	fileManifest = "manifest.json"
	fileSigned   = "manifest.sig"
)

const bundleFormat = "kyra-evidence-bundle/1"

// maxRecords bounds the records of a bundle: a zip's table of contents is held in memory.
const maxRecords = 50_000

// A Selection chooses what goes into a bundle.
type Selection struct {
	Framework string    // a name that Catalogue.Find knows, "" for all
	From, To  time.Time // of the effective date: From inclusive, To exclusive; zero: no bound
}

// bundle is a pack that is being written.
type bundle struct {
	s      *Service
	tenant uint32
	where  string // of evidence_record r
	args   []any
	refs   *Refs

	manifest manifest
	anchor   int64       // number of the audit entry that names it
	seal     *audit.Seal // nil where no day has ended since
	out      *container
}

// manifest is the table of contents, without its files, which are streamed.
type manifest struct {
	Format    string     `json:"format"`
	Tenant    uint32     `json:"tenant"`
	Framework string     `json:"framework"` // "" for all
	Edition   string     `json:"edition"`
	From      *time.Time `json:"from"` // nil: no bound
	To        *time.Time `json:"to"`
	Records   int64      `json:"records"`
	FirstSeq  int64      `json:"firstSeq"` // of the links; 0 for none
	LastSeq   int64      `json:"lastSeq"`
	Head      string     `json:"head"`      // hash of the record LastSeq
	AuditSeq  int64      `json:"auditSeq"`  // entry of the audit log that names Head
	SignedDay string     `json:"signedDay"` // day of the signed head that proves it, "" for none yet
	KeyID     string     `json:"keyId"`
}

// fileLine is one file in the manifest.
type fileLine struct {
	File     string   `json:"file"`
	Bytes    int64    `json:"bytes"`
	SHA256   string   `json:"sha256"`
	Evidence []string `json:"evidence,omitempty"` // ids of the records whose artifact it is
}

// link is one place in the chain, of a record that is shown or of one that is not.
type link struct {
	Seq     int64  `json:"seq"`
	Content string `json:"content"` // SHA-256 of the record's canonical JSON
	Prev    string `json:"prev"`    // Hash of the place before
	Hash    string `json:"hash"`
}

// auditLine is an entry of the audit log with all that its hash is of.
type auditLine struct {
	Seq       int64  `json:"seq"`
	ID        string `json:"id"`
	AtMicros  int64  `json:"atMicros"` // since 1970
	Actor     string `json:"actor"`
	Action    string `json:"action"`
	Object    string `json:"object"`
	Detail    string `json:"detail"` // the JSON as it is hashed
	Address   string `json:"address"`
	KeyID     string `json:"keyId"`
	RequestID string `json:"requestId"`
	Prev      string `json:"prev"`
	Hash      string `json:"hash"`
}

// headLine is a signed head; Day is "" where there is none yet.
type headLine struct {
	Day       string `json:"day"`
	Seq       int64  `json:"seq"`
	Hash      string `json:"hash"`
	AtMicros  int64  `json:"atMicros"`
	KeyID     string `json:"keyId"`
	Signature string `json:"signature"` // Ed25519, base64
}

// Name is a file name for the bundle.
func (sel *Selection) Name() string {
	parts := []string{"evidence"}
	if sel.Framework != "" {
		parts = append(parts, sel.Framework)
	}
	for _, t := range []time.Time{sel.From, sel.To} {
		if !t.IsZero() {
			parts = append(parts, t.UTC().Format(time.DateOnly))
		}
	}
	return strings.Join(parts, "-") + ".zip"
}

// Bundle makes ready a pack of the evidence that sel chooses, with what proves it, and
// notes in the audit log that it was asked for. write then writes it as a zip, in memory
// that does not grow with the files. The same evidence, signed heads and selection give
// the same bytes. No record, and more than 50,000, are fault.Invalid.
func (s *Service) Bundle(ctx context.Context, tenant uint32, actor string, sel Selection) (write func(io.Writer) error, err error) {
	if s.Files == nil || s.Signer == nil {
		return nil, fault.Wrap("bundle evidence", errNoFiles)
	}
	b := &bundle{s: s, tenant: tenant}
	if err := b.prepare(ctx, sel); err != nil {
		return nil, fault.Wrap("bundle evidence", err)
	}
	m := &b.manifest
	if err := audit.Record(ctx, s.DB, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "evidence.export", Detail: map[string]any{
		"framework": m.Framework, "from": m.From, "to": m.To, "records": m.Records, "exportedHead": m.Head,
	}}); err != nil {
		return nil, fault.Wrap("bundle evidence", err)
	}
	return func(w io.Writer) error { return fault.Wrap("bundle evidence", b.write(ctx, w)) }, nil
}

// prepare fixes what the bundle holds. Evidence and signed heads never change, so that no
// transaction is needed while it is written.
func (b *bundle) prepare(ctx context.Context, sel Selection) error {
	m := &b.manifest
	_, keyID := b.s.Signer.Public()
	m.Format, m.Tenant, m.KeyID = bundleFormat, b.tenant, keyID
	if !sel.From.IsZero() {
		m.From = new(micro(sel.From))
	}
	if !sel.To.IsZero() {
		m.To = new(micro(sel.To))
	}
	frameworks, err := b.s.chosen(ctx, b.tenant, sel.Framework)
	if err != nil {
		return err
	}
	if sel.Framework != "" {
		m.Framework, m.Edition = frameworks[0].ID, frameworks[0].Edition
	}
	b.refs = refsOf(frameworks, "")
	if b.where, b.args, err = b.s.where(ctx, b.tenant, &Filter{Framework: sel.Framework, From: sel.From, To: sel.To}); err != nil {
		return err
	}
	return b.s.DB.View(ctx, func(tx *sqldb.DB) error { return b.bound(ctx, tx) })
}

// bound finds where the proof begins and ends: it leads from the first record to the last
// one that the audit log names before its next signed head.
func (b *bundle) bound(ctx context.Context, tx *sqldb.DB) error {
	m := &b.manifest
	type span struct{ n, first, last, anchor int64 }
	x, err := sqldb.One(ctx, tx, func(rows rowsOf, x *span) error { return rows.Scan(&x.n, &x.first, &x.last, &x.anchor) },
		`SELECT count(*), coalesce(min(r.seq), 0), coalesce(max(r.seq), 0), coalesce(max(r.audit_seq), 0) FROM evidence_record r`+b.where, b.args...)
	if err != nil {
		return err
	}
	switch {
	case x.n == 0:
		return fault.New(fault.Invalid, "There is no evidence in that period: collect it first, or choose another period or framework")
	case x.n > maxRecords:
		return fault.New(fault.Invalid, "There are %d records, and a bundle holds %d: choose a framework or a shorter period", x.n, maxRecords)
	}
	m.Records, m.FirstSeq, b.anchor = x.n, x.first, x.anchor
	if b.seal, err = audit.SealFrom(ctx, tx, b.tenant, x.anchor); err != nil {
		return err
	}
	if b.seal != nil {
		// A later entry that names the chain's head is nearer to the signed one: less of
		// the audit log has to be shown.
		if b.anchor, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT max(audit_seq) FROM evidence_record WHERE tenant = $1 AND audit_seq <= $2`, int64(b.tenant), b.seal.Seq); err != nil {
			return err
		}
		m.SignedDay = b.seal.Day.Format(time.DateOnly)
	}
	type end struct {
		seq  int64
		hash []byte
	}
	e, err := sqldb.One(ctx, tx, func(rows rowsOf, e *end) error { return rows.Scan(&e.seq, &e.hash) },
		`SELECT seq, hash FROM evidence_record WHERE tenant = $1 AND audit_seq = $2 ORDER BY seq DESC LIMIT 1`, int64(b.tenant), b.anchor)
	if err != nil {
		return err
	}
	m.AuditSeq, m.LastSeq, m.Head = b.anchor, e.seq, hexOf(e.hash)
	return nil
}

func (b *bundle) write(ctx context.Context, w io.Writer) error {
	b.out = newContainer(w)
	for _, f := range []struct {
		name  string
		write func(context.Context, io.Writer) error
	}{
		{fileReadme, b.readme},
		{fileRecords, b.records},
		{fileIndex, b.index},
		{"", b.artifacts},
		{fileLinks, b.links},
		{fileAudit, b.audit},
		{fileHead, b.head},
		{fileKey, b.key},
	} {
		var err error
		if f.name == "" {
			err = f.write(ctx, nil)
		} else {
			err = b.out.file(f.name, func(w io.Writer) error { return f.write(ctx, w) })
		}
		if err != nil {
			return err
		}
	}
	return b.sign(ctx)
}

// sign writes the manifest and its signature, and ends the container.
func (b *bundle) sign(ctx context.Context) error {
	sum := sha256.New()
	if err := b.out.file(fileManifest, func(w io.Writer) error { return b.writeManifest(ctx, io.MultiWriter(w, sum)) }); err != nil {
		return err
	}
	signature := base64.StdEncoding.EncodeToString(b.s.Signer.Sign(signedMessage(sum.Sum(nil)))) + "\n"
	if err := b.out.file(fileSigned, func(w io.Writer) error { return text(w, signature) }); err != nil {
		return err
	}
	return b.out.close()
}

// signedMessage is what the signature of a bundle is of.
func signedMessage(sum []byte) []byte { return fmt.Appendf(nil, "kyra evidence bundle %x", sum) }

func text(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

// each calls f for every record of the bundle in the order of the chain.
func (b *bundle) each(ctx context.Context, f func(*Kept) error) error {
	const atOnce = 200
	last := int64(0)
	for {
		args := append(append([]any{}, b.args...), last, b.manifest.LastSeq)
		part, err := sqldb.All(ctx, b.s.DB, scanKept, selectKept+b.where+fmt.Sprintf(` AND r.seq > $%d AND r.seq <= $%d ORDER BY r.seq LIMIT %d`, len(args)-1, len(args), atOnce), args...)
		if err != nil || len(part) == 0 {
			return err
		}
		for i := range part {
			if err := f(&part[i]); err != nil {
				return err
			}
		}
		last = part[len(part)-1].Seq
	}
}

func (b *bundle) records(ctx context.Context, w io.Writer) error {
	return b.each(ctx, func(k *Kept) error { return text(w, string(k.JSON)+"\n") })
}

// jsonLine writes one line of canonical JSON.
func jsonLine(w io.Writer, v any) error {
	line, err := canonicalOf(v)
	if err != nil {
		return err
	}
	return text(w, string(line)+"\n")
}

func (b *bundle) links(ctx context.Context, w io.Writer) error {
	prev, err := sqldb.One(ctx, b.s.DB, sqldb.Value[[]byte], `SELECT hash FROM evidence_record WHERE tenant = $1 AND seq = $2`, int64(b.tenant), b.manifest.FirstSeq-1)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	type place struct {
		seq           int64
		content, hash []byte
	}
	for last := b.manifest.FirstSeq - 1; last < b.manifest.LastSeq; {
		part, err := sqldb.All(ctx, b.s.DB, func(rows rowsOf, p *place) error { return rows.Scan(&p.seq, &p.content, &p.hash) },
			`SELECT seq, content, hash FROM evidence_record WHERE tenant = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT 1000`, int64(b.tenant), last, b.manifest.LastSeq)
		if err != nil || len(part) == 0 {
			return err
		}
		for _, p := range part {
			if err := jsonLine(w, link{p.seq, hexOf(p.content), hexOf(prev), hexOf(p.hash)}); err != nil {
				return err
			}
			prev, last = p.hash, p.seq
		}
	}
	return nil
}

func (b *bundle) audit(ctx context.Context, w io.Writer) error {
	end := b.anchor
	if b.seal != nil {
		end = b.seal.Seq
	}
	prev, err := audit.HashAt(ctx, b.s.DB, b.tenant, b.anchor-1)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	for last := b.anchor - 1; last < end; {
		part, err := audit.After(ctx, b.s.DB, b.tenant, last, int(min(end-last, 200)))
		if err != nil || len(part) == 0 {
			return err
		}
		for i := range part {
			e := &part[i]
			if err := jsonLine(w, auditLine{
				Seq: e.Seq, ID: e.ID, AtMicros: e.At.UnixMicro(), Actor: e.Actor, Action: e.Action, Object: e.Object, Detail: string(e.Detail),
				Address: e.Address, KeyID: e.KeyID, RequestID: e.Request, Prev: hexOf(prev), Hash: hexOf(e.Hash),
			}); err != nil {
				return err
			}
			prev, last = e.Hash, e.Seq
		}
	}
	return nil
}

func (b *bundle) head(_ context.Context, w io.Writer) error {
	h := headLine{}
	if s := b.seal; s != nil {
		h = headLine{s.Day.Format(time.DateOnly), s.Seq, hexOf(s.Hash), s.At.UnixMicro(), s.KeyID, base64.StdEncoding.EncodeToString(s.Signature)}
	}
	return jsonLine(w, h)
}

func (b *bundle) key(_ context.Context, w io.Writer) error {
	key, _ := b.s.Signer.Public()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	return pem.Encode(w, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// artifacts writes each file once. One that is missing from the vault is left out, and one
// that was changed there goes in as it is: who verifies the bundle is told of both.
func (b *bundle) artifacts(ctx context.Context, _ io.Writer) error {
	return b.eachFile(ctx, func(f *fileLine) error {
		r, err := b.s.Files.Get(b.tenant, vault.Ref{SHA256: f.SHA256, Size: f.Bytes})
		if errors.Is(err, fault.NotFound) {
			b.s.Log.WarnContext(ctx, "evidence: a file is not in the vault any more", "tenant", b.tenant, "sha256", f.SHA256)
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }() // it was only read
		return b.out.file(f.File, func(w io.Writer) error {
			_, err := io.Copy(w, r)
			if errors.Is(err, vault.ErrChanged) {
				b.s.Log.WarnContext(ctx, "evidence: a file was changed on disk", "tenant", b.tenant, "sha256", f.SHA256)
				return nil
			}
			return err
		})
	})
}

// eachFile calls f for every artifact of the bundle, in the order of their hashes.
func (b *bundle) eachFile(ctx context.Context, f func(*fileLine) error) error {
	const atOnce = 200
	type use struct{ id, sum, record string }
	var files []*fileLine // of the hash that is at hand: one for each type that it was kept as
	var last use
	flush := func() error {
		for _, one := range files {
			if err := f(one); err != nil {
				return err
			}
		}
		files = nil
		return nil
	}
	for {
		args := append(append([]any{}, b.args...), b.manifest.LastSeq, last.sum, last.id)
		n := len(args)
		part, err := sqldb.All(ctx, b.s.DB, func(rows rowsOf, u *use) error { return rows.Scan(&u.id, &u.sum, &u.record) },
			`SELECT r.id, r.artifact, r.record FROM evidence_record r`+b.where+fmt.Sprintf(` AND r.artifact <> '' AND r.seq <= $%d AND (r.artifact > $%d OR r.artifact = $%d AND r.id > $%d)
			ORDER BY r.artifact, r.id LIMIT %d`, n-2, n-1, n-1, n, atOnce), args...)
		if err != nil {
			return err
		}
		for _, u := range part {
			if u.sum != last.sum {
				if err := flush(); err != nil {
					return err
				}
			}
			last = u
			var r Record
			if err := json.Unmarshal([]byte(u.record), &r); err != nil || r.Artifact == nil {
				return fmt.Errorf("record %s cannot be read", u.id)
			}
			name := artifactName(r.Artifact)
			if i := slices.IndexFunc(files, func(x *fileLine) bool { return x.File == name }); i >= 0 {
				files[i].Evidence = append(files[i].Evidence, u.id)
				continue
			}
			files = append(files, &fileLine{name, r.Artifact.Bytes, u.sum, []string{u.id}})
		}
		if len(part) < atOnce {
			return flush()
		}
	}
}

// artifactName is the file of an artifact in a bundle.
func artifactName(a *Artifact) string { return dirArtifacts + a.SHA256 + extensions[a.MediaType] }

// extensions are for people's sake: what a file is stands in its record.
var extensions = map[string]string{
	"application/json": ".json", "application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif",
	"text/plain": ".txt", "text/csv": ".csv", "text/markdown": ".md", "application/zip": ".zip", "message/rfc822": ".eml",
	ooxml + "wordprocessingml.document": ".docx", ooxml + "spreadsheetml.sheet": ".xlsx", ooxml + "presentationml.presentation": ".pptx",
}

// writeManifest writes one file a line, so that the table of contents can be as long as
// it has to.
func (b *bundle) writeManifest(ctx context.Context, w io.Writer) error {
	head, err := canonicalOf(b.manifest)
	if err != nil {
		return err
	}
	if err := text(w, string(head[:len(head)-1])+`,"files":[`); err != nil {
		return err
	}
	sep := "\n"
	put := func(f *fileLine) error {
		line, err := canonicalOf(f)
		if err != nil {
			return err
		}
		err = text(w, sep+string(line))
		sep = ",\n"
		return err
	}
	for _, f := range b.out.written {
		if err := put(&f); err != nil {
			return err
		}
	}
	if err := b.eachFile(ctx, put); err != nil {
		return err
	}
	return text(w, "\n]}\n")
}
