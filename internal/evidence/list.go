package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

var errNone = fault.New(fault.NotFound, "no such evidence")

// A Filter chooses evidence; zero fields choose all.
type Filter struct {
	Check      string
	Kind       Kind
	Result     string // one of compliance.Outcomes
	Framework  string // a name that Catalogue.Find knows
	Control    string // an id, of any framework or of Framework
	From, To   time.Time
	Ascending  bool // the oldest first
	Page, Size int  // Page from 0; Size 0 means 20
}

// Refs tells which controls evidence serves: automatic by the variant of its check,
// manual by the controls it was handed in for.
type Refs struct{ variants map[string][]Control }

// Refs returns the references of the frameworks that the tenant is assessed by.
func (s *Service) Refs(ctx context.Context, tenant uint32) (*Refs, error) {
	frameworks, err := s.Compliance.Frameworks(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return refsOf(frameworks, ""), nil
}

func refsOf(frameworks []*compliance.Framework, control string) *Refs {
	r := &Refs{map[string][]Control{}}
	for _, f := range frameworks {
		for i := range f.Controls {
			k := &f.Controls[i]
			if control != "" && k.ID != control {
				continue
			}
			for _, l := range k.Checks {
				r.variants[l.Key] = append(r.variants[l.Key], Control{f.ID, k.ID})
			}
		}
	}
	return r
}

// Of returns the controls that a record serves, of every framework.
func (r *Refs) Of(k *Record) []Control {
	if k.Kind == Manual {
		return k.Controls
	}
	return slices.Clip(r.variants[k.Variant])
}

// where is the condition of f and its arguments.
func (s *Service) where(ctx context.Context, tenant uint32, f *Filter) (string, []any, error) {
	var b strings.Builder
	b.WriteString(` WHERE r.tenant = $1`)
	args := []any{int64(tenant)}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	for _, x := range []struct{ column, value string }{{"check_id", f.Check}, {"kind", string(f.Kind)}, {"result", f.Result}} {
		if x.value != "" {
			b.WriteString(" AND r." + x.column + " = " + arg(x.value))
		}
	}
	if !f.From.IsZero() {
		b.WriteString(" AND r.effective_at >= " + arg(f.From.UnixMicro()))
	}
	if !f.To.IsZero() {
		b.WriteString(" AND r.effective_at < " + arg(f.To.UnixMicro()))
	}
	if f.Framework == "" && f.Control == "" {
		return b.String(), args, nil
	}
	frameworks, err := s.chosen(ctx, tenant, f.Framework)
	if err != nil {
		return "", nil, err
	}
	keys := slices.Sorted(maps.Keys(refsOf(frameworks, f.Control).variants))
	b.WriteString(" AND (r.kind = 'automatic' AND r.variant IN (''")
	for _, key := range keys {
		b.WriteString(", " + arg(key))
	}
	b.WriteString(") OR EXISTS (SELECT 1 FROM evidence_control c WHERE c.tenant = r.tenant AND c.seq = r.seq")
	if f.Framework != "" {
		b.WriteString(" AND c.framework = " + arg(frameworks[0].ID))
	}
	if f.Control != "" {
		b.WriteString(" AND c.control = " + arg(f.Control))
	}
	b.WriteString("))")
	return b.String(), args, nil
}

// chosen returns the framework of that name in the tenant's edition, all for "".
func (s *Service) chosen(ctx context.Context, tenant uint32, name string) ([]*compliance.Framework, error) {
	frameworks, err := s.Compliance.Frameworks(ctx, tenant)
	if err != nil || name == "" {
		return frameworks, err
	}
	f := s.Compliance.Catalogue.Find(name)
	for _, x := range frameworks {
		if f != nil && x.ID == f.ID {
			return []*compliance.Framework{x}, nil
		}
	}
	return nil, fault.New(fault.Invalid, "There is no framework %q", name).In("framework")
}

// List returns one page of the tenant's evidence, newest effective date first unless f
// says otherwise, and how many there are in all.
func (s *Service) List(ctx context.Context, tenant uint32, f Filter) (page []Kept, total int64, err error) {
	if f.Size == 0 {
		f.Size = 20
	}
	where, args, err := s.where(ctx, tenant, &f)
	if err != nil {
		return nil, 0, fault.Wrap("list evidence", err)
	}
	order := ` ORDER BY r.effective_at DESC, r.seq DESC`
	if f.Ascending {
		order = ` ORDER BY r.effective_at, r.seq`
	}
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM evidence_record r`+where, args...); err != nil {
			return err
		}
		page, err = sqldb.All(ctx, tx, scanKept, selectKept+where+order+fmt.Sprintf(` LIMIT $%d OFFSET $%d`, len(args)+1, len(args)+2), append(args, f.Size, int64(f.Page)*int64(f.Size))...)
		return err
	})
	return page, total, fault.Wrap("list evidence", err)
}

func get(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Kept, error) {
	k, err := sqldb.One(ctx, db, scanKept, selectKept+` WHERE r.tenant = $1 AND r.id = $2`, int64(tenant), line(id))
	if errors.Is(err, fault.NotFound) {
		return nil, errNone
	}
	return &k, err
}

// Get returns the tenant's evidence of that id, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Kept, error) {
	k, err := get(ctx, s.DB, tenant, id)
	return k, fault.Wrap("get evidence", err)
}

// Open opens the artifact of the tenant's evidence. Reading it to its end fails with
// vault.ErrChanged where it is not what was kept.
func (s *Service) Open(ctx context.Context, tenant uint32, id string) (*Kept, io.ReadCloser, error) {
	k, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	if k.Artifact == nil {
		return nil, nil, fault.New(fault.NotFound, "this evidence has no file: all that was found stands in its record")
	}
	if s.Files == nil {
		return nil, nil, fault.Wrap("open evidence", errNoFiles)
	}
	r, err := s.Files.Get(tenant, vault.Ref{SHA256: k.Artifact.SHA256, Size: k.Artifact.Bytes})
	return k, r, fault.Wrap("open evidence", err)
}

// A Flaw is something about a record that is not as it was kept.
type Flaw struct {
	ID   string // of the record, "" where it is not known
	Seq  int64
	What string // one sentence
}

// Check looks whether one record and its artifact are as they were kept, and whether the
// audit log holds its place in the chain. It returns what is not.
func (s *Service) Check(ctx context.Context, tenant uint32, id string) ([]Flaw, error) {
	k, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	flaws := []Flaw{}
	for what, err := range s.look(ctx, k) {
		if err != nil {
			return nil, fault.Wrap("check evidence", err)
		}
		flaws = append(flaws, Flaw{k.ID, k.Seq, what})
	}
	return flaws, nil
}

// maxFlaws is how many flaws CheckAll returns.
const maxFlaws = 100

// CheckAll looks at all records of the tenant as Check does, and at the chain from its
// beginning to its head. It returns how many records there are and what is not as it was
// kept, the first maxFlaws of it.
func (s *Service) CheckAll(ctx context.Context, tenant uint32) (records int64, flaws []Flaw, err error) {
	end, err := headOf(ctx, s.DB, tenant)
	if err != nil {
		return 0, nil, fault.Wrap("check evidence", err)
	}
	at := chain{hash: []byte{}}
	for at.seq < end.seq && len(flaws) < maxFlaws {
		part, err := sqldb.All(ctx, s.DB, scanKept, selectKept+` WHERE r.tenant = $1 AND r.seq > $2 AND r.seq <= $3 ORDER BY r.seq LIMIT 200`, int64(tenant), at.seq, end.seq)
		if err != nil {
			return records, flaws, fault.Wrap("check evidence", err)
		}
		if len(part) == 0 {
			return records, append(flaws, Flaw{"", at.seq + 1, "the record is missing"}), nil
		}
		for i := range part {
			k := &part[i]
			if k.Seq != at.seq+1 {
				flaws = append(flaws, Flaw{"", at.seq + 1, "the record is missing"})
			}
			for what, err := range s.look(ctx, k) {
				if err != nil {
					return records, flaws, fault.Wrap("check evidence", err)
				}
				flaws = append(flaws, Flaw{k.ID, k.Seq, what})
			}
			records++
			at.seq, at.hash = k.Seq, k.Hash
		}
	}
	if at.seq == end.seq && !bytes.Equal(at.hash, end.hash) {
		flaws = append(flaws, Flaw{"", end.seq, "the last record is not the one that the head names"})
	}
	return records, flaws[:min(len(flaws), maxFlaws)], nil
}
