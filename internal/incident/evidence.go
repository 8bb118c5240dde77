package incident

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// Evidence is a file that belongs to an incident. Its content never changes: SHA256 is
// taken when it comes and looked at each time it is read.
type Evidence struct {
	ID        string // UUIDv7
	Name      string
	MediaType string // by the file's first bytes, not by what the sender said
	Size      int64  // bytes
	SHA256    string // hexadecimal
	Note      string
	AddedBy   string
	AddedAt   time.Time
}

// MaxEvidence is how large a file of evidence may be, in bytes.
const MaxEvidence = 64 << 20

const (
	maxEvidence = 500 // files of an incident
	maxFileName = 255 // characters
)

const selectEvidence = `SELECT id, name, media_type, size, sha256, note, added_by, added_at FROM incident_evidence`

func scanEvidence(rows *sql.Rows, e *Evidence) error {
	return rows.Scan(&e.ID, &e.Name, &e.MediaType, &e.Size, &e.SHA256, &e.Note, &e.AddedBy, sqldb.Micros(&e.AddedAt))
}

// AddEvidence keeps a file of 1 to MaxEvidence bytes. It is on disk before the incident
// names it.
func (s *Service) AddEvidence(ctx context.Context, tenant uint32, actor, id, name, note string, content []byte) (*Evidence, error) {
	name = strings.TrimSpace(clean(path.Base(strings.ReplaceAll(name, `\`, "/")), true))
	switch n := utf8.RuneCountInString(name); {
	case s.files == nil:
		return nil, fault.New(fault.Unavailable, "this server keeps no files")
	case n < 1 || n > maxFileName || name == "." || name == "/":
		return nil, fault.New(fault.Invalid, "Allowed: a file name of 1 to %d characters", maxFileName).In("name")
	case len(content) == 0:
		return nil, fault.New(fault.Invalid, "the file is empty").In("body")
	}
	note = strings.TrimSpace(clean(note, false))
	if utf8.RuneCountInString(note) > maxNote {
		return nil, fault.New(fault.Invalid, "Allowed: up to %d characters", maxNote).In("note")
	}
	// The incident is looked at before the file is kept: nobody fills the disk through
	// an id that is not theirs.
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		_, err := s.writable(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return nil, fault.Wrap("add evidence", err)
	}
	ref, err := s.files.PutBytes(tenant, content)
	if err != nil {
		return nil, fault.Wrap("add evidence", err)
	}
	evidenceID, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("add evidence", err)
	}
	e := &Evidence{ID: evidenceID.String(), Name: name, MediaType: http.DetectContentType(content), Size: ref.Size, SHA256: ref.SHA256, Note: note, AddedBy: actor}
	err = s.work(ctx, tenant, actor, id, "incident.evidence", func(tx *sqldb.DB, now time.Time, in *Incident) (Step, error) {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM incident_evidence WHERE incident_id = $1`, in.ID)
		if err != nil {
			return Step{}, err
		}
		if n >= maxEvidence {
			return Step{}, fault.New(fault.Conflict, "the incident has %d files, and more it cannot have", n)
		}
		e.AddedAt = now
		_, err = sqldb.Exec(ctx, tx, `INSERT INTO incident_evidence (id, incident_id, name, media_type, size, sha256, note, added_by, added_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			e.ID, in.ID, e.Name, e.MediaType, e.Size, e.SHA256, e.Note, e.AddedBy, now.UnixMicro())
		return Step{Action: "evidence", New: e.SHA256, Note: e.Name}, err
	})
	if err != nil {
		return nil, fault.Wrap("add evidence", err)
	}
	return e, nil
}

// OpenEvidence opens a file of the incident. Reading it to its end fails with
// vault.ErrChanged where it is not what was added.
func (s *Service) OpenEvidence(ctx context.Context, tenant uint32, id, evidenceID string) (*Evidence, io.ReadCloser, error) {
	var e Evidence
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		e, err = evidenceOf(ctx, tx, in.ID, evidenceID)
		return err
	})
	if err != nil {
		return nil, nil, fault.Wrap("open evidence", err)
	}
	if s.files == nil {
		return nil, nil, fault.New(fault.Unavailable, "this server keeps no files")
	}
	r, err := s.files.Get(tenant, vault.Ref{SHA256: e.SHA256, Size: e.Size})
	return &e, r, fault.Wrap("open evidence", err)
}

func evidenceOf(ctx context.Context, tx *sqldb.DB, incident, id string) (Evidence, error) {
	e, err := sqldb.One(ctx, tx, scanEvidence, selectEvidence+` WHERE incident_id = $1 AND id = $2`, incident, clean(id, true))
	if errors.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "no such evidence")
	}
	return e, err
}

// RemoveEvidence takes a file out of the incident. Its name and hash stay in the
// timeline, its content in the vault: what was evidence once may be asked for again.
func (s *Service) RemoveEvidence(ctx context.Context, tenant uint32, actor, id, evidenceID string) error {
	return fault.Wrap("remove evidence", s.work(ctx, tenant, actor, id, "incident.evidence", func(tx *sqldb.DB, _ time.Time, in *Incident) (Step, error) {
		e, err := evidenceOf(ctx, tx, in.ID, evidenceID)
		if err != nil {
			return Step{}, err
		}
		_, err = sqldb.Exec(ctx, tx, `DELETE FROM incident_evidence WHERE id = $1`, e.ID)
		return Step{Action: "evidenceRemoved", Old: e.SHA256, Note: e.Name}, err
	}))
}
