package asset

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// MaxImport bounds the lines of one import.
const MaxImport = 10_000

// Columns lists what an import may have.
var Columns = []string{"name", "address", "mac", "type", "os", "owner", "criticality", "tags", "notes"}

// A LineError says what is wrong with a line, counted from 1 for the header.
type LineError struct {
	Line           int
	Field, Message string
}

// Imported says what an import did, or would do.
type Imported struct {
	Created, Updated int
	Errors           []LineError
}

// imported is one line.
type imported struct {
	line  int
	seen  sighting
	patch Patch
}

// Import takes assets from CSV with a header row of Columns in any order: an asset that
// the MAC, the name, or else the address tells is changed, any other made. Where a line
// is wrong, or with dry, nothing is.
func (s *Service) Import(ctx context.Context, tenant uint32, actor string, text []byte, dry bool) (*Imported, error) {
	lines, wrong, err := readCSV(tenant, text)
	if err != nil {
		return nil, err
	}
	out := &Imported{Errors: wrong}
	dry = dry || len(wrong) > 0
	undo := errors.New("dry run")
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		out.Created, out.Updated = 0, 0
		for part := range slices.Chunk(lines, 200) {
			if err := s.importSome(ctx, tx, tenant, part, out); err != nil {
				return err
			}
		}
		if dry {
			return undo
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "asset.import", Detail: map[string]any{"created": out.Created, "updated": out.Updated}})
	})
	if err != nil && !errors.Is(err, undo) {
		return nil, wrap("import assets", err)
	}
	return out, nil
}

func (s *Service) importSome(ctx context.Context, tx *sqldb.DB, tenant uint32, lines []imported, out *Imported) error {
	w, err := begin(ctx, tx, tenant)
	if err != nil {
		return err
	}
	var words []string
	for i := range lines {
		words = append(words, lines[i].seen.words()...)
		if ip := lines[i].seen.ip; ip != "" {
			words = append(words, "ip:"+ip)
		}
	}
	if err := w.load(ctx, words); err != nil {
		return err
	}
	count, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT assets FROM asset_head WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return err
	}
	apart, err := w.apart(ctx)
	if err != nil {
		return err
	}
	now := s.options.Now().UnixNano()
	room := s.options.Max - count
	var targets []*row
	for i := range lines {
		x := &lines[i]
		opened, err := w.see(ctx, &x.seen, span{now, now}, room > 0, apart, s)
		if err != nil {
			return err
		}
		switch {
		case opened == nil:
			return fault.New(fault.Conflict, "line %d: there is room for %d assets and all are taken: ask for more, or leave lines out", x.line, s.options.Max)
		case *opened:
			out.Created++
			room--
		default:
			out.Updated++
		}
		targets = append(targets, w.rows[w.rows[w.owner[x.seen.words()[0]]].root])
	}
	if err := w.write(ctx); err != nil {
		return err
	}
	for i := range lines {
		if lines[i].patch.check() != nil { // nothing but what tells it
			continue
		}
		if _, err := w.set(ctx, targets[i], &lines[i].patch); err != nil {
			return err
		}
	}
	return w.show(ctx)
}

func readCSV(tenant uint32, text []byte) (lines []imported, wrong []LineError, err error) {
	if !utf8.Valid(text) || strings.ContainsRune(string(text), 0) {
		return nil, nil, fault.New(fault.Invalid, "The file is not UTF-8 text: save it as CSV UTF-8").In("file")
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\uFEFF")))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "The file has no header row of %s", strings.Join(Columns, ", ")).In("file")
	}
	for i := range head {
		head[i] = strings.ToLower(strings.TrimSpace(head[i]))
		if !slices.Contains(Columns, head[i]) || slices.Index(head, head[i]) != i {
			return nil, nil, fault.New(fault.Invalid, "Unknown or repeated column %q in line 1. Known: %s", head[i], strings.Join(Columns, ", ")).In("file")
		}
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return lines, wrong, nil
		}
		if p, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, append(wrong, LineError{p.Line, "", p.Err.Error()}), nil
		}
		at, _ := r.FieldPos(0)
		if len(lines) == MaxImport {
			return nil, nil, fault.New(fault.Invalid, "Line %d: up to %d assets in a file: split it", at, MaxImport).In("file")
		}
		if len(cells) != len(head) {
			wrong = append(wrong, LineError{at, "", "it has another number of cells than the header"})
			continue
		}
		x, bad := lineOf(tenant, head, cells)
		if bad != nil {
			if len(wrong) < 100 {
				wrong = append(wrong, LineError{at, bad.Field, bad.Message})
			}
			continue
		}
		x.line = at
		lines = append(lines, x)
	}
}

func lineOf(tenant uint32, head, cells []string) (x imported, bad *fault.Error) {
	x.seen.tenant = tenant
	for i := range cells {
		v := strings.TrimSpace(cells[i])
		if v == "" {
			continue // as it was
		}
		switch head[i] {
		case "name":
			if x.seen.name = machine(v); x.seen.name == "" {
				return x, fault.New(fault.Invalid, "Allowed: a host name that tells machines apart").In("name")
			}
		case "address":
			a, ok := address(v)
			if !ok {
				return x, fault.New(fault.Invalid, "Allowed: an IPv4 or IPv6 address of a machine").In("address")
			}
			x.seen.ip = a.String()
		case "mac":
			if x.seen.mac = hardware(v); x.seen.mac == "" {
				return x, fault.New(fault.Invalid, "Allowed: six bytes such as 00:00:5e:00:53:01 that belong to one card").In("mac")
			}
		case "type":
			v = strings.ToLower(v)
			x.patch.Type = &v
		case "os":
			x.patch.OS = &v
		case "owner":
			x.patch.Owner = &v
		case "criticality":
			v = strings.ToLower(v)
			x.patch.Criticality = &v
		case "notes":
			x.patch.Notes = &v
		case "tags":
			tags := strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == ',' || r == '|' })
			x.patch.Tags = &tags
		}
	}
	if cmp.Or(x.seen.name, x.seen.mac, x.seen.ip) == "" {
		return x, fault.New(fault.Invalid, "Give at least one of name, address, mac")
	}
	if x.patch != (Patch{}) {
		if err := x.patch.check(); err != nil {
			bad, _ = errors.AsType[*fault.Error](err)
			return x, bad
		}
	}
	return x, nil
}
