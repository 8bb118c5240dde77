package exposure

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Imported tells what an import did, or would do.
type Imported struct {
	Created, Updated, Unchanged int
	Errors                      []LineError // the first maxLineErrors; with any of them nothing was changed
}

// A LineError is what is wrong with a line.
type LineError struct {
	Line    int // from 1
	Message string
}

const (
	maxLines      = 10_000
	maxLineErrors = 100
)

// line is one name of a file; state and notes are "" where it says nothing of them.
type line struct {
	number      int
	name        string
	state       State
	notes       string
	notesFilled bool
}

// Import takes in names, one on a line, or CSV with a header row of name, state, notes.
// Each must lie under one of the tenant's domains. With a wrong line nothing is changed;
// with dry nothing is in any case.
func (s *Service) Import(ctx context.Context, tenant uint32, actor string, text io.Reader, dry bool) (*Imported, error) {
	lines, out, err := readLines(text)
	if err != nil {
		return nil, err
	}
	failed := errors.New("nothing is to be changed")
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		got := &Imported{Errors: slices.Clone(out.Errors)}
		defer func() { out = got }()
		domains, err := domainsOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(lines, namesAtOnce) {
			if err := s.importSome(ctx, tx, tenant, actor, domains, some, got); err != nil {
				return err
			}
		}
		if dry || len(got.Errors) > 0 {
			return failed
		}
		for i := range domains {
			if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_domain SET names = $1 WHERE id = $2`, domains[i].Names, domains[i].ID); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "subdomain.import", Detail: map[string]int{"created": got.Created, "updated": got.Updated, "unchanged": got.Unchanged}})
	})
	if err != nil && !errors.Is(err, failed) {
		return nil, fault.Wrap("import subdomains", err)
	}
	return out, nil
}

func (i *Imported) wrong(n int, format string, args ...any) {
	if len(i.Errors) < maxLineErrors {
		i.Errors = append(i.Errors, LineError{n, fmt.Sprintf(format, args...)})
	}
}

func (s *Service) importSome(ctx context.Context, tx *sqldb.DB, tenant uint32, actor string, domains []Domain, some []line, out *Imported) error {
	asked := make([]evidence, len(some))
	for i := range some {
		asked[i].name = some[i].name
	}
	known, err := namesOf(ctx, tx, tenant, asked)
	if err != nil {
		return err
	}
	now := s.now()
	for i := range some {
		l := &some[i]
		d := owner(domains, l.name)
		if d == nil {
			out.wrong(l.number, "%s lies under none of your domains: add its domain first", l.name)
			continue
		}
		n := known[l.name]
		if n == nil {
			if d.Names >= maxNames {
				out.wrong(l.number, "%s has %d names: delete or ignore does not make room, another domain does", d.Name, d.Names)
				continue
			}
			state := l.state
			if state == "" {
				state = Known
			}
			if err := insertName(ctx, tx, tenant, d, &evidence{name: l.name, first: now.UnixMicro(), last: now.UnixMicro(), sources: fromImport}, state, l.notes, now); err != nil {
				return err
			}
			d.Names++
			out.Created++
			continue
		}
		changed, err := l.apply(ctx, tx, n, actor)
		if err != nil {
			return err
		}
		if changed {
			out.Updated++
		} else {
			out.Unchanged++
		}
	}
	return nil
}

// apply gives a known name what the line says of it.
func (l *line) apply(ctx context.Context, tx *sqldb.DB, n *Name, actor string) (changed bool, err error) {
	state, notes := n.State, n.Notes
	switch {
	case l.state != "":
		state = l.state
	case state == Fresh || state == Gone:
		state = Known // whoever imports it knows of it
	}
	if l.notesFilled {
		notes = l.notes
	}
	sources := sourceNames(sourceBits(n.Sources) | fromImport)
	if state == n.State && notes == n.Notes && len(sources) == len(n.Sources) {
		return false, nil
	}
	list, err := texts(sources)
	if err != nil {
		return false, err
	}
	_, err = sqldb.Exec(ctx, tx, `UPDATE exposure_name SET state = $1, notes = $2, sources = $3, version = version + 1, updated_by = $4 WHERE id = $5`, string(state), notes, list[0], actor, n.ID)
	return true, err
}

// readLines reads a list or CSV. What is wrong with single lines is in out.Errors.
func readLines(text io.Reader) (lines []line, out *Imported, err error) {
	out = &Imported{}
	in := bufio.NewReader(text)
	if bom, _ := in.Peek(3); string(bom) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.Comment, r.TrimLeadingSpace = -1, '#', true
	column := map[string]int{"name": 0}
	seen := map[string]bool{}
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return lines, out, nil
		}
		if err != nil {
			if e, ok := errors.AsType[*csv.ParseError](err); ok {
				return nil, nil, fault.New(fault.Invalid, "line %d: %v", e.Line, e.Err)
			}
			return nil, nil, fault.New(fault.Invalid, "the file could not be read: %v", err)
		}
		number, _ := r.FieldPos(0)
		if first {
			if header, ok := readHeader(record); ok {
				column = header
				continue
			}
			if len(record) > 1 {
				return nil, nil, fault.New(fault.Invalid, "a file of several columns needs a header row of name, state, notes")
			}
		}
		l, wrong := readLine(record, column)
		l.number = number
		switch {
		case wrong != "":
			out.wrong(number, "%s", wrong)
		case seen[l.name]:
		case len(lines) >= maxLines:
			return nil, nil, fault.New(fault.TooLarge, "a file has at most %d names", maxLines)
		default:
			seen[l.name] = true
			lines = append(lines, l)
		}
	}
}

// readHeader tells where the columns stand, where the first row names them.
func readHeader(record []string) (map[string]int, bool) {
	column := map[string]int{}
	for i, text := range record {
		switch text = strings.ToLower(strings.TrimSpace(text)); text {
		case "name", "state", "notes":
			column[text] = i
		case "subdomain", "host", "hostname":
			column["name"] = i
		}
	}
	_, ok := column["name"]
	return column, ok
}

func readLine(record []string, column map[string]int) (l line, wrong string) {
	cell := func(name string) string {
		if i, ok := column[name]; ok && i < len(record) {
			return strings.TrimSpace(record[i])
		}
		return ""
	}
	var ok bool
	text := cell("name")
	if l.name, ok = Normal(text); !ok {
		if utf8.RuneCountInString(text) > 60 {
			text = string([]rune(text)[:60]) + "…"
		}
		return l, fmt.Sprintf("%q is no host name", text)
	}
	if state := strings.ToLower(cell("state")); state != "" {
		if l.state = State(state); !slices.Contains(States, l.state) {
			return l, "state: allowed are new, known, ignored, gone"
		}
	}
	l.notes = strings.ReplaceAll(strings.ToValidUTF8(cell("notes"), "\uFFFD"), "\x00", "")
	if utf8.RuneCountInString(l.notes) > maxNotes {
		return l, fmt.Sprintf("notes: allowed are up to %d characters", maxNotes)
	}
	l.notesFilled = l.notes != ""
	return l, ""
}
