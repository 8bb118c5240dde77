package api

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/export"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// exported is one resource that can be exported.
type exported struct {
	name    string // as in the path
	list    string // path of the list that has the same items
	filters []param
	columns []string
	write   func(ctx context.Context, c *call, f export.Format, w io.Writer) (rows int64, err error)
	op      *operation
}

// exporting builds the resource whose items are those of a list: stream yields them from
// one snapshot, and wire gives each the form that the list has.
func exporting[D, T any](name, list string, filters []param, stream func(context.Context, *call) iter.Seq2[D, error], wire func(*D) T) *exported {
	return &exported{
		name: name, list: list, filters: filters, columns: export.Columns[T](),
		write: func(ctx context.Context, c *call, f export.Format, out io.Writer) (int64, error) {
			w, err := export.New[T](out, f)
			if err != nil {
				return 0, err
			}
			if err := inBatches(stream(ctx, c), func(d *D) error {
				item := wire(d)
				return w.Write(&item)
			}); err != nil {
				return w.Count(), err
			}
			return w.Count(), w.Close()
		},
	}
}

// inBatches calls f with what seq yields, in order, while a goroutine of its own reads on:
// reading and writing each take about half of the time.
func inBatches[D any](seq iter.Seq2[D, error], f func(*D) error) error {
	const size = 256
	type batch struct {
		items []D
		err   error
	}
	full, stop := make(chan batch, 4), make(chan struct{})
	defer func() {
		close(stop)
		for range full { // until the reader has let go of the snapshot
		}
	}()
	go func() {
		defer close(full)
		b := batch{items: make([]D, 0, size)}
		for d, err := range seq {
			if err != nil {
				b.err = err
				break
			}
			if b.items = append(b.items, d); len(b.items) < size {
				continue
			}
			select {
			case full <- b:
			case <-stop:
				return
			}
			b = batch{items: make([]D, 0, size)}
		}
		select {
		case full <- b:
		case <-stop:
		}
	}()
	for b := range full {
		for i := range b.items {
			if err := f(&b.items[i]); err != nil {
				return err
			}
		}
		if b.err != nil {
			return b.err
		}
	}
	return nil
}

// maxExports bounds how many are written at a time: each holds a snapshot of the database.
const maxExports = 4

// exportReason is noted with who took what out.
var exportReason = param{name: "reason", doc: "Why, for the audit log: ISMS-P wants the reason of every download of personal data."}

func (a *api) exports() {
	const tag = "Export"
	for _, x := range a.exportable() {
		columns := strings.Join(x.columns, ", ")
		x.op = &operation{
			id: "export-" + x.name, method: http.MethodGet, path: "/export/" + x.name, tag: tag, summary: "Export " + strings.ReplaceAll(x.name, "-", " "),
			doc: "Everything that GET " + x.list + " lists, by the same filters, newest first, from one snapshot. CSV has a header row, RFC 4180 quotes and lines that end in CR LF; " +
				"a text that a spreadsheet would take for a formula has an apostrophe before it. JSON is one array; with Accept: application/x-ndjson it is one object a line.\n\n" +
				"With Prefer: respond-async the answer is a job, whose file GET /exports/{id}/file hands out for seven days.\n\nColumns: " + columns + ".",
			params: append([]param{{name: "format", doc: "Of the answer.", kind: enum, values: []string{"csv", "json"}, standard: "csv"}, exportReason}, x.filters...),
		}
		a.resources[x.name] = x
		a.describeExport(x)
		a.mux.HandleFunc("GET "+base+x.op.path, func(w http.ResponseWriter, r *http.Request) {
			a.enter(x.op, w, r, func(w http.ResponseWriter, r *http.Request) { a.export(x, w, r) })
		})
	}
	a.anyExport()
	a.exportFiles()
}

// anyExport describes all exports as the reference does, by one path. A name that stands
// for none is an unknown path.
func (a *api) anyExport() {
	names := slices.Sorted(maps.Keys(a.resources))
	x := &exported{list: "the list of that resource", op: &operation{
		id: "export", method: http.MethodGet, path: "/export/{resource}", tag: "Export", summary: "Export data as CSV/JSON",
		doc:    "resource is one of " + strings.Join(names, ", ") + ". Each has the filters of its list: see its own path.",
		params: []param{{name: "format", doc: "Of the answer.", kind: enum, values: []string{"csv", "json"}, standard: "csv"}, exportReason},
	}}
	a.describeExport(x)
	a.mux.HandleFunc("GET "+base+x.op.path, func(w http.ResponseWriter, _ *http.Request) { notFound().write(w) })
}

func (a *api) describeExport(x *exported) {
	h := a.describe(x.op)
	text := &huma.Schema{Type: huma.TypeString}
	list := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}
	h.Responses = map[string]*huma.Response{
		"200": {Description: "The list", Content: map[string]*huma.MediaType{"text/csv": {Schema: text}, "application/json": {Schema: list}, "application/x-ndjson": {Schema: text}}},
		"202": {Description: "A job that writes it: GET /jobs/{id}"},
	}
	for _, code := range errorsOf(x.op) {
		h.Responses[strconv.Itoa(code)] = &huma.Response{}
	}
	a.huma.OpenAPI().AddOperation(&h)
}

// exportFormat is what the caller wants: what format says, or else the Accept header.
func exportFormat(r *http.Request, c *call) export.Format {
	accept := r.Header.Get("Accept")
	given := r.URL.Query().Has("format")
	switch {
	case c.query.one("format") == "json" && strings.Contains(accept, "ndjson"):
		return export.NDJSON
	case given:
		return export.Format(c.query.one("format"))
	case strings.Contains(accept, "ndjson"):
		return export.NDJSON
	case strings.HasPrefix(accept, "application/json"):
		return export.JSON
	}
	return export.CSV
}

func (a *api) export(x *exported, w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(callKey{}).(*call)
	f := exportFormat(r, c)
	if strings.Contains(r.Header.Get("Prefer"), "respond-async") {
		a.exportLater(x, f, c, w, r)
		return
	}
	select {
	case a.writing <- struct{}{}:
		defer func() { <-a.writing }()
	default:
		p := &problem{Err: "Service unavailable", Message: "Other exports are being written: try again, or ask with Prefer: respond-async", Status: http.StatusServiceUnavailable, retryAfter: 10 * time.Second}
		p.write(w)
		return
	}
	if err := a.noteExport(r.Context(), x, f, c, r.URL.RawQuery); err != nil {
		problemFor(r.Context(), a.log, err).write(w)
		return
	}
	out := &paced{w: w, conn: http.NewResponseController(w), begin: func() {
		h := w.Header()
		h.Set("Content-Type", f.ContentType())
		h.Set("Content-Disposition", `attachment; filename="`+fileName(x.name, f, a.Now())+`"`)
		h.Add("Vary", "Accept, Prefer")
		w.WriteHeader(http.StatusOK)
	}}
	if _, err := x.write(r.Context(), c, f, out); err != nil {
		if !out.begun {
			problemFor(r.Context(), a.log, err).write(w)
			return
		}
		if r.Context().Err() == nil {
			a.log.WarnContext(r.Context(), "export ended early", "resource", x.name, "err", err)
		}
		panic(http.ErrAbortHandler) // the answer is torn: say so by ending the connection
	}
}

// noteExport writes down who took what out.
func (a *api) noteExport(ctx context.Context, x *exported, f export.Format, c *call, query string) error {
	detail := map[string]any{"format": f, "query": query}
	if reason := c.query.one("reason"); reason != "" {
		detail["reason"] = reason
	}
	return a.DB.Tx(ctx, func(tx *sqldb.DB) error {
		return audit.Record(ctx, tx, audit.Entry{Tenant: c.Tenant.Number, Actor: c.Actor, Action: "export.create", Object: x.name, Detail: detail})
	})
}

func fileName(resource string, f export.Format, at time.Time) string {
	return resource + "-" + at.UTC().Format("20060102T150405Z") + "." + string(f)
}

// paced is the answer of an export. A reader who takes nothing for half a minute is given
// up: it holds a snapshot.
type paced struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	begin func()
	begun bool
}

const stalled = 30 * time.Second

func (p *paced) Write(b []byte) (int, error) {
	if !p.begun {
		p.begun = true
		p.begin()
	}
	_ = p.conn.SetWriteDeadline(time.Now().Add(stalled)) // not every writer has a connection behind it
	n, err := p.w.Write(b)
	_ = p.conn.SetWriteDeadline(time.Time{})
	return n, err
}

// errNoFiles tells that exports in the background are another server's.
var errNoFiles = fault.New(fault.Unavailable, "this server writes no files: leave out Prefer: respond-async")

// resource returns the one of that name.
func (a *api) resource(name string) (*exported, error) {
	if x := a.resources[name]; x != nil {
		return x, nil
	}
	return nil, errors.New("no such resource: " + name)
}
