package intel

import (
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// maxItem bounds one element of a JSON feed, in bytes.
const maxItem = 64 << 20

// elements calls f with each element of the topmost array, or of the arrays under the
// keys of the topmost object, and with each other value of that object. Elements are
// read one at a time, so that a feed may be large.
func elements(r io.Reader, keys []string, f func(key string, item json.RawMessage) error) error {
	d := json.NewDecoder(&nested{r: r})
	first, err := d.Token()
	if err != nil {
		return jsonError(err)
	}
	array := func(key string) error {
		for d.More() {
			var item json.RawMessage
			if err := d.Decode(&item); err != nil {
				return jsonError(err)
			}
			if len(item) > maxItem {
				return fault.New(fault.Invalid, "an entry is larger than %d MiB", maxItem>>20)
			}
			if err := f(key, item); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return jsonError(err)
	}
	switch first {
	case json.Delim('['):
		return array("")
	case json.Delim('{'):
	default:
		return fault.New(fault.Invalid, "the document is neither a JSON object nor an array")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return jsonError(err)
		}
		key, _ := name.(string)
		if !slices.Contains(keys, key) {
			var item json.RawMessage
			if err := d.Decode(&item); err != nil {
				return jsonError(err)
			}
			if len(item) > maxItem {
				return fault.New(fault.Invalid, "an entry is larger than %d MiB", maxItem>>20)
			}
			if err := f(key, item); err != nil {
				return err
			}
			continue
		}
		open, err := d.Token()
		if err != nil {
			return jsonError(err)
		}
		if open == json.Delim('[') {
			if err := array(key); err != nil {
				return err
			}
			continue
		}
		if open == json.Delim('{') {
			return fault.New(fault.Invalid, "%q is an object where an array is expected", clip(clean(key), 50))
		}
	}
	return nil
}

func jsonError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, "the JSON document ends early")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fault.New(fault.Invalid, "the document is no JSON: %v", err)
	}
	return err
}

// nested is a reader of JSON that fails where it is nested too deeply for a decoder.
type nested struct {
	r      io.Reader
	depth  int
	text   bool
	escape bool
}

func (n *nested) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	for _, c := range b[:k] {
		switch {
		case n.escape:
			n.escape = false
		case n.text && c == '\\':
			n.escape = true
		case c == '"':
			n.text = !n.text
		case n.text:
		case c == '{' || c == '[':
			if n.depth++; n.depth > maxDepth {
				return 0, fault.New(fault.Invalid, "the document is nested more than %d levels deep", maxDepth)
			}
		case c == '}' || c == ']':
			n.depth--
		}
	}
	return k, err
}
