// Package scim is the door by which a customer's directory provisions people (SCIM 2.0,
// RFC 7643 and 7644): it reads what Okta, Entra ID and others send, and words answers as
// they expect them. What it means is in account.
package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// Base is where SCIM stands.
const Base = "/scim/v2"

// The schemas (RFC 7643 8.7, RFC 7644).
const (
	userSchema    = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema   = "urn:ietf:params:scim:schemas:core:2.0:Group"
	listSchema    = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	patchSchema   = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorSchema   = "urn:ietf:params:scim:api:messages:2.0:Error"
	configSchema  = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeSchema    = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema  = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	mediaType     = "application/scim+json"
	maxBody       = 4 << 20 // a group of ten thousand
	maxPage       = 200
	standardPage  = 100
	maxOperations = 1000
)

// How much a directory, and somebody without a token, may ask.
const (
	perSecond, burst             = 50, 200
	strangePerSecond, strangeMax = 1, 20
	maxStrangers                 = 10_000
)

// Config is what a Handler needs; all of it is required.
type Config struct {
	Accounts *account.Service
	URL      func() string // where the server is reached, for locations
	Secure   func() bool   // people reach it over TLS
	Log      *slog.Logger
}

type handler struct {
	Config
	mux *http.ServeMux

	mu        sync.Mutex
	tenants   map[uint32]*rate.Limiter
	strangers map[string]*rate.Limiter
}

// New returns the handler of everything below Base.
func New(c Config) http.Handler {
	h := &handler{Config: c, mux: http.NewServeMux(), tenants: map[uint32]*rate.Limiter{}, strangers: map[string]*rate.Limiter{}}
	for pattern, f := range map[string]operation{
		"GET /ServiceProviderConfig": h.config,
		"GET /ResourceTypes":         h.resourceTypes,
		"GET /ResourceTypes/{id}":    h.resourceType,
		"GET /Schemas":               h.schemas,
		"GET /Schemas/{id}":          h.schema,
		"GET /Users":                 h.listUsers,
		"POST /Users":                h.createUser,
		"GET /Users/{id}":            h.getUser,
		"PUT /Users/{id}":            h.replaceUser,
		"PATCH /Users/{id}":          h.patchUser,
		"DELETE /Users/{id}":         h.deleteUser,
		"GET /Groups":                h.listGroups,
		"POST /Groups":               h.createGroup,
		"GET /Groups/{id}":           h.getGroup,
		"PUT /Groups/{id}":           h.replaceGroup,
		"PATCH /Groups/{id}":         h.patchGroup,
		"DELETE /Groups/{id}":        h.deleteGroup,
	} {
		h.mux.HandleFunc(pattern, h.serve(f))
	}
	return h
}

// A request is what an operation is given.
type request struct {
	*http.Request
	tenant uint32
	body   []byte
}

// An operation answers with a status and a body; nil: none.
type operation func(ctx context.Context, r *request) (status int, body any, err error)

type requestKey struct{}

// ServeHTTP implements http.Handler: headers, token, limits, path.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if h.Secure() {
		head.Set("Strict-Transport-Security", "max-age=31536000")
	}
	from := remoteAddr(r)
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	tenant, err := uint32(0), error(fault.New(fault.Unauthenticated, "missing or invalid token"))
	if ok && strings.EqualFold(scheme, "Bearer") && len(r.Header.Values("Authorization")) == 1 {
		tenant, err = h.Accounts.ByDirectoryToken(r.Context(), strings.TrimSpace(token))
	}
	if err != nil {
		if !h.stranger(from).Allow() {
			err = fault.New(fault.Limited, "too many requests without a valid token")
		}
		h.fail(w, r, err)
		return
	}
	if !h.limiter(tenant).Allow() {
		h.fail(w, r, fault.New(fault.Limited, "more than %d requests a second", perSecond))
		return
	}
	if !storable(r) {
		writeError(w, http.StatusBadRequest, "invalidValue", "Path and query are UTF-8 without NUL")
		return
	}
	ctx := audit.From(r.Context(), audit.Origin{Address: from})
	inner := r.Clone(context.WithValue(ctx, requestKey{}, tenant))
	inner.URL.Path, inner.URL.RawPath = strings.TrimPrefix(r.URL.Path, Base), ""
	if _, pattern := h.mux.Handler(inner); pattern == "" {
		rec := &statusOnly{header: http.Header{}, status: http.StatusOK}
		h.mux.ServeHTTP(rec, inner)
		if rec.status == http.StatusMethodNotAllowed {
			head.Set("Allow", rec.header.Get("Allow"))
			writeError(w, http.StatusMethodNotAllowed, "", "Allowed: "+rec.header.Get("Allow"))
			return
		}
		writeError(w, http.StatusNotFound, "", "There is no such endpoint; see "+Base+"/ResourceTypes")
		return
	}
	h.mux.ServeHTTP(w, inner)
}

// storable tells whether PostgreSQL can compare what path and query say.
func storable(r *http.Request) bool {
	ok := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	for name, values := range r.URL.Query() {
		if !ok(name) || slices.ContainsFunc(values, func(v string) bool { return !ok(v) }) {
			return false
		}
	}
	return ok(r.URL.Path)
}

// statusOnly finds out what the mux would answer.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

func remoteAddr(r *http.Request) string {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return p.Addr().Unmap().String()
}

func (h *handler) limiter(tenant uint32) *rate.Limiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.tenants[tenant]
	if l == nil {
		l = rate.NewLimiter(perSecond, burst)
		h.tenants[tenant] = l
	}
	return l
}

// stranger counts an IPv6 subscriber's whole network as one.
func (h *handler) stranger(from string) *rate.Limiter {
	const subscriber = 64
	if a, err := netip.ParseAddr(from); err == nil && a.Is6() {
		p, _ := a.WithZone("").Prefix(subscriber) // a valid length of every IPv6 address
		from = p.String()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.strangers) >= maxStrangers {
		clear(h.strangers)
	}
	l := h.strangers[from]
	if l == nil {
		l = rate.NewLimiter(strangePerSecond, strangeMax)
		h.strangers[from] = l
	}
	return l
}

// serve reads the body, calls the operation, and writes what it answers.
func (h *handler) serve(f operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tenant, _ := r.Context().Value(requestKey{}).(uint32)
		in := &request{Request: r, tenant: tenant}
		var err error
		if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
			if in.body, err = readBody(w, r); err != nil {
				h.fail(w, r, err)
				return
			}
		}
		status, body, err := f(r.Context(), in)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		if body == nil {
			w.WriteHeader(status)
			return
		}
		if m, ok := body.(map[string]any); ok && m["meta"] != nil {
			if meta, ok := m["meta"].(map[string]any); ok && status == http.StatusCreated {
				w.Header().Set("Location", fmt.Sprint(meta["location"]))
			}
			body = chosen(m, r)
		}
		write(w, status, body)
	}
}

const readTime = 30 * time.Second

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != mediaType && media != "application/json" {
		return nil, &refusal{http.StatusUnsupportedMediaType, "", "Allowed Content-Type: " + mediaType + ", application/json"}
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(readTime)) // not every writer has a connection behind it
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = conn.SetReadDeadline(time.Time{})
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, fault.New(fault.TooLarge, "a body has at most %d MiB", maxBody>>20)
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "invalidSyntax", "The body ended early"}
	}
	return body, nil
}

// into reads JSON. Keys that are not known are left out: directories send all they have.
func (r *request) into(v any) error {
	if err := json.Unmarshal(r.body, v); err != nil {
		return &refusal{http.StatusBadRequest, "invalidSyntax", "The body is not the JSON that was expected: " + err.Error()}
	}
	return nil
}

// A refusal is an error in SCIM's own words.
type refusal struct {
	status int
	kind   string // scimType
	detail string
}

func (r *refusal) Error() string { return r.detail }

// fail answers with an error in SCIM's form (RFC 7644 3.12).
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if x, ok := errors.AsType[*refusal](err); ok {
		writeError(w, x.status, x.kind, x.detail)
		return
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		if r.Context().Err() == nil {
			h.Log.ErrorContext(r.Context(), "directory's request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		}
		writeError(w, http.StatusInternalServerError, "", "Internal error")
		return
	}
	detail := f.Message
	if f.Field != "" {
		detail = f.Field + ": " + detail
	}
	switch f.Kind {
	case fault.Invalid:
		writeError(w, http.StatusBadRequest, "invalidValue", detail)
	case fault.Unauthenticated:
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeError(w, http.StatusUnauthorized, "", f.Message)
	case fault.NotFound:
		writeError(w, http.StatusNotFound, "", "There is no such resource")
	case fault.Conflict:
		kind := "uniqueness"
		if f.Field == "" {
			kind = ""
		}
		writeError(w, http.StatusConflict, kind, f.Message)
	case fault.TooLarge:
		writeError(w, http.StatusRequestEntityTooLarge, "", f.Message)
	case fault.Limited:
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusTooManyRequests, "", f.Message)
	case fault.Forbidden:
		writeError(w, http.StatusForbidden, "", f.Message)
	default:
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, "", f.Message)
	}
}

func writeError(w http.ResponseWriter, status int, kind, detail string) {
	m := map[string]any{"schemas": []string{errorSchema}, "status": strconv.Itoa(status), "detail": detail}
	if kind != "" {
		m["scimType"] = kind
	}
	write(w, status, m)
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts, numbers and lists always marshal
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the directory may have gone; nothing to do about it
}

// chosen leaves in a resource what attributes and excludedAttributes ask for (RFC 7644
// 3.9).
func chosen(m map[string]any, r *http.Request) map[string]any {
	list := func(name string) []string {
		v := r.URL.Query().Get(name)
		if v == "" {
			return nil
		}
		all := strings.Split(v, ",")
		for i, a := range all {
			a, _, _ = strings.Cut(strings.TrimSpace(plainAttribute(a)), ".")
			all[i] = a
		}
		return all
	}
	only, without := list("attributes"), list("excludedAttributes")
	if only == nil && without == nil {
		return m
	}
	has := func(all []string, name string) bool {
		for _, a := range all {
			if strings.EqualFold(a, name) {
				return true
			}
		}
		return false
	}
	out := map[string]any{}
	for k, v := range m {
		always := k == "id" || k == "schemas"
		if always || (only == nil || has(only, k)) && !has(without, k) {
			out[k] = v
		}
	}
	return out
}

// page reads startIndex, which counts from 1, and count.
func page(r *request) (from, size int, err error) {
	q := r.URL.Query()
	from, size = 1, standardPage
	for name, to := range map[string]*int{"startIndex": &from, "count": &size} {
		if v := q.Get(name); v != "" {
			if *to, err = strconv.Atoi(v); err != nil {
				return 0, 0, &refusal{http.StatusBadRequest, "invalidValue", name + " is not a number"}
			}
		}
	}
	return max(from, 1) - 1, min(max(size, 0), maxPage), nil
}

func listOf(total int64, from int, resources []map[string]any) map[string]any {
	if resources == nil {
		resources = []map[string]any{}
	}
	return map[string]any{"schemas": []string{listSchema}, "totalResults": total, "startIndex": from + 1, "itemsPerPage": len(resources), "Resources": resources}
}

func (h *handler) location(kind, id string) string { return h.URL() + Base + "/" + kind + "/" + id }

func (h *handler) meta(kind, id string, created, changed time.Time, version int64) map[string]any {
	return map[string]any{
		"resourceType": strings.TrimSuffix(kind, "s"), "location": h.location(kind, id), "created": created.UTC().Format(time.RFC3339Nano), "lastModified": changed.UTC().Format(time.RFC3339Nano),
		"version": fmt.Sprintf(`W/"%d"`, version),
	}
}
