// Package mask takes personal data out of raw log records: what looks like an e-mail
// address, a payment card, a Korean resident registration number or a Korean mobile
// number, and the values of named fields. It replaces bytes of the record and leaves
// its syntax whole: JSON stays JSON, CEF stays CEF. It holds no state and reads no
// clock.
package mask

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// An Action says what stands in the place of a value.
type Action string

// The actions.
const (
	Mask   Action = "mask"   // asterisks; the last four digits of a card and the domain of an e-mail stay
	Hash   Action = "hash"   // "h:" and 16 hexadecimal digits of HMAC-SHA-256: equal values stay equal
	Remove Action = "remove" // "(removed)"
)

// Actions lists the actions.
var Actions = []string{string(Mask), string(Hash), string(Remove)}

// A Kind is what a value was taken for.
type Kind uint8

// The kinds, patterns first.
const (
	Email Kind = iota
	Card
	ResidentNumber
	Phone
	Field
	Kinds // how many there are
)

// Patterns names the patterns, in the order of their kinds.
var Patterns = []string{"email", "card", "resident_number", "phone_kr"}

// String returns the name under which k is counted.
func (k Kind) String() string {
	if int(k) < len(Patterns) {
		return Patterns[k]
	}
	return "field"
}

// A Rule says what becomes of patterns and of fields.
type Rule struct {
	Patterns []string // of Patterns
	// Fields are keys: the dotted path of a JSON key ("actor.email"; "*.email" at any
	// depth), the key of key=value, CEF and LEEF, or a field's canonical name (user,
	// user.name). Case does not matter.
	Fields []string
	Action Action
}

// maxHidden bounds the values of a record that are looked for all over it.
const maxHidden = 64

// Bounds of a rule.
const (
	MaxFields   = 100
	maxFieldLen = 200
)

// Check says what is wrong with r, as fault.Invalid.
func (r *Rule) Check() error {
	if !slices.Contains(Actions, string(r.Action)) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Actions, ", ")).In("action")
	}
	for _, p := range r.Patterns {
		if !slices.Contains(Patterns, p) {
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Patterns, ", ")).In("patterns")
		}
	}
	if len(r.Fields) > MaxFields {
		return fault.New(fault.Invalid, "Allowed: up to %d names", MaxFields).In("fields")
	}
	for _, f := range r.Fields {
		if !nameable(f) {
			return fault.New(fault.Invalid, "Allowed: names of 1 to %d letters, digits and . _ - @ [ ] #, after *. for any depth; not what KYRA writes itself, such as message or source", maxFieldLen).In("fields")
		}
	}
	if len(r.Patterns)+len(r.Fields) == 0 {
		return fault.New(fault.Invalid, "a rule needs patterns or fields").In("patterns")
	}
	return nil
}

// nameable tells whether a rule may name the field: not the whole text, and nothing
// that is no part of the text.
func nameable(name string) bool {
	switch event.Resolve(strings.ToLower(name)) {
	case event.Message, event.RawText, event.Source, event.Severity, event.TimeQuality, event.Timestamp, event.IngestTime, event.EventID, event.Tags, event.PeerIP, event.CollectorID:
		return false
	}
	name = strings.TrimPrefix(name, "*.")
	if name == "" || len(name) > maxFieldLen {
		return false
	}
	for i := range len(name) {
		if !isKeyByte(name[i]) && strings.IndexByte("#[]", name[i]) < 0 {
			return false
		}
	}
	return true
}

// A Set is rules made ready. It may be used by several goroutines.
type Set struct {
	patterns [patterns]Action  // "" where not asked for
	names    map[string]Action // keys, and objects that hold them
	meant    map[string]Action // the canonical names that they are aliases of
	suffixes map[string]Action // of "*.name": name
	key      []byte
}

const patterns = int(Field) // how many patterns there are

// Compile makes rules ready: where two speak of one thing, the first counts. key is
// the tenant's, for Hash.
func Compile(rules []Rule, key []byte) (*Set, error) {
	s := &Set{names: map[string]Action{}, meant: map[string]Action{}, suffixes: map[string]Action{}, key: bytes.Clone(key)}
	for i := range rules {
		r := &rules[i]
		if err := r.Check(); err != nil {
			return nil, err
		}
		for _, p := range r.Patterns {
			if k := slices.Index(Patterns, p); s.patterns[k] == "" {
				s.patterns[k] = r.Action
			}
		}
		for _, f := range r.Fields {
			f = strings.ToLower(f)
			if tail, any := strings.CutPrefix(f, "*."); any {
				put(s.suffixes, tail, r.Action)
				continue
			}
			put(s.names, f, r.Action)
			put(s.meant, event.Resolve(f), r.Action)
		}
	}
	return s, nil
}

func put(into map[string]Action, name string, a Action) {
	if into[name] == "" {
		into[name] = a
	}
}

// NamesFields tells whether s is to be told the fields of a record.
func (s *Set) NamesFields() bool { return len(s.names)+len(s.suffixes) > 0 }

// A Found counts what was replaced in a record.
type Found struct {
	By     [Kinds]int
	Missed int // values of named fields that are not in the text as they are: nothing was replaced
}

// Add adds other to f.
func (f *Found) Add(other *Found) {
	for i, n := range other.By {
		f.By[i] += n
	}
	f.Missed += other.Missed
}

// Total is how many values were replaced.
func (f *Found) Total() int {
	n := 0
	for _, x := range f.By {
		n += x
	}
	return n
}

// A FieldsFunc tells the fields that a parser makes of a record. Values that are part
// of the record's memory are replaced where they stand.
type FieldsFunc func(yield func(name, value string))

// Apply returns record without what the rules name. Where that is nothing it is
// record itself, and patterns allocated nothing for it. fields may be nil: then only
// keys that stand in the record are known.
//
// What was replaced is not found again: Apply of its own result changes nothing.
func (s *Set) Apply(record string, fields FieldsFunc) (string, Found) {
	if s.NamesFields() {
		edits := s.keys(nil, record)
		if fields != nil {
			return s.applyFields(record, edits, fields)
		}
		return s.finish(record, s.look(edits, record))
	}
	var few [8]edit
	return s.finish(record, s.look(few[:0], record))
}

func (s *Set) finish(record string, edits []edit) (string, Found) {
	var found Found
	if len(edits) > 0 {
		record = s.write(record, edits, &found)
	}
	return record, found
}

// applyFields is Apply with the fields of a parser; edits are those of the keys.
func (s *Set) applyFields(record string, edits []edit, fields FieldsFunc) (string, Found) {
	var found Found
	safe := slices.Clone(edits)
	var hidden []secret
	fields(func(name, value string) {
		action := s.actionOf(name)
		if action == "" || value == "" || done(value) {
			return
		}
		if at, ok := within(record, value); ok {
			edits = append(edits, edit{start: at, end: at + len(value), kind: Field, action: action})
			return
		}
		if len(hidden) == maxHidden {
			found.Missed++
			return
		}
		hidden = append(hidden, secret{value, action})
	})
	for _, h := range hidden {
		before := len(edits)
		if edits = s.seek(edits, record, h); len(edits) == before {
			found.Missed++
		}
	}
	edits = s.look(edits, record)
	if len(edits) == 0 {
		return record, found
	}
	out := s.write(record, edits, &found)
	if looksJSON(record) && json.Valid([]byte(record)) && !json.Valid([]byte(out)) {
		// A parser's value went across the syntax. Its scalars are replaced instead.
		found = Found{Missed: 1}
		out = s.write(record, s.look(safe, record), &found)
	}
	return out, found
}

func (s *Set) actionOf(name string) Action {
	if a := s.named(name); a != "" {
		return a
	}
	if strings.ContainsFunc(name, func(c rune) bool { return c >= 'A' && c <= 'Z' }) {
		return s.named(strings.ToLower(name))
	}
	return ""
}

func (s *Set) named(name string) Action {
	name = strings.TrimPrefix(name, event.NativePrefix)
	if a := s.meant[name]; a != "" {
		return a
	}
	for { // the key, then the objects around it
		if a := s.names[name]; a != "" {
			return a
		}
		for tail := name; len(s.suffixes) > 0; {
			if a := s.suffixes[tail]; a != "" {
				return a
			}
			i := strings.IndexByte(tail, '.')
			if i < 0 {
				break
			}
			tail = tail[i+1:]
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return ""
		}
		name = name[:i]
	}
}

// look adds what the patterns find.
func (s *Set) look(edits []edit, record string) []edit {
	if s.patterns[Email] != "" {
		edits = emails(edits, record, s.patterns[Email])
	}
	if s.patterns[Card] != "" || s.patterns[ResidentNumber] != "" || s.patterns[Phone] != "" {
		edits = s.numbers(edits, record)
	}
	return edits
}
