package ingest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// maxID bounds an id as it goes through the queue; a longer one goes as its hash.
const maxID = 512

// maxOnce bounds an Idempotency-Key, as for the rest of the API.
const maxOnce = 255

// onceKey returns the Idempotency-Key of a request, "" where there is none.
func onceKey(h http.Header) (string, error) {
	given := h.Values("Idempotency-Key")
	if len(given) == 0 {
		return "", nil
	}
	bad := strings.ContainsFunc(given[0], func(c rune) bool { return c < ' ' || c > '~' })
	if len(given) != 1 || given[0] == "" || len(given[0]) > maxOnce || bad {
		return "", fault.New(fault.Invalid, "Allowed: 1 to %d printable ASCII characters, once", maxOnce).In("Idempotency-Key")
	}
	return given[0], nil
}

// deliveries are the headers under which services say that a delivery is the same as one
// before: Standard Webhooks, GitHub, Jira and Confluence.
var deliveries = []string{"Webhook-Id", "X-Github-Delivery", "X-Atlassian-Webhook-Identifier"}

// onceOf is what the sender of a request to a door says that a second sending has too. A
// door refuses nothing for the form of it.
func onceOf(h http.Header) string {
	if key, err := onceKey(h); key != "" && err == nil {
		return "idempotency-key\x00" + key
	}
	for _, name := range deliveries {
		if v := h.Get(name); v != "" && len(v) <= maxOnce {
			return name + "\x00" + v
		}
	}
	return ""
}

// onceID names the record at a place of a body that was sent under once. What it says is
// part of its name, lest a sender that uses a key for two bodies loses the second.
func onceID(once string, place int, record []byte) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d\x00%s\x00%d\x00", len(once), once, place)
	_, _ = h.Write(record)
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil)[:16])
}

// documentID names a document of an index of Elasticsearch.
func documentID(index, id string) string {
	if len(index)+1+len(id) <= maxID {
		return index + "\x00" + id
	}
	sum := sha256.Sum256([]byte(strconv.Itoa(len(index)) + index + id))
	return "sha256\x00" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// recentIDs remembers ids whose records this process has acknowledged, to answer a
// second sending as it deserves. It is a courtesy: what it has forgotten is taken, and
// the pipeline still makes no second event of it.
type recentIDs struct {
	mu          sync.Mutex
	now, before map[recentID]struct{}
	since       time.Time
}

type recentID [16]byte

// Bounds of one of the two generations.
const (
	maxRecent  = 100_000
	recentTerm = 24 * time.Hour
)

func newRecentID(c *Caller, id string) recentID {
	b := binary.BigEndian.AppendUint32(nil, c.Number)
	b = append(binary.AppendUvarint(b, uint64(len(c.Key))), c.Key...)
	sum := sha256.Sum256(append(b, id...))
	return recentID(sum[:16])
}

func (r *recentIDs) has(id recentID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn()
	_, now := r.now[id]
	_, before := r.before[id]
	return now || before
}

func (r *recentIDs) add(id recentID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn()
	r.now[id] = struct{}{}
}

func (r *recentIDs) turn() {
	if r.now == nil || len(r.now) >= maxRecent || time.Since(r.since) > recentTerm {
		r.before, r.now, r.since = r.now, map[recentID]struct{}{}, time.Now()
	}
}
