// Package export writes lists of any length as CSV, as one JSON array, or as JSON lines,
// in constant memory. The columns of CSV are the keys of the items' JSON, in their order.
package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Format is how a list is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"    // RFC 4180 with a header row, UTF-8
	JSON   Format = "json"   // one array
	NDJSON Format = "ndjson" // one object a line
)

// Parse reads the name of a format that a caller may ask for.
func Parse(s string) (Format, error) {
	switch f := Format(strings.ToLower(s)); f {
	case CSV, JSON:
		return f, nil
	}
	return "", fault.New(fault.Invalid, "Allowed: csv, json").In("format")
}

// ContentType is what an answer in the format says it is.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case NDJSON:
		return "application/x-ndjson"
	default:
		return "application/json"
	}
}

// A Writer writes items of one struct type. Its errors are those of the writer below.
type Writer[T any] struct {
	w      *bufio.Writer
	format Format
	fields []field
	row    []byte
	n      int64
}

// New begins a list: a header row, or the bracket of an array.
func New[T any](w io.Writer, f Format) (*Writer[T], error) {
	out := &Writer[T]{w: bufio.NewWriterSize(w, 64<<10), format: f, fields: fieldsOf(reflect.TypeFor[T](), nil)}
	switch f {
	case CSV:
		for i, x := range out.fields {
			if i > 0 {
				out.row = append(out.row, ',')
			}
			out.row = append(out.row, x.name...)
		}
		out.row = append(out.row, "\r\n"...)
	case JSON:
		out.row = append(out.row, '[')
	case NDJSON:
	}
	_, err := out.w.Write(out.row)
	return out, err
}

// Write writes one item.
func (w *Writer[T]) Write(item *T) error {
	w.row = w.row[:0]
	if w.format == CSV {
		v := reflect.ValueOf(item).Elem()
		for i := range w.fields {
			if i > 0 {
				w.row = append(w.row, ',')
			}
			var err error
			if w.row, err = w.fields[i].cell(w.row, v); err != nil {
				return err
			}
		}
		w.row = append(w.row, "\r\n"...)
	} else {
		text, err := json.Marshal(item)
		if err != nil {
			return fmt.Errorf("write item: %w", err)
		}
		if w.format == JSON && w.n > 0 {
			w.row = append(w.row, ',')
		}
		w.row = append(w.row, text...)
		if w.format == NDJSON {
			w.row = append(w.row, '\n')
		}
	}
	w.n++
	_, err := w.w.Write(w.row)
	return err
}

// Count is how many items were written.
func (w *Writer[T]) Count() int64 { return w.n }

// Close ends the list. It does not close what is below.
func (w *Writer[T]) Close() error {
	if w.format == JSON {
		if err := w.w.WriteByte(']'); err != nil {
			return err
		}
	}
	return w.w.Flush()
}

// Columns returns the names of T's columns.
func Columns[T any]() []string {
	var names []string
	for _, f := range fieldsOf(reflect.TypeFor[T](), nil) {
		names = append(names, f.name)
	}
	return names
}

type field struct {
	name  string
	index []int
	kind  kind
}

type kind int

const (
	isText kind = iota
	isWhole
	isUnsigned
	isFloat
	isBool
	isTime
	isOther // as JSON text
)

var timeType = reflect.TypeFor[time.Time]()

// fieldsOf lists the fields that encoding/json writes, those of embedded structs in place,
// without what is tagged `export:"-"`: what only some lists have.
func fieldsOf(t reflect.Type, at []int) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int{}, at...), i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			out = append(out, fieldsOf(f.Type, index)...)
		case !f.IsExported() || name == "-" || name == "" || f.Tag.Get("export") == "-":
		default:
			out = append(out, field{name: name, index: index, kind: kindOf(f.Type)})
		}
	}
	return out
}

func kindOf(t reflect.Type) kind {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == timeType {
		return isTime
	}
	switch t.Kind() {
	case reflect.String:
		return isText
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return isWhole
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return isUnsigned
	case reflect.Float32, reflect.Float64:
		return isFloat
	case reflect.Bool:
		return isBool
	default:
		return isOther
	}
}

// cell appends the field of the item v. What is null is an empty cell.
func (f *field) cell(b []byte, v reflect.Value) ([]byte, error) {
	v = v.FieldByIndex(f.index)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return b, nil
		}
		v = v.Elem()
	}
	switch f.kind {
	case isText:
		return appendText(b, v.String()), nil
	case isWhole:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case isUnsigned:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case isFloat:
		return strconv.AppendFloat(b, v.Float(), 'f', -1, 64), nil
	case isBool:
		return strconv.AppendBool(b, v.Bool()), nil
	case isTime:
		t, _ := reflect.TypeAssert[time.Time](v) // by kindOf
		return t.UTC().AppendFormat(b, time.RFC3339Nano), nil
	case isOther:
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Interface:
		if v.IsNil() {
			return b, nil
		}
	default:
	}
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		return appendList(b, list)
	}
	text, err := jsonText(v.Interface())
	if err != nil {
		return b, fmt.Errorf("write %s: %w", f.name, err)
	}
	if text == "null" {
		return b, nil // as every other cell without a value
	}
	return appendText(b, text), nil
}

// jsonText is v as JSON as people read it: < and > are not escaped for web pages.
func jsonText(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// appendList writes texts as JSON, so that a comma in one of them is no border.
func appendList(b []byte, list []string) ([]byte, error) {
	text, err := jsonText(list)
	if err != nil {
		return b, fmt.Errorf("write list: %w", err)
	}
	return appendText(b, text), nil
}

// appendText appends a cell of text as RFC 4180 has it. A text that a spreadsheet would
// take for a formula gets an apostrophe before it, which spreadsheets hide.
func appendText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	formula := s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0
	if !formula && !strings.ContainsAny(s, ",\"\r\n") && (s == "" || s[0] != ' ' && s[len(s)-1] != ' ') {
		return append(b, s...)
	}
	b = append(b, '"')
	if formula {
		b = append(b, '\'')
	}
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
