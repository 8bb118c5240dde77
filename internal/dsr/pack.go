package dsr

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// PackageKind is the kind of job that puts a person's data together.
const PackageKind = "dsr-package"

const (
	maxPackage  = 8 << 30 // bytes
	packageDays = 30      // that it can be fetched
)

// A Package is what a person gets: a zip of manifest.json, data.json, events.ndjson and
// control.ndjson.
type Package struct {
	SHA256    string    `json:"sha256"`
	Size      int64     `json:"size"`
	Events    int64     `json:"events"`
	MadeAt    time.Time `json:"madeAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// packedEvent is a line of events.ndjson.
type packedEvent struct {
	ID        string              `json:"id"`
	Timestamp time.Time           `json:"timestamp"`
	Fields    map[string][]string `json:"fields"`
	Raw       string              `json:"raw,omitempty"`
}

// packedRow is a line of control.ndjson: the texts of one object that name the person.
type packedRow struct {
	Place  string            `json:"place"`
	ID     string            `json:"id"`
	At     time.Time         `json:"at"`
	Fields map[string]string `json:"fields"`
}

type packedFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// hashed writes a file of a zip and knows its hash.
type hashed struct {
	io.Writer
	sum  hash.Hash
	size int64
}

func newHashed(z *zip.Writer, name string) (*hashed, error) {
	w, err := z.Create(name)
	return &hashed{Writer: w, sum: sha256.New()}, err
}

// Write implements io.Writer.
func (h *hashed) Write(b []byte) (int, error) {
	h.sum.Write(b)
	h.size += int64(len(b))
	return h.Writer.Write(b)
}

func (h *hashed) file(name string) packedFile {
	return packedFile{name, hex.EncodeToString(h.sum.Sum(nil)), h.size}
}

// Pack does a job of PackageKind, whose subject is the request.
func (s *Service) Pack(ctx context.Context, t *job.Task) (any, error) {
	if s.Vault == nil {
		return nil, fault.New(fault.Unavailable, "this server keeps no packages")
	}
	d, p, err := s.begin(ctx, t.Tenant, t.Actor, t.Subject, "package")
	if err != nil {
		return nil, err
	}
	// A file of its own, removed at once: the vault takes what is whole only.
	f, err := os.CreateTemp("", "kyra-dsr-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is gone already
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	found, err := s.write(ctx, f, d, p, t.Progress)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	ref, err := s.Vault.Put(t.Tenant, f, maxPackage)
	if err != nil {
		return nil, err
	}
	now := s.Now().UTC()
	pack := &Package{SHA256: ref.SHA256, Size: ref.Size, Events: found.Events, MadeAt: now, ExpiresAt: now.AddDate(0, 0, packageDays)}
	return pack, s.settle(ctx, t.Tenant, t.Actor, t.Subject, func(r *Request) (string, string) {
		r.Package = pack
		return "packaged", ""
	})
}

func (s *Service) write(ctx context.Context, to io.Writer, d *Detail, p *Person, told func(done, total int64, note string)) (*Findings, error) {
	z := zip.NewWriter(to)
	w, err := newHashed(z, "events.ndjson")
	if err != nil {
		return nil, err
	}
	files := []packedFile{}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	// A zip has one open file at a time: control data comes when the events have ended.
	rows := func() error {
		if len(files) > 0 {
			return nil
		}
		files = append(files, w.file("events.ndjson"))
		w, err = newHashed(z, "control.ndjson")
		lines = json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		return err
	}
	found, err := s.find(ctx, d.Tenant, p, told, func(e *event.Event) error {
		x := packedEvent{ID: e.ID.String(), Timestamp: time.Unix(0, e.Time).UTC(), Fields: map[string][]string{}, Raw: e.Raw}
		for i := range e.Fields {
			x.Fields[e.Fields[i].Name] = append(x.Fields[e.Fields[i].Name], e.Fields[i].Value)
		}
		return lines.Encode(x)
	}, func(r *packedRow) error {
		if err := rows(); err != nil {
			return err
		}
		return lines.Encode(r)
	})
	if err != nil {
		return nil, err
	}
	if err := rows(); err != nil {
		return nil, err
	}
	files = append(files, w.file("control.ndjson"))
	put := func(name string, v any) error {
		w, err := newHashed(z, name)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
		files = append(files, w.file(name))
		return nil
	}
	if err := put("data.json", map[string]any{"person": p, "findings": found}); err != nil {
		return nil, err
	}
	if err := put("manifest.json", map[string]any{
		"version": 1, "request": d.ID, "kind": d.Kind, "law": d.Law, "receivedOn": d.ReceivedOn, "madeAt": s.Now().UTC(), "events": found.Events, "files": files,
	}); err != nil {
		return nil, err
	}
	return found, z.Close()
}

// Download opens the package of a request, which the audit log notes.
func (s *Service) Download(ctx context.Context, tenant uint32, actor, id string) (*Package, io.ReadCloser, error) {
	d, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	if d.Package == nil || s.Vault == nil || !s.Now().Before(d.Package.ExpiresAt) {
		return nil, nil, fault.New(fault.NotFound, "there is no package, or it has expired: make one")
	}
	r, err := s.Vault.Get(tenant, vault.Ref{SHA256: d.Package.SHA256, Size: d.Package.Size})
	if err != nil {
		return nil, nil, err
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.Now(), Actor: actor, Action: "dsr.download", Object: id, Detail: map[string]any{"sha256": d.Package.SHA256}})
	})
	if err != nil {
		_ = r.Close() // it was only opened
		return nil, nil, fault.Wrap("note the download", err)
	}
	return d.Package, r, nil
}
