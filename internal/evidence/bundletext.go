package evidence

import (
	"context"
	"database/sql"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

type rowsOf = *sql.Rows

const readmeText = `This is evidence that KYRA, a security monitoring platform, gathered and keeps.

Framework   %s
Period      %s
Records     %d
Chain       records %d to %d, named in entry %d of the audit log
Signed head %s
Key         %s

It shows what was looked at, how, when, and what was found. It is not a certificate,
and it does not say that anybody complies with anything.

What is in it
  index.csv           the records as a table, for people
  records.ndjson      one record a line: the check, the query itself with its parameters,
                      what was looked at and how much of it, the period, the result with
                      value and threshold, the SHA-256 of its file; failing results too
  artifacts/          the files that records name: what checks found (JSON), and what
                      people handed in
  chain/links.ndjson  each record's place in the chain. Records that were not asked for
                      are there as a hash only, so that it shows that none was taken out
  chain/audit.ndjson  entries of the audit log from the one that names the chain's end to
                      the one that was signed
  chain/head.json     the head of the audit log, signed at the end of its day
  public-key.pem      the key that the signatures are checked with
  manifest.json       every file with its size and SHA-256; manifest.sig signs it

How to check it
  kyra verify %s
needs no server and no network. It computes every hash again, follows the chain to
the signed head, and names what is not as it was kept: file, record and what differs.

Ask the organisation for its public key by another way than this file, and give it:
  kyra verify --key KEY %s
Without it, the check shows that nothing was changed since it was signed, and not by
whom it was signed.

How hashes are made: a record's is the SHA-256 of its line, without the line's end
(canonical JSON, RFC 8785). Its place in the chain is the SHA-256 of the hash of the
place before and the record's own, 32 bytes each; the first has none before. Times
are UTC. Personal secrets such as passwords were taken out before hashing; "redactions"
in a record says where.
`

func (b *bundle) readme(_ context.Context, w io.Writer) error {
	m := &b.manifest
	framework := "all"
	if m.Framework != "" {
		framework = m.Framework + ", edition " + m.Edition
	}
	bound := func(t *time.Time, none string) string {
		if t == nil {
			return none
		}
		return t.Format(time.RFC3339)
	}
	signed := "none yet: the day of the last record has not ended. The bundle itself is signed"
	if m.SignedDay != "" {
		signed = "that of " + m.SignedDay
	}
	sel := Selection{Framework: m.Framework}
	if m.From != nil {
		sel.From = *m.From
	}
	if m.To != nil {
		sel.To = *m.To
	}
	name := sel.Name()
	_, err := fmt.Fprintf(w, readmeText, framework, bound(m.From, "the beginning")+" to "+bound(m.To, "the end"), m.Records, m.FirstSeq, m.LastSeq, m.AuditSeq, signed, m.KeyID, name, name)
	return err
}

// index writes the records as a table. A text that a spreadsheet would take for a formula
// gets an apostrophe before it.
func (b *bundle) index(ctx context.Context, w io.Writer) error {
	c := csv.NewWriter(w)
	row := func(cells ...string) error {
		for i, s := range cells {
			if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
				cells[i] = "'" + s
			}
		}
		return c.Write(cells)
	}
	if err := row("seq", "id", "kind", "check", "title", "result", "value", "unit", "threshold", "finding", "population", "size", "effective", "period from", "period to", "collected", "valid until", "controls", "file", "sha256 of file", "sha256 of record"); err != nil {
		return err
	}
	err := b.each(ctx, func(k *Kept) error {
		var controls []string
		for _, c := range b.refs.Of(&k.Record) {
			controls = append(controls, c.Framework+"/"+c.Control)
		}
		value, until, file, sum, population, size := "", "", "", "", "", ""
		if k.Value != nil {
			value = strconv.FormatFloat(*k.Value, 'g', -1, 64)
		}
		if k.ValidUntil != nil {
			until = k.ValidUntil.Format(time.RFC3339)
		}
		if k.Artifact != nil {
			file, sum = artifactName(k.Artifact), k.Artifact.SHA256
		}
		if k.Population != nil {
			population, size = k.Population.Definition, strconv.FormatInt(k.Population.Size, 10)
		}
		finding := k.Reason
		if k.Kind == Manual {
			finding = k.Note
		}
		return row(strconv.FormatInt(k.Seq, 10), k.ID, string(k.Kind), k.Variant, k.Title, string(k.Result), value, k.Unit, k.Threshold, finding, population, size,
			k.EffectiveAt.Format(time.RFC3339), k.PeriodFrom.Format(time.RFC3339), k.PeriodTo.Format(time.RFC3339), k.CollectedAt.Format(time.RFC3339), until, strings.Join(controls, " "), file, sum, hexOf(k.Content))
	})
	c.Flush()
	if err != nil {
		return err
	}
	return c.Error()
}
