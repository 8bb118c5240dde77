package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"

	"github.com/google/uuid"
)

// answer remembers whether something was sent: after that no error can be.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// requestID takes the caller's own id where it is short and plain, so that it can
// follow its request through our log, and else makes one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 && plain(id) {
		return id
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "unknown" // no entropy: the request itself may still succeed
	}
	return id.String()
}

func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

func stack() string {
	const most = 8 << 10
	s := debug.Stack()
	return string(s[:min(len(s), most)])
}

// appender is a body that writes its own JSON, where reflection over maps would
// be the greatest cost of a call.
type appender interface {
	appendJSON(b []byte) []byte
}

func marshal(w io.Writer, v any) error {
	if a, ok := v.(appender); ok {
		_, err := w.Write(append(a.appendJSON(nil), '\n'))
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// unmarshal words what is wrong with the text; what is wrong with values is
// checked before, by the schema.
func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		if len(bytes.TrimSpace(data)) == 0 || int(s.Offset) >= len(data) {
			return errors.New("the JSON ends early")
		}
		return fmt.Errorf("the JSON is broken at byte %d", s.Offset)
	}
	return err
}
