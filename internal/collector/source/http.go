package source

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

type httpSpec struct {
	Common `yaml:",inline"`
	Listen string `yaml:"listen"` // host:port
	Token  string `yaml:"token"`  // that senders show as "Authorization: Bearer TOKEN"
	Cert   string `yaml:"cert"`   // PEM; plain HTTP without
	Key    string `yaml:"key"`
}

func newHTTP(s *httpSpec, _ Env) (Source, error) {
	if err := address("listen", s.Listen, true); err != nil {
		return nil, err
	}
	if len(s.Token) < 16 {
		return nil, wrong("token", "must have at least 16 characters: anybody who knows it can send")
	}
	secure, err := serverTLS(s.Cert, s.Key, "")
	if err != nil {
		return nil, err
	}
	return &httpDoor{spec: s, secure: secure, token: sha256.Sum256([]byte(s.Token))}, nil
}

// httpDoor takes text lines, NDJSON and JSON arrays by POST, and answers when
// they are on disk.
type httpDoor struct {
	spec   *httpSpec
	secure *tls.Config
	token  [sha256.Size]byte
}

// maxBody bounds a request, unpacked.
const maxBody = 64 << 20

// Run implements Source.
func (d *httpDoor) Run(ctx context.Context, out Output) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", d.spec.Listen)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	if d.secure != nil {
		ln = tls.NewListener(ln, d.secure)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, out) }),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		BaseContext:    func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(wait) != nil {
			server.Close() //nolint:errcheck // it has had its time
		}
	})
	err = server.Serve(ln)
	if stop() { // it ended by itself
		return fmt.Errorf("serve HTTP: %w", err)
	}
	<-stopped
	return nil
}

func (d *httpDoor) serve(w http.ResponseWriter, r *http.Request, out Output) {
	given := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	switch {
	case subtle.ConstantTimeCompare(given[:], d.token[:]) != 1:
		http.Error(w, "send the source's token as Authorization: Bearer TOKEN", http.StatusUnauthorized)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "send records by POST", http.StatusMethodNotAllowed)
		return
	}
	n, err := d.take(r, out)
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"records\":%d}\n", n)
	case r.Context().Err() != nil:
	case errors.Is(err, errBody):
		http.Error(w, fmt.Sprintf("%v; %d records before it were taken", err, n), http.StatusBadRequest)
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the collector is full or stopping: send again", http.StatusServiceUnavailable)
	}
}

var errBody = errors.New("the body cannot be read")

// take puts the records of a body and waits until they are on disk.
func (d *httpDoor) take(r *http.Request, out Output) (records int, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	plain, err := framing.Unpack(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errBody, err)
	}
	defer plain.Close()
	peer, _, _ := net.SplitHostPort(r.RemoteAddr)
	reader := framing.NewReader(io.LimitReader(plain, maxBody))
	var torn error
	for torn == nil {
		p := d.spec.piece("http", peer)
		size := 0
		for size < maxPiece && len(p.Chunk.Records) < maxPieceRecords {
			rec, err := reader.Next()
			if err != nil {
				torn = err
				break
			}
			if rec.Cut {
				p.Chunk.Cut = append(p.Chunk.Cut, uint32(len(p.Chunk.Records)))
			}
			p.Chunk.Records = append(p.Chunk.Records, string(rec.Text))
			size += len(rec.Text)
		}
		if len(p.Chunk.Records) > 0 {
			if err := out.Put(ctx, p); err != nil {
				return records, err
			}
			records += len(p.Chunk.Records)
		}
	}
	if err := out.Sync(ctx); err != nil {
		return records, err
	}
	if !errors.Is(torn, io.EOF) {
		return records, fmt.Errorf("%w: %w", errBody, torn)
	}
	return records, nil
}
