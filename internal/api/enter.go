package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
)

const (
	maxBody  = 1 << 20 // bytes of a control call
	maxDepth = 32      // nesting of a JSON body
	bodyTime = 30 * time.Second

	uploadTime = 5 * time.Minute
	maxUploads = 2 // at a time: each is held in memory
)

// enter does what every operation has in common, in this order: scope, query,
// body, safe retry, conditions. next is the operation itself.
func (a *api) enter(op *operation, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	who := senderOf(r)
	if !op.public {
		if p := refused(&who.Caller, op.right()); p != nil {
			p.write(w)
			return
		}
	}
	c := &call{Caller: who.Caller, signed: who.signed, from: remoteAddr(r)}
	c.languages = r.Header.Get("Accept-Language")
	var p *problem
	if c.query, p = parseQuery(op.params, r.URL.RawQuery); p != nil {
		p.write(w)
		return
	}
	if op.upload > 0 {
		select {
		case a.uploading <- struct{}{}:
			defer func() { <-a.uploading }()
		default:
			p := &problem{Err: "Service unavailable", Message: "Other files are being taken in, try again", Status: http.StatusServiceUnavailable, retryAfter: 5 * time.Second}
			p.write(w)
			return
		}
		c.media = r.Header.Get("Content-Type")
	}
	body, p := readBody(op, w, r)
	if p == nil && op.uuid {
		p = checkID(r)
	}
	if p != nil {
		p.write(w)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	r.Body = io.NopCloser(bytes.NewReader(body))

	switch {
	case op.method == http.MethodPost && !op.public && len(r.Header.Values("Idempotency-Key")) > 0:
		a.once(w, r, body, next)
	case op.method == http.MethodGet && op.single:
		answerIfChanged(w, r, next)
	case op.method == http.MethodPatch || op.method == http.MethodDelete || op.method == http.MethodPut && op.single:
		a.changeIfSame(op, c, w, r, next)
	default:
		next(bare{w}, r)
	}
}

// checkID brings the id of the path into its one form. What cannot be an id is
// answered as an unknown one.
func checkID(r *http.Request) *problem {
	const length = 36 // uuid.Parse takes other forms too
	given := r.PathValue("id")
	id, err := uuid.Parse(given)
	if err != nil || len(given) != length {
		return notFound()
	}
	r.SetPathValue("id", id.String())
	return nil
}

// bare hides the connection from huma, which would otherwise set and clear the
// server's read deadline; the body has been read already.
type bare struct{ http.ResponseWriter }

// readBody reads the whole body and checks that it is text of a known type and
// bounded depth, before anything is built from it.
func readBody(op *operation, w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	limit, within := int64(maxBody), bodyTime
	if op.upload > 0 {
		limit, within = op.upload, uploadTime
	}
	most := strconv.FormatInt(limit>>20, 10) + " MiB"
	if r.ContentLength > limit {
		return nil, tooLarge(most)
	}
	// Not every writer has a connection behind it; without one nothing can hang.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(within))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil {
		if _, over := errors.AsType[*http.MaxBytesError](err); over {
			return nil, tooLarge(most)
		}
		return nil, badRequest("Invalid body", "The body ended early")
	}
	if len(body) == 0 {
		return nil, nil
	}
	if op.method == http.MethodGet || op.method == http.MethodDelete {
		return nil, badRequest("Invalid body", "This call takes no body")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, badRequest("Invalid Content-Encoding", "Allowed: identity")
	}
	if op.upload > 0 {
		return body, uploadType(op, r)
	}
	if !utf8.Valid(body) {
		return nil, badRequest("Invalid body", "The body is not UTF-8")
	}
	json, p := contentType(op, r)
	if p != nil {
		return nil, p
	}
	if !json {
		if bytes.IndexByte(body, 0) >= 0 {
			return nil, badRequest("Invalid body", "The body holds a NUL character")
		}
		return body, nil
	}
	return body, checkJSON(body)
}

// contentType tells whether the body is JSON, which it is when nothing is said.
func contentType(op *operation, r *http.Request) (json bool, p *problem) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return true, nil
	}
	media, args, err := mime.ParseMediaType(header)
	charset := args["charset"]
	switch {
	case err != nil || (charset != "" && !strings.EqualFold(charset, "utf-8")):
	case media == "application/json":
		return true, nil
	case slices.Contains(op.media, media):
		return false, nil
	}
	types := append([]string{"application/json"}, op.media...)
	return false, badRequest("Invalid Content-Type", "Allowed: "+strings.Join(types, ", "))
}

// uploadType checks what a file says it is. Saying nothing is fine: its content tells.
func uploadType(op *operation, r *http.Request) *problem {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(header); err == nil && slices.Contains(op.media, media) {
		return nil
	}
	return badRequest("Invalid Content-Type", "Allowed: "+strings.Join(op.media, ", "))
}

// checkJSON bounds the nesting, so that no decoder recurses at the caller's will,
// and refuses NUL characters, which PostgreSQL cannot store. Whether the rest is
// JSON is left to the decoder.
func checkJSON(body []byte) *problem {
	depth := 0
	inText := false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case inText && c == '\\':
			if bytes.HasPrefix(body[i+1:], []byte("u0000")) {
				return badRequest("Invalid body", "The body holds a NUL character")
			}
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return badRequest("Invalid body", "Allowed: at most "+strconv.Itoa(maxDepth)+" levels of nesting")
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// recorded is an answer kept back until it is known what to do with it.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorded() *recorded { return &recorded{header: http.Header{}, status: http.StatusOK} }

func (r *recorded) Header() http.Header         { return r.header }
func (r *recorded) WriteHeader(status int)      { r.status = status }
func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }

func (r *recorded) send(w http.ResponseWriter) {
	for name, values := range r.header {
		if name != headerRevision {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the caller may have gone; nothing to do about it
}

// headerRevision is how a handler tells the version that people's changes count.
// It stays inside: the ETag carries it out.
const headerRevision = "X-Revision"

// tag returns the strong ETag of an answer: it changes with anything that the
// caller can see. Where the object counts its versions, that stands in front.
func (r *recorded) tag() string {
	sum := sha256.Sum256(r.body.Bytes())
	tag := base64.RawURLEncoding.EncodeToString(sum[:15])
	if rev := r.header.Get(headerRevision); rev != "" {
		tag = rev + "." + tag
	}
	return `"` + tag + `"`
}

// revision returns what an If-Match compares: the version where the tag has one,
// so that an alert's mere growth does not refuse a person's change.
func revision(tag string) string {
	if rev, _, ok := strings.Cut(tag, "."); ok {
		return rev + `"`
	}
	return tag
}

// answerIfChanged gives the answer its ETag, or 304 to a caller that has it.
func answerIfChanged(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	rec := newRecorded()
	next(rec, r)
	if rec.status == http.StatusOK {
		tag := rec.tag()
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "private, no-cache")
		if matches(r.Header.Values("If-None-Match"), tag, func(given string) bool {
			return strings.TrimPrefix(given, "W/") == tag
		}) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	rec.send(w)
}

// changeIfSame lets changes of one object pass one after the other, and only to
// the version that the caller has seen, where it says which.
func (a *api) changeIfSame(op *operation, c *call, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	defer a.changing.lock(&c.Caller, r.URL.Path)()
	if want := r.Header.Values("If-Match"); len(want) > 0 {
		if p := a.sameStill(c, r, want); p != nil {
			p.write(w)
			return
		}
	}
	rec := newRecorded()
	next(rec, r)
	if rec.status == http.StatusOK && op.single {
		w.Header().Set("ETag", rec.tag())
	}
	rec.send(w)
}

// sameStill asks for the object as it is now and compares. Where the object counts
// versions, the handler makes the change on exactly that one.
func (a *api) sameStill(c *call, r *http.Request, want []string) *problem {
	look := r.Clone(r.Context())
	look.Method, look.Body, look.ContentLength, look.URL.RawQuery = http.MethodGet, http.NoBody, 0, ""
	look.Header.Del("If-None-Match")
	rec := newRecorded()
	mux := a.mux
	if _, pattern := mux.Handler(look); pattern == "" {
		mux = a.frameworks
	}
	mux.ServeHTTP(rec, look)
	if rec.status == http.StatusNotFound {
		return notFound()
	}
	if rec.status != http.StatusOK {
		return &problem{Err: "Service unavailable", Message: "The object's present version could not be read", Status: http.StatusServiceUnavailable, retryAfter: time.Second}
	}
	tag := rec.header.Get("ETag")
	if !matches(want, tag, func(given string) bool { return revision(given) == revision(tag) }) {
		return changedSince()
	}
	if matches(want, tag, func(string) bool { return false }) {
		return nil // "*": any version
	}
	number, _, _ := strings.Cut(strings.Trim(revision(tag), `"`), "-")
	c.version, _ = strconv.ParseInt(number, 10, 64) // 0, any version, where it is none
	return nil
}

func changedSince() *problem {
	return &problem{
		Err: "Precondition failed", Message: "The object has changed since: read it again, then repeat the change",
		Status: http.StatusPreconditionFailed,
	}
}

// condition makes the failure of the caller's own condition a 412.
func (c *call) condition(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Conflict && f.Field == "version" {
		return changedSince()
	}
	return err
}

// matches looks through a list of ETags, as RFC 9110 13.1 writes them.
func matches(headers []string, tag string, same func(given string) bool) bool {
	for _, h := range headers {
		for given := range strings.SplitSeq(h, ",") {
			if given = strings.TrimSpace(given); given == "*" && tag != "" || same(given) {
				return true
			}
		}
	}
	return false
}

// locks is a fixed set of mutexes by name: two changes of one object exclude each
// other, two objects seldom do.
type locks [64]sync.Mutex

func (l *locks) lock(caller *identity.Caller, path string) (unlock func()) {
	h := sha256.Sum256([]byte(strconv.FormatUint(uint64(caller.Tenant.Number), 10) + " " + path))
	m := &l[h[0]%64]
	m.Lock()
	return m.Unlock
}
