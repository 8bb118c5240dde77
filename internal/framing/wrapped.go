package framing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// maxHead bounds what may stand in a wrapper before its records.
const maxHead = 4 << 10

// wrapped tells whether the object that begins lead bytes after pos wraps records, as
// clouds hand them out, and how many bytes from pos on stand before the first:
//
//	{"Records":[{…},{…}]}                          CloudTrail and other services of AWS
//	{"records":[{…},{…}]}                          Azure's diagnostic settings
//	{"@odata.context":"…","value":[{…},{…}]}       Microsoft Graph and Azure's activity API
//	{"kind":"admin#reports#activities","items":[…  Google Workspace, lists of Kubernetes
//
// A name that events have too, such as items, counts only as the first one, or where
// what stands before says that this is a list.
func (r *Reader) wrapped(lead int) int {
	i := lead + 1
	for first := true; ; first = false {
		key, next := r.headString(i, lead)
		if next < 0 {
			return 0
		}
		c, j := r.peek(next, true)
		if c != ':' || j < 0 {
			return 0
		}
		switch key {
		case "Records", "records", "value", "items":
			if key != "value" && key != "items" && !first {
				return 0
			}
			if c, j = r.peek(j+1, true); c != '[' || j < 0 {
				return 0
			}
			if c, _ := r.peek(j+1, true); c != '{' {
				return 0
			}
			return j + 1
		}
		if i = r.headMember(key, j+1, lead); i < 0 {
			return 0
		}
	}
}

// headString reads the string at i (from pos) and returns it with the index behind.
func (r *Reader) headString(i, lead int) (text string, next int) {
	c, i := r.peek(i, true)
	if i < 0 || c != '"' {
		return "", -1
	}
	for j := i + 1; j-lead < maxHead; j++ {
		if r.pos+j >= len(r.buf) && !r.fill() {
			return "", -1
		}
		switch r.buf[r.pos+j] {
		case '"':
			return string(r.buf[r.pos+i+1 : r.pos+j]), j + 1
		case '\\', '\n':
			return "", -1
		}
	}
	return "", -1
}

// headMember reads the value at i (from pos) of a member that may stand before records
// and returns the index behind its comma, -1 where this is no list.
func (r *Reader) headMember(key string, i, lead int) int {
	switch {
	case strings.HasPrefix(key, "@odata."):
	case key == "kind":
		kind, _ := r.headString(i, lead)
		if !strings.HasSuffix(kind, "List") && !strings.Contains(kind, "#") {
			return -1
		}
	case key == "apiVersion", key == "metadata", key == "etag", key == "nextPageToken":
	default:
		return -1
	}
	r.scan.reset()
	for i-lead < maxHead {
		if r.pos+i >= len(r.buf) && !r.fill() {
			return -1
		}
		n, v := r.scan.scan(r.buf[r.pos+i : min(len(r.buf), r.pos+lead+maxHead)])
		i += n
		if v == complete {
			c, j := r.peek(i, true)
			if c != ',' || j < 0 {
				return -1
			}
			return j + 1
		}
		if v == malformed {
			return -1
		}
	}
	return -1
}

// tail consumes what stands in a wrapper behind its records. Where that is more than
// how the list goes on, it is a record of its own: nothing is lost.
func (r *Reader) tail() (Record, bool) {
	c, i := r.peek(0, true)
	if i < 0 {
		r.advance(len(r.buf) - r.pos)
		return Record{}, false
	}
	r.behind = false
	if c == '}' {
		r.valued = true
		r.advance(i + 1)
		return Record{}, false
	}
	if c != ',' {
		return r.nextLine()
	}
	r.scan.reset()
	r.scan.scan([]byte("{"))
	n := i + 1
	for {
		k, v := r.scan.scan(r.buf[r.pos+n:])
		n += k
		switch {
		case v == complete:
			text := append([]byte("{"), r.buf[r.pos+i+1:r.pos+n]...)
			rec := Record{Text: text, Line: r.line, Value: true}
			if len(text) > r.limit {
				rec.Text, rec.Cut, rec.Value = text[:r.limit], true, false
			}
			r.advance(n)
			r.valued, rec.End = true, r.off
			return rec, !listOnly(text)
		case v == malformed, n > r.limit:
			return r.nextLine()
		}
		if !r.fill() {
			if !errors.Is(r.err, io.EOF) {
				r.torn, r.behind = true, true
				return Record{}, false
			}
			return r.nextLine()
		}
	}
}

// listOnly tells whether an object says only what every page of a list does.
func listOnly(text []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimSpace(text), &members) != nil {
		return false
	}
	for name := range members {
		switch {
		case strings.HasPrefix(name, "@odata."), name == "nextPageToken", name == "nextLink", name == "etag", name == "kind", name == "apiVersion", name == "metadata":
		default:
			return false
		}
	}
	return true
}
