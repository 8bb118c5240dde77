package api

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/identity"
)

const (
	specPath = base + "/openapi.json"
	docsPath = base + "/docs"
)

//go:embed docs.html
var docsTemplate string

// documentation serves the description of all operations. It is rendered when it is
// first asked for, from a registration of its own: that of the server is loosened (see
// loosen), and few who start a server read it.
func (a *api) documentation() {
	type rendered struct{ spec, page http.HandlerFunc }
	render := sync.OnceValues(func() (rendered, error) {
		own := &api{Config: a.Config, log: a.log, mux: http.NewServeMux(), frameworks: http.NewServeMux(), resources: map[string]*exported{}, open: map[string]bool{}}
		own.register()
		spec := own.huma.OpenAPI()
		own.describeIngest()
		for _, s := range spec.Components.Schemas.Map() {
			allowNull(s)
		}
		text, err := json.Marshal(spec)
		if err != nil {
			return rendered{}, fmt.Errorf("render OpenAPI: %w", err)
		}
		page, err := docsPage(spec)
		if err != nil {
			return rendered{}, fmt.Errorf("render documentation: %w", err)
		}
		return rendered{static("application/json", text), static("text/html; charset=utf-8", page)}, nil
	})
	serve := func(which func(rendered) http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			d, err := render()
			if err != nil {
				problemFor(r.Context(), a.log, err).write(w)
				return
			}
			which(d)(w, r)
		}
	}
	a.mux.HandleFunc("GET "+specPath, serve(func(d rendered) http.HandlerFunc { return d.spec }))
	a.mux.HandleFunc("GET "+docsPath, serve(func(d rendered) http.HandlerFunc { return d.page }))
}

// static serves a public text that is the same for the life of the process.
func static(media string, text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answerIfChanged(w, r, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
			_, _ = w.Write(text) // kept back by answerIfChanged: cannot fail
		})
	}
}

// allowNull adds null to the enumerations that may be null.
func allowNull(s *huma.Schema) {
	if s.Nullable && len(s.Enum) > 0 {
		s.Enum = append(s.Enum, nil)
	}
	for _, p := range s.Properties {
		allowNull(p)
	}
}

// loosen takes the enumerations out of the schemas of words: they are checked by
// among, whatever the case.
func loosen(spec *huma.OpenAPI) {
	for _, s := range spec.Components.Schemas.Map() {
		loosenSchema(s)
	}
}

func loosenSchema(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Extensions[anyCase] == true {
		s.Enum = nil
	}
	for _, p := range s.Properties {
		loosenSchema(p)
	}
	loosenSchema(s.Items)
}

// describeIngest documents the one call that huma does not serve.
func (a *api) describeIngest() {
	body := map[string]*huma.MediaType{}
	for _, media := range []string{"application/x-ndjson", "application/json", "text/plain"} {
		body[media] = &huma.MediaType{Schema: &huma.Schema{}}
	}
	answers := map[string]*huma.Response{"400": {}, "401": {}, "403": {}, "413": {}, "429": {}, "503": {}} // tidy fills them in
	integer := &huma.Schema{Type: huma.TypeInteger}
	answers["200"] = &huma.Response{Description: "The events are safe on disk.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Properties: map[string]*huma.Schema{
			"accepted": integer, "rejected": integer,
			"errors": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
		}}},
	}}
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "ingest", Method: http.MethodPost, Path: ingestPath, Tags: []string{"Ingest"}, Summary: "Send logs",
		Description: "NDJSON, a JSON array, concatenated JSON objects or lines of text; gzip or zstd; told apart by their content. " +
			"Answered only once the events are safe on disk. Up to 64 MiB decompressed, 1 MiB an event. Not counted against the request limit.",
		Security: []map[string][]string{{"key": {}}, {"session": {}}}, Extensions: map[string]any{rightKey: string(identity.Ingest.Write())},
		Parameters: []*huma.Param{{
			Name: "source", In: "query", Description: "What the logs are, such as sshd or nginx; found out when left out.",
			Schema: &huma.Schema{Type: huma.TypeString},
		}, {
			Name: "Idempotency-Key", In: "header", Description: "What a second sending of the same body has too: a record that stands where it stood under this key makes no second event, for 7 days.",
			Schema: &huma.Schema{Type: huma.TypeString, MinLength: new(1), MaxLength: new(255)},
		}},
		RequestBody: &huma.RequestBody{Required: true, Content: body},
		Responses:   answers,
	})
}

// The page is made on the server and needs no script and no network.
type docsOperation struct {
	Method, Path, Summary, Anchor string
	Text                          []string
	Params                        []*huma.Param
	Body, Answer                  []docsField
	Status                        string
}

type docsField struct {
	Name, Type, Doc string
	Required        bool
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

func docsPage(spec *huma.OpenAPI) ([]byte, error) {
	tags := map[string][]docsOperation{}
	for path, item := range spec.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Put, item.Delete} {
			if op == nil {
				continue
			}
			d := docsOperation{
				Method: op.Method, Path: path, Summary: op.Summary, Anchor: op.OperationID,
				Text: strings.Split(op.Description, "\n\n"), Params: op.Parameters,
			}
			if op.RequestBody != nil {
				d.Body = fieldsOf(spec, op.RequestBody.Content["application/json"])
			}
			for _, code := range []string{"200", "201", "202", "204"} {
				if r := op.Responses[code]; r != nil {
					d.Status = code
					d.Answer = fieldsOf(spec, r.Content["application/json"])
					break
				}
			}
			tags[op.Tags[0]] = append(tags[op.Tags[0]], d)
		}
	}
	list := make([]docsTag, 0, len(tags))
	for name, ops := range tags {
		slices.SortFunc(ops, func(a, b docsOperation) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
		})
		list = append(list, docsTag{name, ops})
	}
	slices.SortFunc(list, func(a, b docsTag) int { return strings.Compare(a.Name, b.Name) })
	t, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		Title, Version string
		Tags           []docsTag
	}{spec.Info.Title, spec.Info.Version, list})
	return b.Bytes(), err
}

// fieldsOf lists the keys of a body, those of nested objects with their path.
func fieldsOf(spec *huma.OpenAPI, media *huma.MediaType) []docsField {
	if media == nil || media.Schema == nil {
		return nil
	}
	var all []docsField
	var walk func(s *huma.Schema, prefix string, depth int)
	walk = func(s *huma.Schema, prefix string, depth int) {
		if s.Ref != "" {
			s = spec.Components.Schemas.SchemaFromRef(s.Ref)
		}
		if s == nil || depth > 3 {
			return
		}
		if s.Type == huma.TypeArray && s.Items != nil {
			walk(s.Items, prefix+"[]", depth)
			return
		}
		names := make([]string, 0, len(s.Properties))
		for name := range s.Properties {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			p := s.Properties[name]
			full := strings.TrimPrefix(prefix+"."+name, ".")
			all = append(all, docsField{full, typeOf(p), p.Description, slices.Contains(s.Required, name)})
			if p.Ref != "" || p.Type == huma.TypeObject || p.Type == huma.TypeArray {
				walk(p, full, depth+1)
			}
		}
	}
	walk(media.Schema, "", 0)
	return all
}

func typeOf(s *huma.Schema) string {
	t := s.Type
	if s.Ref != "" {
		t = huma.TypeObject
	}
	if s.Format != "" {
		t += " (" + s.Format + ")"
	}
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(cmp.Or(v, any("null")))
		}
		t += ": " + strings.Join(values, ", ")
	}
	if s.Nullable {
		t += " or null"
	}
	return t
}
