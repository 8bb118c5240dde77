package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/identity"
)

// operation describes one call, for the router, the checks before the handler
// and the documentation.
type operation struct {
	id, method, path string
	tag, summary     string
	doc              string
	params           []param
	status           int      // of success; 0 means 200
	public           bool     // needs no caller
	safe             bool     // changes nothing although its method is not GET
	single           bool     // a GET or a PATCH that answers one object: ETag
	uuid             bool     // {id} is a UUID: whatever is none is an unknown one
	media            []string // content types that the body may have besides JSON
	answers          []string // content types of a success that is a file
	upload           int64    // the body is a file of up to so many bytes, of one of media; 0: it is text
}

// changes tells whether the call needs a key that may write.
func (o *operation) changes() bool {
	return o.method != http.MethodGet && !o.safe
}

// call is what a handler knows of its request beside its input.
type call struct {
	identity.Caller
	signed    *account.Signed // nil for a key
	from      netip.Addr      // zero where there is none
	query     given
	version   int64  // that a change is to be made on, 0 for any
	languages string // the Accept-Language header
	media     string // content type of an upload, "" where none was given
}

type callKey struct{}

// handle registers one operation. It is the only place where errors of handlers
// become answers. The call travels to it in the request's context, since huma
// passes nothing else through, and from here on as a parameter.
func handle[I, O any](a *api, op operation, f func(context.Context, *call, *I) (*O, error)) {
	huma.Register(a.huma, a.describe(&op), func(ctx context.Context, in *I) (*O, error) {
		c, _ := ctx.Value(callKey{}).(*call)
		out, err := f(ctx, c, in)
		if err != nil {
			return nil, problemFor(ctx, a.log, err)
		}
		return out, nil
	})
}

const operationKey = "kyra"

// rightKey names, in the description, the right that an operation needs.
const rightKey = "x-right"

// describe is op in huma's words.
func (a *api) describe(op *operation) huma.Operation {
	h := huma.Operation{
		OperationID: op.id, Method: op.method, Path: base + op.path, Tags: []string{op.tag},
		Summary: op.summary, Description: op.doc, DefaultStatus: op.status,
		Security: securityOf(op),
		Errors:   errorsOf(op),
		Metadata: map[string]any{operationKey: op},

		Extensions: map[string]any{rightKey: string(op.right())},
	}
	if op.public {
		h.Extensions = nil
	}
	for i := range op.params {
		h.Parameters = append(h.Parameters, op.params[i].document())
	}
	header := func(name, doc string) {
		h.Parameters = append(h.Parameters, &huma.Param{Name: name, In: "header", Description: doc, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	switch {
	case op.public:
	case op.method == http.MethodPost:
		header("Idempotency-Key", "Any text up to 255 characters. The same key and body within 24 hours replays the stored answer; another body is 409.")
	case op.method == http.MethodGet && op.single:
		header("If-None-Match", "An ETag: 304 when the object is still the same.")
	case op.method == http.MethodPatch || op.method == http.MethodDelete || op.method == http.MethodPut && op.single:
		header("If-Match", "An ETag: 412 when the object has changed since.")
	}
	return h
}

// securityOf says how a caller may show who they are.
func securityOf(op *operation) []map[string][]string {
	switch right := op.right(); {
	case op.public:
		return []map[string][]string{}
	case right == identity.Own.Read() || right == identity.Own.Write():
		return []map[string][]string{{"session": {}}}
	}
	return []map[string][]string{{"key": {}}, {"session": {}}}
}

func errorsOf(op *operation) []int {
	codes := []int{400, 401, 403, 429, 500, 503}
	switch op.method {
	case http.MethodPost, http.MethodPut:
		codes = append(codes, 409, 413)
		if op.method == http.MethodPut && op.single {
			codes = append(codes, 412)
		}
	case http.MethodPatch:
		codes = append(codes, 409, 412, 413)
	case http.MethodDelete:
		codes = append(codes, 412)
	}
	if hasPathValue(op.path) {
		codes = append(codes, 404)
	}
	slices.Sort(codes)
	return codes
}

func hasPathValue(path string) bool {
	return slices.Contains([]byte(path), '{')
}

// tidy corrects huma's description of an operation: there is no 422, errors are
// described once for all calls, and every answer carries the headers of the rate
// limit.
func tidy(_ *huma.OpenAPI, op *huma.Operation) {
	delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
	if own, ok := op.Metadata[operationKey].(*operation); ok && len(own.media) > 0 {
		// huma knows the raw body by its first type only.
		schema := op.RequestBody.Content[own.media[0]]
		for _, media := range own.media {
			op.RequestBody.Content[media] = schema
		}
		if own.upload == 0 {
			op.RequestBody.Content["application/json"] = schema
		}
	}
	for code, r := range op.Responses {
		if code >= "400" {
			op.Responses[code] = &huma.Response{Ref: "#/components/responses/" + code}
			continue
		}
		delete(r.Headers, headerRevision)
		addHeaders(r)
		if own, ok := op.Metadata[operationKey].(*operation); ok && len(own.answers) > 0 {
			r.Content = map[string]*huma.MediaType{}
			for _, media := range own.answers {
				r.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
			}
		}
	}
}

func addHeaders(r *huma.Response) {
	if r.Headers == nil {
		r.Headers = map[string]*huma.Param{}
	}
	for name := range rateHeaders() {
		r.Headers[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
}

// errorAnswers describes every error that a call may give.
func errorAnswers() map[string]*huma.Response {
	all := map[string]*huma.Response{}
	for code, what := range map[int]string{
		400: "Invalid request parameter or body", 401: "Missing or invalid API key", 403: "Insufficient permissions",
		404: "Resource not found: unknown, malformed and foreign ids alike", 409: "Conflict with the present state", 412: "The object has changed since",
		413: "The body is too large", 429: "Rate limit exceeded; see Retry-After", 500: "Server error",
		503: "Busy, starting or stopping; see Retry-After",
	} {
		r := &huma.Response{Description: what, Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}},
		}}
		addHeaders(r)
		all[strconv.Itoa(code)] = r
	}
	return all
}

// router is the huma adapter: it puts the checks of enter before each operation.
type router struct {
	*http.ServeMux
	api *api
}

// byFramework begins the paths whose second part is the name of a framework, beside
// which stand fixed ones such as /compliance/evidence/{id}. A mux refuses such a pair,
// since neither is the more special; they are in a mux of their own, asked second.
const byFramework = base + "/compliance/{framework}/"

// muxOf is where an operation of that path is registered.
func (a *api) muxOf(path string) *http.ServeMux {
	if strings.HasPrefix(path, byFramework) {
		return a.frameworks
	}
	return a.mux
}

// Handle implements huma.Adapter.
func (m *router) Handle(op *huma.Operation, handler func(huma.Context)) {
	own, _ := op.Metadata[operationKey].(*operation)
	if own.public {
		m.api.open[op.Method+" "+op.Path] = true
	}
	m.api.muxOf(op.Path).HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		m.api.enter(own, w, r, func(w http.ResponseWriter, r *http.Request) {
			handler(humago.NewContext(op, r, w))
		})
	})
}
