package playbook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// An Error tells what is wrong with a document and where.
type Error struct {
	Line, Column int    // from 1; 0: the whole text
	Message      string // with its remedy; safe to show
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Wrong returns what is wrong with a document, nil where err is of another kind or nil.
func Wrong(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}

// A node is a YAML value with its place.
type node struct {
	kind         nodeKind
	value        any // of a scalar: string, int64, uint64, float64 or bool
	text         string
	items        []*node
	keys         []entry // of a map, in order
	line, column int
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	nullNode
	listNode
	mapNode
)

type entry struct {
	key   *node
	value *node
}

// Bounds of a document.
const (
	MaxDocument = 64 << 10 // bytes
	maxNodes    = 5_000
	maxDepth    = 20
)

func (n *node) errorf(format string, args ...any) *Error {
	return &Error{Line: n.line, Column: n.column, Message: fmt.Sprintf(format, args...)}
}

func (n *node) what() string {
	return [...]string{"text", "nothing", "a list", "a map"}[n.kind]
}

// readYAML reads the one document of text, YAML or JSON.
func readYAML(text []byte) (*node, error) {
	if len(text) > MaxDocument {
		return nil, &Error{Message: fmt.Sprintf("the playbook has %d bytes: at most %d are taken", len(text), MaxDocument)}
	}
	if !utf8.Valid(text) {
		return nil, &Error{Message: "the playbook is not valid UTF-8: save it as UTF-8"}
	}
	if i := slices.Index(text, 0); i >= 0 {
		return nil, &Error{Line: 1 + strings.Count(string(text[:i]), "\n"), Column: 1, Message: "there is a NUL character: take it out"}
	}
	if err := checkNesting(text); err != nil {
		return nil, err
	}
	file, err := parseYAML(text)
	if err != nil {
		return nil, yamlError(err)
	}
	var found ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if found != nil {
			return nil, at(&node{}, doc.Body.GetToken()).errorf("there is a second document: send one playbook at a time")
		}
		found = doc.Body
	}
	if found == nil {
		return nil, &Error{Message: "the playbook is empty"}
	}
	r := reader{}
	return r.read(found, 0)
}

// parseYAML turns a panic of the library into an error: the text comes from outside.
func parseYAML(text []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Message: fmt.Sprintf("the YAML cannot be read: %v", p)}
		}
	}()
	return parser.ParseBytes(text, 0)
}

// checkNesting refuses what the YAML parser takes very long for.
func checkNesting(text []byte) error {
	open, dashes, colons, line := 0, 0, 0, 1
	for _, c := range text {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case '-', '?':
			dashes++
		case ' ', '\t':
		case '\n':
			line, dashes, colons = line+1, 0, 0
		case ':':
			colons++
			dashes = 0
		default:
			dashes = 0
		}
		if open > 500 || dashes > 500 || colons > 5_000 {
			return &Error{Line: line, Column: 1, Message: "the YAML is nested too deep: write it flatter"}
		}
	}
	return nil
}

func yamlError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		out := &Error{Message: "this is not YAML: " + e.GetMessage()}
		if tk := e.GetToken(); tk != nil && tk.Position != nil {
			out.Line, out.Column = tk.Position.Line, tk.Position.Column
		}
		return out
	}
	return &Error{Message: "this is not YAML: " + err.Error()}
}

type reader struct{ count int }

func at(n *node, tk *token.Token) *node {
	if tk != nil && tk.Position != nil {
		n.line, n.column = tk.Position.Line, tk.Position.Column
	}
	return n
}

func (r *reader) read(x ast.Node, depth int) (*node, error) {
	if x == nil {
		return &node{kind: nullNode}, nil
	}
	n := at(&node{}, x.GetToken())
	if r.count++; r.count > maxNodes || depth > maxDepth {
		return nil, n.errorf("the playbook is too large or nested too deep: at most %d values, %d deep", maxNodes, maxDepth)
	}
	switch x := x.(type) {
	case *ast.NullNode:
		n.kind = nullNode
	case *ast.StringNode:
		n.text, n.value = x.Value, x.Value
	case *ast.LiteralNode:
		n.text, n.value = x.Value.Value, x.Value.Value
	case *ast.IntegerNode:
		n.text, n.value = x.GetToken().Value, x.Value
	case *ast.FloatNode:
		n.text, n.value = x.GetToken().Value, x.Value
	case *ast.BoolNode:
		n.text, n.value = x.GetToken().Value, x.Value
	case *ast.SequenceNode:
		n.kind = listNode
		for _, v := range x.Values {
			item, err := r.read(v, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case *ast.MappingValueNode:
		n.kind = mapNode
		return n, r.entry(n, x, depth)
	case *ast.MappingNode:
		n.kind = mapNode
		for _, v := range x.Values {
			if err := r.entry(n, v, depth); err != nil {
				return nil, err
			}
		}
		if len(n.keys) > 0 { // the token of a block map is its first colon
			n.line, n.column = n.keys[0].key.line, n.keys[0].key.column
		}
	default:
		return nil, n.errorf("anchors, aliases, tags and special numbers are not taken: write the value out")
	}
	return n, nil
}

func (r *reader) entry(n *node, x *ast.MappingValueNode, depth int) error {
	if x.Key.IsMergeKey() {
		return at(&node{}, x.Key.GetToken()).errorf("merge keys are not taken: write the values out")
	}
	var key ast.Node = x.Key
	if m, ok := x.Key.(*ast.MappingKeyNode); ok {
		key = m.Value
	}
	k, err := r.read(key, depth+1)
	if err != nil {
		return err
	}
	if k.kind != scalarNode {
		return k.errorf("a key must be text, not %s", k.what())
	}
	if slices.ContainsFunc(n.keys, func(e entry) bool { return e.key.text == k.text }) {
		return k.errorf("%q is there twice: keep one", k.text)
	}
	v, err := r.read(x.Value, depth+1)
	if err != nil {
		return err
	}
	if v.line == 0 {
		v.line, v.column = k.line, k.column
	}
	n.keys = append(n.keys, entry{k, v})
	return nil
}
