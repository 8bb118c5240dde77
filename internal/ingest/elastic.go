package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// InputElastic is the door for what sends to Elasticsearch.
const InputElastic = "elastic"

// elasticVersion is what we answer to clients that ask: Beats refuse a server that
// is older than they are, so it is one that stays ahead.
const elasticVersion = "9.99.0"

const productHeader = "X-Elastic-Product"

// elasticRoute returns what serves a path of Elasticsearch: the bulk API and as much
// of the rest as shippers ask for before they send; nil for any other path. Its
// paths cannot be told by patterns: an index may stand where a name does.
func (d *Doors) elasticRoute(r *http.Request, path string) http.HandlerFunc {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	writes := r.Method == http.MethodPost || r.Method == http.MethodPut
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	last := parts[len(parts)-1]
	name := len(parts) > 1 && parts[0] != "" && parts[0][0] != '_' // an index, a data stream
	switch {
	case writes && (last == "_bulk" && (len(parts) == 1 || len(parts) == 2 && name)):
		index := ""
		if len(parts) == 2 {
			index = parts[0]
		}
		return func(w http.ResponseWriter, r *http.Request) { d.elasticBulk(w, r, index) }
	case writes && name && len(parts) <= 3 && (parts[1] == "_doc" || parts[1] == "_create" && len(parts) == 3):
		id := ""
		if len(parts) == 3 {
			id = parts[2]
		}
		op := "index"
		if parts[1] == "_create" || r.URL.Query().Get("op_type") == "create" {
			op = "create"
		}
		return func(w http.ResponseWriter, r *http.Request) {
			d.elasticDocument(w, r, bulkItem{op: op, index: parts[0], id: id, record: -1})
		}
	case reads && path == "/":
		return d.elasticHello(elasticRoot)
	}
	body, known := elasticAnswers[parts[0]]
	switch {
	case known && reads:
		return d.elasticHello(body)
	case known && writes:
		return d.elasticHello(map[string]any{"acknowledged": true})
	}
	return nil
}

var elasticRoot = map[string]any{
	"name": "kyra", "cluster_name": "kyra", "cluster_uuid": "kyra",
	"version": map[string]any{
		"number": elasticVersion, "build_flavor": "default", "build_type": "tar", "build_snapshot": false, "build_hash": "0", "build_date": "2026-01-01T00:00:00Z",
		"lucene_version": "10.0.0", "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
	},
	"tagline": "You Know, for Search",
}

// elasticAnswers is what the paths that begin so answer.
var elasticAnswers = map[string]map[string]any{
	"_license": {"license": map[string]any{"uid": "kyra", "type": "basic", "status": "active", "mode": "basic"}},
	"_xpack":   {"build": map[string]any{}, "license": map[string]any{"type": "basic", "mode": "basic", "status": "active"}, "features": map[string]any{}},
	"_cluster": {"cluster_name": "kyra", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1},
	"_nodes":   {}, "_index_template": {}, "_component_template": {}, "_template": {}, "_ilm": {}, "_ingest": {}, "_data_stream": {}, "_logstash": {}, "_alias": {}, "_cat": {}, "_security": {},
}

// isElasticClient tells those that ask for / from people with a browser.
func isElasticClient(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" && !strings.Contains(r.Header.Get("Accept"), "text/html")
}

// elasticHeader marks the answer as that of the product that clients insist on, in
// the content type that they asked for.
func elasticHeader(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(productHeader, "Elasticsearch")
	kind := "application/json"
	if accept := r.Header.Get("Accept"); strings.HasPrefix(accept, "application/vnd.elasticsearch+") {
		_, version, _ := strings.Cut(accept, ";")
		kind = "application/vnd.elasticsearch+json;" + strings.TrimSpace(version)
	}
	w.Header().Set("Content-Type", kind)
}

func (d *Doors) elasticHello(body any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		elasticHeader(w, r)
		if _, err := d.admit(r, secretOf(r)); err != nil {
			d.elasticRefuse(w, r, &Caller{}, nil, err)
			return
		}
		d.answerJSON(w, r, http.StatusOK, body)
	}
}

type elasticError struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`

	IndexUUID string `json:"index_uuid,omitempty"`
	Shard     string `json:"shard,omitempty"`
	Index     string `json:"index,omitempty"`
}

// elasticConflict is how Elasticsearch words that a document to be created is there:
// shippers take it as done.
func elasticConflict(index, id string) *elasticError {
	return &elasticError{
		Type: "version_conflict_engine_exception", Reason: "[" + id + "]: version conflict, document already exists (current version [1])",
		IndexUUID: "kyra", Shard: "0", Index: index,
	}
}

func (d *Doors) elasticRefuse(w http.ResponseWriter, r *http.Request, c *Caller, x *Intake, err error) {
	p := d.refuse(w, r, InputElastic, c, x, err)
	kind := map[int]string{
		http.StatusUnauthorized: "security_exception", http.StatusTooManyRequests: "es_rejected_execution_exception", http.StatusServiceUnavailable: "es_rejected_execution_exception",
	}[p.Status]
	if kind == "" {
		kind = "illegal_argument_exception"
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", `Basic realm="KYRA ingest", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", "ApiKey")
	}
	e := elasticError{Type: kind, Reason: p.Text}
	d.answerJSON(w, r, p.Status, map[string]any{"error": map[string]any{"root_cause": []elasticError{e}, "type": e.Type, "reason": e.Reason}, "status": p.Status})
}

// A bulkItem is one action of a bulk body.
type bulkItem struct {
	op, index, id string
	record        int    // its number among the records, -1: it was not taken
	fault         string // why not
	again         bool   // it has the id of a document that was taken before, or of that record
}

func (d *Doors) elasticBulk(w http.ResponseWriter, r *http.Request, index string) {
	started := time.Now()
	elasticHeader(w, r)
	c, err := d.admit(r, secretOf(r))
	if err != nil {
		d.elasticRefuse(w, r, &c, nil, err)
		return
	}
	b := bulk{intake: d.intake(r, c, InputElastic), index: index, recent: &d.documents, ids: map[recentID]int{}}
	defer b.intake.end()
	err = d.read(w, r, r.Header.Get("Content-Encoding"), func(body io.Reader) error { return b.run(r, body) })
	stopped := b.intake.stopped
	if err != nil && (stopped == nil || b.intake.Accepted() == 0) {
		d.elasticRefuse(w, r, &c, b.intake, err)
		return
	}
	if stopped != nil {
		d.gate.stats.of(InputElastic).reject(d.gate.refusal(r.Context(), &c, stopped).reason, b.intake.added-b.intake.Accepted())
	}
	b.remember()
	d.bulkAnswer(w, r, &b, time.Since(started))
}

// A bulk is one bulk body on its way in.
type bulk struct {
	intake *Intake
	index  string // of the path
	items  []bulkItem

	recent *recentIDs
	ids    map[recentID]int // of this body: their records
}

// maxBulkItems bounds the actions of one body: each has a part of the answer.
const maxBulkItems = 1_000_000

// run reads action lines and documents. rsyslog writes blank lines between them.
func (b *bulk) run(r *http.Request, body io.Reader) error {
	ctx := r.Context()
	in := bufio.NewReaderSize(body, 64<<10)
	for line := 1; ; line++ {
		action, err := readLine(in)
		if len(action) > 0 {
			item, document, wrong := b.action(action)
			if wrong != nil {
				return errors.Join(b.intake.Flush(ctx), fault.New(fault.Invalid, "line %d is no action of the bulk API: %s", line, wrong.Error()).In("body"))
			}
			if len(b.items) >= maxBulkItems {
				return errors.Join(b.intake.Flush(ctx), errTooLarge)
			}
			if document {
				var text []byte
				for len(text) == 0 && err == nil {
					text, err = readLine(in)
					line++
				}
				switch {
				case len(text) == 0:
					item.fault = "the document is missing"
				case item.fault == "":
					b.take(ctx, &item, text)
				}
			}
			b.items = append(b.items, item)
		}
		if err != nil {
			flush := b.intake.Flush(ctx)
			if errors.Is(err, io.EOF) {
				if len(b.items) == 0 {
					return errNothing
				}
				return flush
			}
			return errors.Join(flush, err)
		}
	}
}

// take takes a document in. One that is no JSON is kept as text, as everything that cannot
// be read. One whose id has come before is not: the pipeline would make no event of it.
func (b *bulk) take(ctx context.Context, item *bulkItem, text []byte) {
	if item.id == "" {
		if b.intake.Add(ctx, text) == nil {
			item.record = b.intake.added - 1
		}
		return
	}
	name := documentID(item.index, item.id)
	id := newRecentID(&b.intake.caller, name)
	if n, ok := b.ids[id]; ok {
		item.record, item.again = n, true
		return
	}
	if b.recent.has(id) {
		item.again = true
		return
	}
	if b.intake.addAs(ctx, text, false, name) == nil {
		item.record = b.intake.added - 1
		b.ids[id] = item.record
	}
}

// remember keeps the ids of what is synced, and counts what came again.
func (b *bulk) remember() {
	for id, n := range b.ids {
		if n < b.intake.Accepted() {
			b.recent.add(id)
		}
	}
	again := 0
	for i := range b.items {
		if x := &b.items[i]; x.again && x.record < b.intake.Accepted() {
			again++
		}
	}
	b.intake.in.reject("resend", again)
}

// readLine returns a line without its end, cut a little over what a record may be.
func readLine(in *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := framing.MaxRecord + 1 - len(out); room > 0 {
			out = append(out, part[:min(len(part), room)]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(out), err
		}
	}
}

// action reads an action line, and tells whether a document follows.
func (b *bulk) action(line []byte) (item bulkItem, document bool, err error) {
	var action map[string]*struct {
		Index string          `json:"_index"`
		ID    json.RawMessage `json:"_id"`
	}
	if err := json.Unmarshal(line, &action); err != nil || len(action) != 1 {
		return item, false, errors.New("it must be an object with one key: index or create")
	}
	for op, about := range action {
		item = bulkItem{op: op, index: b.index, record: -1}
		if about != nil {
			if about.Index != "" {
				item.index = about.Index
			}
			if item.id, err = elasticID(about.ID); err != nil {
				return item, false, err
			}
		}
	}
	switch item.op {
	case "index", "create":
		return item, true, nil
	case "update":
		item.fault = "events are never changed: update is not supported"
		return item, true, nil
	case "delete":
		item.fault = "events are never deleted by their senders: delete is not supported"
		return item, false, nil
	}
	return item, false, fmt.Errorf("unknown action %q", item.op)
}

// elasticID reads the value of _id, which may be a number of any length. "" and null name
// nothing.
func elasticID(value json.RawMessage) (string, error) {
	switch {
	case len(value) == 0 || string(value) == "null":
		return "", nil
	case value[0] == '"':
		var id string
		err := json.Unmarshal(value, &id)
		return id, err
	case value[0] == '{' || value[0] == '[':
		return "", errors.New("_id must be a string or a number")
	}
	return string(value), nil
}

// bulkAnswer writes one item for each action, in order. The form is compact, since
// some clients look for `"errors":false,"items":[` before they parse.
func (d *Doors) bulkAnswer(w http.ResponseWriter, r *http.Request, b *bulk, took time.Duration) {
	why := ""
	if b.intake.stopped != nil {
		why = d.gate.refusal(r.Context(), &b.intake.caller, b.intake.stopped).Text
	}
	wrong := false
	var items bytes.Buffer
	for i := range b.items {
		x := &b.items[i]
		status := http.StatusCreated
		var e *elasticError
		switch {
		case x.fault != "":
			status, e = http.StatusBadRequest, &elasticError{Type: "illegal_argument_exception", Reason: x.fault}
		case x.record >= b.intake.Accepted() || x.record < 0 && !x.again:
			status, e = http.StatusTooManyRequests, &elasticError{Type: "es_rejected_execution_exception", Reason: why}
		case x.again && x.op == "create":
			status, e = http.StatusConflict, elasticConflict(x.index, x.id)
		case x.again:
			status = http.StatusOK
		}
		if i > 0 {
			items.WriteByte(',')
		}
		wrong = wrong || e != nil
		x.write(&items, status, e, r.URL.Query().Get("filter_path") != "")
	}
	out := fmt.Appendf(nil, `{"took":%d,"errors":%t,"items":[`, took.Milliseconds(), wrong)
	out = append(out, items.Bytes()...)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(out, "]}"...)) // the sender may have left
}

// write writes the item; short leaves out what a sender that filters does not read.
func (x *bulkItem) write(b *bytes.Buffer, status int, e *elasticError, short bool) {
	op, _ := json.Marshal(x.op)
	fmt.Fprintf(b, `{%s:{`, op)
	if !short {
		id := x.id
		if id == "" {
			id = newDocumentID()
		}
		index, _ := json.Marshal(x.index)
		name, _ := json.Marshal(id)
		fmt.Fprintf(b, `"_index":%s,"_id":%s,`, index, name)
		if e == nil {
			version, result := x.outcome()
			fmt.Fprintf(b, `"_version":%d,"result":%q,"_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,`, version, result)
		}
	}
	fmt.Fprintf(b, `"status":%d`, status)
	if e != nil {
		text, _ := json.Marshal(e)
		fmt.Fprintf(b, `,"error":%s`, text)
	}
	b.WriteString("}}")
}

// outcome is what a document is told that was taken. An index action with the id of
// another would have replaced it: events are never changed, so it is a resend that the
// sender may forget.
func (x *bulkItem) outcome() (version int, result string) {
	if x.again {
		return 2, "updated"
	}
	return 1, "created"
}

func newDocumentID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}
