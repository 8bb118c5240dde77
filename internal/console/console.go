// Package console serves the web console: the files that scripts/console builds
// from the sources in console/, embedded, with the headers that keep a browser
// from running anything else. It knows nothing of the API that the console calls.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

//go:embed all:dist
var dist embed.FS

// policy lets a page load only what this server offers. There is no inline script
// and no inline style element; the console sets styles through the DOM, which needs
// no permission.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// kinds are the types of the files there are; a system's own table may say otherwise.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2",
}

// file is one embedded file as it is sent.
type file struct {
	body, kind, etag string
	cache            string
	zipped           func() string // gzip; "" where that does not make it smaller
}

// Handler serves the console: its files by their names, and its page for every
// other address that a browser opens, since the page itself finds out what the
// address means. Everything else goes to next: paths below /api and /ingest, and
// whatever does not ask for a page.
func Handler(next http.Handler) (http.Handler, error) {
	files, err := load(dist)
	if err != nil {
		return nil, err
	}
	page := files["index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		if f, ok := files[strings.TrimPrefix(r.URL.Path, "/")]; ok {
			f.serve(w, r)
			return
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/assets/"):
			// A page from before an update asks for what is gone: the page would not do.
			secure(w.Header(), r)
			http.Error(w, "there is no such file in this version: load the page again", http.StatusNotFound)
		case opensPage(r):
			page.serve(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	}), nil
}

// opensPage tells a browser that opens an address from a program that calls the API
// or a door of senders: those do not ask for HTML.
func opensPage(r *http.Request) bool {
	for _, own := range []string{"/api", "/ingest"} {
		if r.URL.Path == own || strings.HasPrefix(r.URL.Path, own+"/") {
			return false
		}
	}
	return r.Header.Get("Authorization") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

func load(from fs.FS) (map[string]*file, error) {
	files := map[string]*file{}
	root, err := fs.Sub(from, "dist")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files[name] = newFile(name, string(body))
		return nil
	})
	if err == nil && files["index.html"] == nil {
		err = fs.ErrNotExist
	}
	return files, err
}

func newFile(name, body string) *file {
	sum := sha256.Sum256([]byte(body))
	f := &file{body: body, kind: kinds[path.Ext(name)], etag: hex.EncodeToString(sum[:12]), cache: "no-cache"}
	if f.kind == "" {
		f.kind = "application/octet-stream"
	}
	if strings.HasPrefix(name, "assets/") {
		f.cache = "public, max-age=31536000, immutable" // their names carry a hash of their content
	}
	f.zipped = sync.OnceValue(func() string {
		var out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is a valid one
		_, _ = z.Write([]byte(body))                            // a buffer takes everything
		_ = z.Close()
		if out.Len() >= len(body) {
			return ""
		}
		return out.String()
	})
	return f
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	secure(h, r)
	h.Set("Cache-Control", f.cache)
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.body, f.etag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		if z := f.zipped(); z != "" {
			body, etag = z, etag+"-gzip"
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	for given := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(given), "W/") == `"`+etag+`"` {
			h.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write([]byte(body)) // the browser may have left
}

// acceptsGzip reads Accept-Encoding as far as browsers write it.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.Trim(strings.TrimPrefix(strings.TrimSpace(q), "q="), "0.") != "" || q == ""
		}
	}
	return false
}

// secure sets the headers that every answer of the console carries.
func secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self), publickey-credentials-create=(self)")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
