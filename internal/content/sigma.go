package content

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

// readSigma cuts files into rules: each document is one, but for a correlation and
// the rules of its file that it counts, which stay together.
func readSigma(files []File) ([]Candidate, []Refusal) {
	type result struct {
		candidates []Candidate
		refused    []Refusal
	}
	results := make([]result, len(files))
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				results[i].candidates, results[i].refused = readFile(&files[i], len(files) == 1)
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()
	var candidates []Candidate
	var refused []Refusal
	for _, r := range results {
		candidates = append(candidates, r.candidates...)
		refused = append(refused, r.refused...)
	}
	return candidates, refused
}

// A segment is one document's part of a file.
type segment struct {
	text string
	line int // lines of the file before it
	docs []*sigma.Document
}

// readFile reads one file. One that does not look like a rule at all is passed over,
// unless it is all that there is: repositories hold other YAML too.
func readFile(f *File, alone bool) (out []Candidate, refused []Refusal) {
	if !looksLikeRule(string(f.Data)) {
		if alone {
			return nil, []Refusal{{File: f.Name, Reason: "it holds no Sigma rule: a rule has the keys title, logsource and detection"}}
		}
		return nil, nil
	}
	var good []segment
	for _, s := range segments(string(f.Data)) {
		docs, err := sigma.Parse([]byte(s.text))
		if err != nil {
			refused = append(refused, refusalOf(f.Name, s.line, s.text, err))
			continue
		}
		s.docs = docs
		good = append(good, s)
	}
	for _, together := range families(good) {
		c := Candidate{File: f.Name, Line: together[0].line + together[0].docs[0].Line}
		var texts []string
		for _, s := range together {
			c.docs = append(c.docs, s.docs...)
			texts = append(texts, strings.TrimRight(strings.TrimLeft(s.text, "\r\n"), "\r\n \t")+"\n")
		}
		c.Text = strings.Join(texts, "---\n")
		out = append(out, c)
	}
	return out, refused
}

func refusalOf(file string, before int, text string, err error) Refusal {
	r := Refusal{File: file, Reason: err.Error(), ID: plainValue(text, "id"), Name: plainValue(text, "title")}
	if e, ok := errors.AsType[*sigma.Error](err); ok {
		r.Reason = e.Message
		if e.Line > 0 {
			r.Line, r.Column = before+e.Line, e.Column
		}
	}
	return r
}

// plainValue finds a key of a text that cannot be read, so that people know which
// rule it is about.
func plainValue(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return cleanName(strings.Trim(strings.TrimSpace(rest), `"'`))
		}
	}
	return ""
}

// looksLikeRule finds a key that every rule has and hardly anything else.
func looksLikeRule(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(line, " \t\"'{")
		for _, key := range []string{"detection", "correlation", "filter", "logsource"} {
			if rest, ok := strings.CutPrefix(line, key); ok && strings.HasPrefix(strings.TrimLeft(rest, "\"' \t"), ":") {
				return true
			}
		}
	}
	return false
}

// segments parts a file at its markers. A file with actions is one: its documents
// need each other.
func segments(text string) []segment {
	whole := []segment{{text: strings.TrimPrefix(text, "\uFEFF")}}
	var out []segment
	line, start, at := 0, 0, 0 // at: where the line begins, of the text
	first := 0                 // line of the segment
	text = whole[0].text
	add := func(end int) {
		if part := text[start:end]; !blank(part) {
			out = append(out, segment{text: part, line: first})
		}
	}
	for l := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(l, "action:"):
			return whole
		case !strings.HasPrefix(l, "---") || strings.TrimLeft(l[3:], " \t\r\n") != "" && l[3] != ' ' && l[3] != '\t':
		case strings.TrimSpace(l[3:]) != "": // the document begins on the line of its marker
			add(at)
			start, first = at, line
		default:
			add(at)
			start, first = at+len(l), line+1
		}
		at += len(l)
		line++
	}
	add(len(text))
	return out
}

// blank tells whether a part holds nothing but comments.
func blank(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && line != "..." {
			return false
		}
	}
	return true
}

// families puts correlations and the rules that they count together, in the order
// of the file.
func families(segments []segment) [][]segment {
	of := make([]int, len(segments))
	names := map[string]int{}
	for i, s := range segments {
		of[i] = i
		for _, d := range s.docs {
			for _, n := range []string{d.ID, d.Name} {
				if n != "" {
					names[n] = i
				}
			}
		}
	}
	join := func(a, b int) {
		a, b = of[a], of[b]
		for i := range of {
			if of[i] == b {
				of[i] = a
			}
		}
	}
	for i, s := range segments {
		for _, d := range s.docs {
			if d.Correlation == nil {
				continue
			}
			for _, n := range d.Correlation.Rules {
				if j, ok := names[n]; ok {
					join(i, j)
				}
			}
		}
	}
	var out [][]segment
	at := map[int]int{}
	for i, s := range segments {
		n, ok := at[of[i]]
		if !ok {
			n = len(out)
			at[of[i]] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], s)
	}
	return out
}

// complete fills in what the catalogue must know of a rule. One without an id gets
// one that stays the same from import to import.
func (c *Candidate) complete(pack string) *Refusal {
	if c.docs == nil || sigma.Main(c.docs).ID == "" {
		docs, err := sigma.Parse([]byte(c.Text))
		if err != nil {
			r := refusalOf(c.File, max(0, c.Line-1), c.Text, err)
			return &r
		}
		c.docs = docs
	}
	if main := sigma.Main(c.docs); main.ID == "" {
		id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("kyra:rule\x00"+pack+"\x00"+c.File+"\x00"+main.Title)).String()
		c.Text = withID(c.Text, main.Line, id)
		docs, err := sigma.Parse([]byte(c.Text))
		if err != nil || sigma.Main(docs).ID != id {
			return &Refusal{File: c.File, Line: c.Line, Name: main.Title, Reason: "the rule has no id and none can be put into its text: write one"}
		}
		c.docs = docs
	}
	c.Meta = Meta(c.docs)
	return nil
}

// withID puts an id before the line at which a document begins.
func withID(text string, line int, id string) string {
	lines := strings.SplitAfter(text, "\n")
	at := min(max(line-1, 0), len(lines))
	indent := ""
	if at < len(lines) {
		indent = lines[at][:len(lines[at])-len(strings.TrimLeft(lines[at], " "))]
	}
	return strings.Join(slices.Insert(lines, at, indent+"id: "+id+"\n"), "")
}
