package api

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	onceFor       = 24 * time.Hour
	onceAbandoned = time.Minute // after which a request without an answer is taken for dead
	maxOnceKey    = 255
)

// kept is an answer as it is stored, sealed.
type kept struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// claim is what became of the attempt to be the first with an Idempotency-Key.
type claim int

const (
	first    claim = iota // go on, then store the answer
	replay                // the answer is there
	underway              // the first request has not been answered yet
	differs               // the key was used for another request
)

// once carries out a request with an Idempotency-Key: the first time for real, and
// the next times from the stored answer.
func (a *api) once(w http.ResponseWriter, r *http.Request, body []byte, next http.HandlerFunc) {
	given := r.Header.Values("Idempotency-Key")
	if len(given) != 1 || given[0] == "" || len(given[0]) > maxOnceKey || !printable(given[0]) {
		invalid("Idempotency-Key", fmt.Sprintf("Allowed: 1 to %d printable ASCII characters, once", maxOnceKey)).write(w)
		return
	}
	ctx := r.Context()
	who := callerOf(r)
	caller := who.ID()
	name, request := hexSum([]byte(given[0])), hexSum([]byte(r.Method+"\x00"+r.URL.Path+"\x00"+r.URL.RawQuery+"\x00"), body)
	secret := r.Header.Get("Authorization")
	if secret == "" {
		secret = a.sessionToken(r)
	}
	box, err := sealer(secret)
	if err != nil {
		problemFor(ctx, a.log, err).write(w)
		return
	}
	state, sealed, err := a.claim(ctx, caller, name, request)
	if err != nil {
		problemFor(ctx, a.log, err).write(w)
		return
	}
	switch state {
	case first:
		rec := newRecorded()
		// The answer must be kept although the caller hangs up meanwhile: it will
		// come back and ask.
		keep := context.WithoutCancel(ctx)
		done := false
		defer func() {
			if !done { // it panicked
				a.release(keep, caller, name)
			}
		}()
		next(rec, r)
		done = true
		if rec.status >= http.StatusInternalServerError || rec.status == http.StatusTooManyRequests {
			a.release(keep, caller, name)
		} else {
			a.store(keep, box, caller, name, rec)
		}
		rec.send(w)
	case replay:
		rec, err := unseal(box, caller+name, sealed)
		if err != nil {
			problemFor(ctx, a.log, err).write(w)
			return
		}
		w.Header().Set("Idempotency-Replayed", "true")
		rec.send(w)
	case underway:
		p := conflict("The first request with this Idempotency-Key is still under way")
		p.retryAfter = time.Second
		p.write(w)
	case differs:
		conflict("This Idempotency-Key was used for another request").write(w)
	}
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func hexSum(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// claim makes the caller the first, or tells what the first has left.
func (a *api) claim(ctx context.Context, caller, name, request string) (state claim, sealed []byte, err error) {
	now := a.Now()
	err = a.DB.Tx(ctx, func(tx *sqldb.DB) error {
		state, sealed = first, nil
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM api_once WHERE created_at < $1`, now.Add(-onceFor).UnixMicro()); err != nil {
			return err
		}
		n, err := sqldb.Exec(ctx, tx, `
			INSERT INTO api_once (caller, name, request, created_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (caller, name) DO NOTHING`, caller, name, request, now.UnixMicro())
		if err != nil || n == 1 {
			return err
		}
		type row struct {
			request string
			answer  []byte
			at      time.Time
		}
		had, err := sqldb.One(ctx, tx, func(rows *sql.Rows, v *row) error {
			return rows.Scan(&v.request, &v.answer, sqldb.Micros(&v.at))
		}, `SELECT request, answer, created_at FROM api_once WHERE caller = $1 AND name = $2`, caller, name)
		switch {
		case err != nil:
			return err
		case had.request != request:
			state = differs
		case had.answer != nil:
			state, sealed = replay, had.answer
		case now.Sub(had.at) < onceAbandoned:
			state = underway
		default: // its process died
			_, err = sqldb.Exec(ctx, tx, `UPDATE api_once SET created_at = $1 WHERE caller = $2 AND name = $3`, now.UnixMicro(), caller, name)
		}
		return err
	})
	if err != nil {
		return first, nil, fmt.Errorf("claim an idempotency key: %w", err)
	}
	return state, sealed, nil
}

// release lets the next request be the first.
func (a *api) release(ctx context.Context, caller, name string) {
	if _, err := sqldb.Exec(ctx, a.DB, `DELETE FROM api_once WHERE caller = $1 AND name = $2`, caller, name); err != nil {
		a.log.ErrorContext(ctx, "idempotency key not released", "err", err)
	}
}

func (a *api) store(ctx context.Context, box cipher.AEAD, caller, name string, rec *recorded) {
	sealed, err := seal(box, caller+name, rec)
	if err == nil {
		_, err = sqldb.Exec(ctx, a.DB, `UPDATE api_once SET answer = $1 WHERE caller = $2 AND name = $3`, sealed, caller, name)
	}
	if err != nil {
		// What was done is done and its answer goes out; only a repetition within
		// the next minute is answered with 409 instead of the replay.
		a.log.ErrorContext(ctx, "answer under an idempotency key not kept", "err", err)
	}
}

// sealer makes the cipher that answers are stored under. Its key comes from the
// caller's own secret, which is not in the database: stored answers, a new API key
// among them, are of no use to who reads the database.
func sealer(secret string) (cipher.AEAD, error) {
	sum := sha256.Sum256([]byte("kyra idempotency 1\x00" + secret))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, fmt.Errorf("seal an answer: %w", err)
	}
	return cipher.NewGCM(block)
}

func seal(box cipher.AEAD, where string, rec *recorded) ([]byte, error) {
	plain, err := json.Marshal(kept{rec.status, rec.header, rec.body.Bytes()})
	if err != nil {
		return nil, fmt.Errorf("seal an answer: %w", err)
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce) // never fails, see its documentation
	return box.Seal(nonce, nonce, plain, []byte(where)), nil
}

func unseal(box cipher.AEAD, where string, sealed []byte) (*recorded, error) {
	n := box.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("unseal an answer: too short")
	}
	plain, err := box.Open(nil, sealed[:n], sealed[n:], []byte(where))
	if err != nil {
		return nil, fmt.Errorf("unseal an answer: %w", err)
	}
	var k kept
	if err := json.Unmarshal(plain, &k); err != nil {
		return nil, fmt.Errorf("unseal an answer: %w", err)
	}
	rec := newRecorded()
	rec.status, rec.header = k.Status, k.Header
	rec.body.Write(k.Body)
	return rec, nil
}
