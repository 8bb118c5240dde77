package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/export"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// Exports writes lists to files, as jobs. It is made before the API, which knows what
// can be exported.
type Exports struct {
	files *vault.Vault
	api   atomic.Pointer[api]
}

// NewExports keeps the files in v, for a week.
func NewExports(v *vault.Vault) *Exports { return &Exports{files: v} }

const (
	exportKind   = "export"
	exportKept   = 7 * 24 * time.Hour
	exportLimit  = 1 << 40 // bytes of one file: the disk's watermark comes first
	exportTime   = 6 * time.Hour
	exportRepeat = 3
)

// Kinds are the kinds of jobs that it runs.
func (e *Exports) Kinds() map[string]job.Kind {
	return map[string]job.Kind{exportKind: {Work: e.work, Attempts: exportRepeat, Time: exportTime}}
}

type exportParams struct {
	Resource string        `json:"resource"`
	Format   export.Format `json:"format"`
	Query    string        `json:"query"`
	At       time.Time     `json:"at"`
}

// exportResult is what a job leaves.
type exportResult struct {
	File   string `json:"file"`
	Rows   int64  `json:"rows"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (e *Exports) work(ctx context.Context, t *job.Task) (any, error) {
	a := e.api.Load()
	if a == nil {
		return nil, fault.New(fault.Unavailable, "the server is starting")
	}
	var p exportParams
	if err := t.Read(&p); err != nil {
		return nil, err
	}
	if err := e.files.Sweep(a.Now().Add(-exportKept)); err != nil {
		return nil, err
	}
	x, err := a.resource(p.Resource)
	if err != nil {
		return nil, err
	}
	q, bad := parseQuery(x.op.params, p.Query)
	if bad != nil {
		return nil, bad
	}
	c := &call{Caller: identity.Caller{Tenant: tenant.Tenant{Number: t.Tenant}, Actor: t.Actor}, query: q}
	read, write := io.Pipe()
	var rows int64
	go func() {
		n, err := x.write(ctx, c, p.Format, &counted{w: write, t: t})
		rows = n
		_ = write.CloseWithError(err) // it cannot fail
	}()
	ref, err := e.files.Put(t.Tenant, read, exportLimit)
	_ = read.CloseWithError(errors.New("the file cannot be written")) // ends the writer where Put failed
	if err != nil {
		return nil, err
	}
	return exportResult{File: fileName(p.Resource, p.Format, p.At), Rows: rows, Size: ref.Size, SHA256: ref.SHA256}, nil
}

// counted tells how many bytes were written.
type counted struct {
	w io.Writer
	t *job.Task
	n int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.t.Progress(c.n, 0, "bytes written")
	return n, err
}

// exportLater starts a job and says where to ask for it.
func (a *api) exportLater(x *exported, f export.Format, c *call, w http.ResponseWriter, r *http.Request) {
	if a.Exports == nil {
		problemFor(r.Context(), a.log, errNoFiles).write(w)
		return
	}
	if err := a.noteExport(r.Context(), x, f, c, r.URL.RawQuery); err != nil {
		problemFor(r.Context(), a.log, err).write(w)
		return
	}
	j, err := a.Jobs.Start(r.Context(), c.Tenant.Number, c.Actor, job.Draft{
		Kind: exportKind, Subject: x.name, Params: exportParams{Resource: x.name, Format: f, Query: r.URL.RawQuery, At: a.Now()},
	})
	if err != nil {
		problemFor(r.Context(), a.log, err).write(w)
		return
	}
	text, err := json.Marshal(detailOfJob(j))
	if err != nil {
		problemFor(r.Context(), a.log, fmt.Errorf("answer with a job: %w", err)).write(w)
		return
	}
	h := w.Header()
	h.Set("Location", base+"/jobs/"+j.ID)
	h.Set("Preference-Applied", "respond-async")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(text) // the caller may have left
}

func (a *api) exportFiles() {
	if a.Exports != nil {
		a.Exports.api.Store(a)
	}
	handle(a, operation{
		id: "getExportFile", method: http.MethodGet, path: "/exports/{id}/file", tag: "Export", summary: "Download what an export job wrote", uuid: true,
		doc: "id is that of the job. A job that is not done yet is 409.",
	}, a.exportFile)
}

func (a *api) exportFile(ctx context.Context, c *call, in *byID) (*streamedFile, error) {
	j, err := a.job(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	if j.Kind != exportKind || a.Exports == nil {
		return nil, fault.New(fault.NotFound, "no such export")
	}
	if j.State != job.Done {
		return nil, fault.New(fault.Conflict, "the export is %s: its file is there when it is DONE", j.State)
	}
	var p exportParams
	var res exportResult
	if err := errors.Join(json.Unmarshal(j.Params, &p), json.Unmarshal(j.Result, &res)); err != nil {
		return nil, fmt.Errorf("read export: %w", err)
	}
	r, err := a.Exports.files.Get(c.Tenant.Number, vault.Ref{SHA256: res.SHA256, Size: res.Size})
	if err != nil {
		return nil, err
	}
	return streamed(p.Format.ContentType(), res.File, res.Size, res.SHA256, r), nil
}
