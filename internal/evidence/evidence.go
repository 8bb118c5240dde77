// Package evidence keeps what checks found and what people hand in, so that others can
// rely on it: each record is canonical JSON with the SHA-256 of its artifact, chained to
// the record before it and to the audit log, and never changed or removed. It packs
// records for auditors, and checks such a pack without a server.
package evidence

import (
	"encoding/hex"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

// A Kind tells where evidence comes from.
type Kind string

// The kinds.
const (
	Automatic Kind = "automatic" // a check found it
	Manual    Kind = "manual"    // a person handed it in
)

// Kinds lists the kinds.
var Kinds = []Kind{Automatic, Manual}

// A Record is one item of evidence. Its canonical JSON is what is hashed, so its fields
// may grow but never change their meaning.
type Record struct {
	ID        string    `json:"id"`  // UUIDv7
	Seq       int64     `json:"seq"` // place in the tenant's chain, from 1, without gaps
	Tenant    uint32    `json:"tenant"`
	Kind      Kind      `json:"kind"`
	Collector Collector `json:"collector"`

	// Of automatic evidence.
	CheckID      string             `json:"checkId,omitempty"`
	CheckVersion int                `json:"checkVersion,omitempty"`
	Variant      string             `json:"variant,omitempty"` // the check with the parameters that differ from its own
	Method       string             `json:"method,omitempty"`  // the query itself, with its parameters
	Resources    []string           `json:"resources,omitempty"`
	Population   *Population        `json:"population,omitempty"`
	Result       compliance.Outcome `json:"result,omitempty"`
	Value        *float64           `json:"value,omitempty"`
	Unit         string             `json:"unit,omitempty"`
	Threshold    string             `json:"threshold,omitempty"`
	Reason       string             `json:"reason,omitempty"`  // in English
	Wording      *compliance.Text   `json:"wording,omitempty"` // the same in every language; absent in older records

	// Of manual evidence.
	Title      string    `json:"title,omitempty"`
	Note       string    `json:"note,omitempty"`
	HandedInBy string    `json:"handedInBy,omitempty"`
	Controls   []Control `json:"controls,omitempty"`
	Supersedes string    `json:"supersedes,omitempty"` // id of the record that it takes the place of

	PeriodFrom  time.Time  `json:"periodFrom"`
	PeriodTo    time.Time  `json:"periodTo"`
	EffectiveAt time.Time  `json:"effectiveAt"` // the time for which it holds
	CollectedAt time.Time  `json:"collectedAt"` // when it was gathered or handed in
	ValidUntil  *time.Time `json:"validUntil"`  // nil: for ever

	Artifact   *Artifact `json:"artifact"`   // nil where there is no file
	Redactions []string  `json:"redactions"` // what was taken out before hashing: paths of keys, * for a place in a list
}

// A Collector is what gathered evidence.
type Collector struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Host    string `json:"host"`
}

// A Population says what was looked at.
type Population struct {
	Definition string `json:"definition"`
	Size       int64  `json:"size"`
	SampleSize int64  `json:"sampleSize"`
}

// A Control names one control of one framework.
type Control struct {
	Framework string `json:"framework"` // id: "ISMSP"
	Control   string `json:"control"`   // id: "2.9.4"
}

// An Artifact names the file of a record by its content.
type Artifact struct {
	Name      string `json:"name,omitempty"` // as a person called it; "" for what a check found
	MediaType string `json:"mediaType"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"` // hexadecimal
}

// Kept is a record as it stands in the chain.
type Kept struct {
	Record
	JSON     []byte // canonical: what Content is the hash of
	Content  []byte // SHA-256 of JSON
	PrevHash []byte // Hash of the record before; empty for the first
	Hash     []byte // SHA-256 of PrevHash and Content
	AuditSeq int64  // number of the entry of the audit log that names the chain's head

	SupersededBy string // id of the record that took its place, "" for none
}

// Stale tells whether the evidence counts no more at the time now.
func (k *Kept) Stale(now time.Time) bool {
	return k.SupersededBy != "" || k.ValidUntil != nil && now.After(*k.ValidUntil)
}

// anchor is what the audit log says of records that were kept together.
type anchor struct {
	FirstSeq int64  `json:"firstSeq"`
	LastSeq  int64  `json:"lastSeq"`
	Head     string `json:"head"` // Hash of the record LastSeq, hexadecimal
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
