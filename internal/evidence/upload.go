package evidence

import (
	"context"
	"database/sql"
	"errors"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Draft is evidence that a person hands in.
type Draft struct {
	Name      string // of the file, 1 to 255 characters
	MediaType string // that it is said to be; "" or application/octet-stream: its content tells
	Content   []byte // 1 byte to MaxFile

	Title      string // "" for the file's name
	Note       string
	Controls   []Control // 1 to maxControls, each named as Catalogue.Find knows it
	Supersedes string    // id of manual evidence that it takes the place of, "" for none

	// EffectiveAt is the time for which it holds (zero: now), whenever it is handed in.
	// PeriodFrom and PeriodTo are what it covers (zero: that time), ValidUntil is when it
	// stops to count (nil: never).
	EffectiveAt, PeriodFrom, PeriodTo time.Time
	ValidUntil                        *time.Time
}

// MaxFile is how large a file of evidence may be, in bytes.
const MaxFile = 32 << 20

const (
	maxName     = 255 // characters
	maxTitle    = 200
	maxNote     = 10_000
	maxControls = 100
)

// Upload keeps what a person hands in. Nothing is kept without its hash.
func (s *Service) Upload(ctx context.Context, tenant uint32, actor string, d Draft) (*Kept, error) {
	r, err := s.draft(ctx, tenant, actor, &d)
	if err != nil {
		return nil, fault.Wrap("hand in evidence", err)
	}
	if s.Files == nil {
		return nil, fault.Wrap("hand in evidence", errNoFiles)
	}
	ref, err := s.Files.PutBytes(tenant, d.Content)
	if err != nil {
		return nil, fault.Wrap("hand in evidence", err)
	}
	r.Artifact.Bytes, r.Artifact.SHA256 = ref.Size, ref.SHA256
	var k *Kept
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		chain, err := lock(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if err := superseding(ctx, tx, tenant, r.Supersedes); err != nil {
			return err
		}
		if err := chain.append(ctx, tx, audit.Entry{Tenant: tenant, At: r.CollectedAt, Actor: actor, Action: "evidence.upload", Object: r.ID, Detail: map[string]any{
			"name": r.Artifact.Name, "sha256": r.Artifact.SHA256, "controls": r.Controls, "supersedes": r.Supersedes,
		}}, []Record{r}); err != nil {
			return err
		}
		k, err = get(ctx, tx, tenant, r.ID)
		return err
	})
	return k, fault.Wrap("hand in evidence", err)
}

// superseding refuses what cannot be taken the place of.
func superseding(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	if id == "" {
		return nil
	}
	old, err := get(ctx, tx, tenant, id)
	switch {
	case errors.Is(err, fault.NotFound):
		return fault.New(fault.Invalid, "There is no evidence of that id").In("supersedes")
	case err != nil:
		return err
	case old.Kind != Manual:
		return fault.New(fault.Invalid, "Allowed: evidence that was handed in; what checks find is collected again").In("supersedes")
	case old.SupersededBy != "":
		return fault.New(fault.Conflict, "%s took its place already: supersede that one", old.SupersededBy)
	}
	return nil
}

// draft checks d and makes a record of it.
func (s *Service) draft(ctx context.Context, tenant uint32, actor string, d *Draft) (Record, error) {
	now := s.now()
	name := strings.TrimSpace(line(path.Base(strings.ReplaceAll(d.Name, `\`, "/"))))
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || name == "." || name == "/" {
		return Record{}, fault.New(fault.Invalid, "Allowed: a file name of 1 to %d characters", maxName).In("name")
	}
	title := strings.TrimSpace(line(d.Title))
	if title == "" {
		title = name
	}
	note := strings.TrimSpace(strings.ToValidUTF8(d.Note, "\uFFFD"))
	switch {
	case utf8.RuneCountInString(title) > maxTitle:
		return Record{}, fault.New(fault.Invalid, "Allowed: up to %d characters", maxTitle).In("title")
	case utf8.RuneCountInString(note) > maxNote:
		return Record{}, fault.New(fault.Invalid, "Allowed: up to %d characters", maxNote).In("note")
	case len(d.Content) == 0:
		return Record{}, fault.New(fault.Invalid, "the file is empty").In("body")
	case len(d.Content) > MaxFile:
		return Record{}, fault.New(fault.TooLarge, "Allowed: a file of up to %d MiB", MaxFile>>20)
	}
	media, err := mediaOf(d.MediaType, d.Content)
	if err != nil {
		return Record{}, err
	}
	controls, err := s.named(ctx, tenant, d.Controls)
	if err != nil {
		return Record{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Record{}, err
	}
	r := Record{
		ID: id.String(), Tenant: tenant, Kind: Manual, Collector: s.collector(), Title: title, Note: note, HandedInBy: actor, Controls: controls, Supersedes: strings.ToLower(d.Supersedes),
		EffectiveAt: micro(d.EffectiveAt), PeriodFrom: micro(d.PeriodFrom), PeriodTo: micro(d.PeriodTo), CollectedAt: now,
		Artifact: &Artifact{Name: name, MediaType: media}, Redactions: []string{},
	}
	return r, r.times(d.ValidUntil, now)
}

// times fills in what was left out and refuses what cannot be.
func (r *Record) times(until *time.Time, now time.Time) error {
	if r.EffectiveAt.IsZero() {
		r.EffectiveAt = now
	}
	if r.PeriodTo.IsZero() {
		r.PeriodTo = r.EffectiveAt
	}
	if r.PeriodFrom.IsZero() {
		r.PeriodFrom = r.PeriodTo
	}
	if until != nil {
		r.ValidUntil = new(micro(*until))
	}
	switch {
	case r.EffectiveAt.After(now.Add(time.Minute)):
		return fault.New(fault.Invalid, "Allowed: a time that has been").In("effectiveAt")
	case r.PeriodFrom.After(r.PeriodTo):
		return fault.New(fault.Invalid, "Allowed: a time not after periodTo").In("periodFrom")
	case r.ValidUntil != nil && !r.ValidUntil.After(r.EffectiveAt):
		return fault.New(fault.Invalid, "Allowed: a time after effectiveAt").In("validUntil")
	}
	return nil
}

// named brings controls into the names of their catalogues, each once.
func (s *Service) named(ctx context.Context, tenant uint32, given []Control) ([]Control, error) {
	if len(given) == 0 || len(given) > maxControls {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d, each as framework/control: ISMSP/2.9.4", maxControls).In("controls")
	}
	frameworks, err := s.Compliance.Frameworks(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var out []Control
	seen := map[Control]bool{}
	for _, g := range given {
		f := s.Compliance.Catalogue.Find(g.Framework)
		if f == nil {
			return nil, fault.New(fault.Invalid, "There is no framework %q", g.Framework).In("controls")
		}
		for _, chosen := range frameworks {
			if chosen.ID == f.ID {
				f = chosen
			}
		}
		if f.Control(g.Control) == nil {
			return nil, fault.New(fault.Invalid, "%s has no control %q", f.Name, g.Control).In("controls")
		}
		if c := (Control{f.ID, g.Control}); !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out, nil
}

// line makes a text one line that both databases store.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Known refuses ids that are none of the tenant's evidence, or that something newer took
// the place of, with fault.Invalid in field "evidence". It is for those who name evidence.
func Known(ctx context.Context, tx *sqldb.DB, tenant uint32, ids []string) error {
	for _, id := range ids {
		by, err := sqldb.One(ctx, tx, func(rows *sql.Rows, by *string) error { return rows.Scan(by) }, `
			SELECT coalesce(n.id, '') FROM evidence_record r LEFT JOIN evidence_record n ON n.tenant = r.tenant AND n.supersedes = r.id AND n.supersedes <> ''
			WHERE r.tenant = $1 AND r.id = $2`, int64(tenant), line(id))
		switch {
		case errors.Is(err, fault.NotFound):
			return fault.New(fault.Invalid, "There is no evidence %q", id).In("evidence")
		case err != nil:
			return err
		case by != "":
			return fault.New(fault.Invalid, "Evidence %s was superseded: name %s", id, by).In("evidence")
		}
	}
	return nil
}
