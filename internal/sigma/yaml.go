package sigma

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

// A node is a YAML value as it was written: scalars keep their text, so that
// 00000429 does not become 429.
type node struct {
	kind         nodeKind
	text         string // of a scalar
	items        []*node
	keys         []entry // of a map, in order
	line, column int
	inline       int8 // text begins so many columns behind column; −1: it is not written on one line
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	nullNode
	listNode
	mapNode
)

type entry struct {
	key          string
	value        *node
	line, column int
}

// Bounds of the YAML that is taken: no rule comes near them, and without them a
// small text could cost much.
const (
	maxDepth = 40
	maxNodes = 200_000
)

func (n *node) errorf(format string, args ...any) *Error {
	return &Error{Line: n.line, Column: n.column, Message: fmt.Sprintf(format, args...)}
}

func (e *entry) errorf(format string, args ...any) *Error {
	return &Error{Line: e.line, Column: e.column, Message: fmt.Sprintf(format, args...)}
}

func (n *node) what() string {
	return [...]string{"text", "null", "a list", "a map"}[n.kind]
}

func (n *node) get(key string) *node {
	for i := range n.keys {
		if n.keys[i].key == key {
			return n.keys[i].value
		}
	}
	return nil
}

// readYAML returns the documents of data that are not empty.
func readYAML(data []byte) ([]*node, error) {
	if len(data) > MaxDocument {
		return nil, &Error{Message: fmt.Sprintf("the text has %d bytes, more than the %d that a rule file may have", len(data), MaxDocument)}
	}
	if !utf8.Valid(data) {
		return nil, &Error{Message: "the text is not valid UTF-8"}
	}
	if err := checkNesting(data); err != nil {
		return nil, err
	}
	file, err := parseYAML(data)
	if err != nil {
		return nil, yamlError(err)
	}
	var out []*node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		r := yamlReader{anchors: map[string]*node{}}
		n, err := r.read(doc.Body, 0)
		if err != nil {
			return nil, err
		}
		if n.kind != nullNode {
			out = append(out, n)
		}
	}
	return out, nil
}

// parseYAML turns a panic of the YAML library into an error: the text comes from
// outside, and no text may end the process.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Message: fmt.Sprintf("the YAML cannot be read: %v", p)}
		}
	}()
	return parser.ParseBytes(data, 0)
}

// checkNesting refuses what the YAML parser takes very long for.
func checkNesting(data []byte) error {
	open, dashes, colons, line, column := 0, 0, 0, 1, 0
	for _, c := range data {
		column++
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case '-', '?':
			dashes++
		case ' ', '\t':
		case '\n':
			line, column, dashes, colons = line+1, 0, 0, 0
		case ':':
			colons++
			dashes = 0
		default:
			dashes = 0
		}
		if open > 1000 || dashes > 1000 || colons > 20_000 {
			return &Error{Line: line, Column: column, Message: "the YAML is nested too deep"}
		}
	}
	return nil
}

func yamlError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		out := &Error{Message: "YAML: " + e.GetMessage()}
		if tk := e.GetToken(); tk != nil && tk.Position != nil {
			out.Line, out.Column = tk.Position.Line, tk.Position.Column
		}
		return out
	}
	return &Error{Message: "YAML: " + err.Error()}
}

type yamlReader struct {
	anchors map[string]*node
	count   int
}

func at(n *node, tk *token.Token) *node {
	if tk != nil && tk.Position != nil {
		n.line, n.column = tk.Position.Line, tk.Position.Column
	}
	return n
}

func (r *yamlReader) read(x ast.Node, depth int) (*node, error) {
	n := at(&node{}, x.GetToken())
	if r.count++; r.count > maxNodes || depth > maxDepth {
		return nil, n.errorf("the YAML is too large or nested too deep")
	}
	switch x := x.(type) {
	case *ast.NullNode:
		n.kind = nullNode
	case *ast.StringNode:
		n.text, n.inline = x.Value, inline(x)
	case *ast.LiteralNode:
		n.text, n.inline = x.Value.Value, -1
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.text = x.GetToken().Value
	case *ast.TagNode:
		if x.Value == nil {
			n.kind = nullNode
			return n, nil
		}
		return r.read(x.Value, depth+1)
	case *ast.AnchorNode:
		v, err := r.read(x.Value, depth+1)
		if err != nil {
			return nil, err
		}
		r.anchors[x.Name.GetToken().Value] = v
		return v, nil
	case *ast.AliasNode:
		v, ok := r.anchors[x.Value.GetToken().Value]
		if !ok {
			return nil, n.errorf("alias *%s has no anchor before it", x.Value.GetToken().Value)
		}
		if r.count += v.size(); r.count > maxNodes {
			return nil, n.errorf("the YAML aliases expand to too much")
		}
		return v, nil
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
			n.line, n.column = n.keys[0].line, n.keys[0].column
		}
	default:
		return nil, n.errorf("%s is not supported in a rule", strings.ToLower(x.Type().String()))
	}
	return n, nil
}

// inline says how many columns behind its place the text of x begins, −1 where
// columns of the text are not columns of the file.
func inline(x *ast.StringNode) int8 {
	written := strings.TrimSpace(x.Token.Origin)
	switch x.Token.Type {
	case token.SingleQuoteType:
		if !strings.Contains(x.Value, "'") && !strings.Contains(written, "\n") {
			return 1
		}
	case token.DoubleQuoteType:
		if !strings.ContainsAny(written, "\\\n") {
			return 1
		}
	default:
		if written == x.Value {
			return 0
		}
	}
	return -1
}

func (r *yamlReader) entry(n *node, x *ast.MappingValueNode, depth int) error {
	if x.Key.IsMergeKey() {
		return at(&node{}, x.Key.GetToken()).errorf("merge keys are not supported in a rule")
	}
	k, err := r.read(unwrapKey(x.Key), depth+1)
	if err != nil {
		return err
	}
	if k.kind != scalarNode && k.kind != nullNode {
		return k.errorf("a key must be text, not %s", k.what())
	}
	if slices.ContainsFunc(n.keys, func(e entry) bool { return e.key == k.text }) {
		return k.errorf("key %q occurs twice", k.text)
	}
	v, err := r.read(x.Value, depth+1)
	if err != nil {
		return err
	}
	n.keys = append(n.keys, entry{key: k.text, value: v, line: k.line, column: k.column})
	return nil
}

func unwrapKey(k ast.MapKeyNode) ast.Node {
	if m, ok := k.(*ast.MappingKeyNode); ok {
		return m.Value
	}
	return k
}

// size counts n and all below it.
func (n *node) size() int {
	total := 1
	for _, i := range n.items {
		total += i.size()
	}
	for _, e := range n.keys {
		total += e.value.size()
	}
	return total
}
