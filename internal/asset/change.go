package asset

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Patch changes what people say of an asset. nil leaves a thing as it is; an empty
// name or type is what the evidence says.
type Patch struct {
	Name, Type, Owner, Criticality, Notes, OS *string
	Tags                                      *[]string
	Version                                   int64 // that the change is made on, 0 for any
}

const (
	maxName  = 253
	maxOwner = 200
	maxNotes = 10_000
	maxTags  = 32
	maxTag   = 64
)

func (p *Patch) check() error {
	if p.Name == nil && p.Type == nil && p.Owner == nil && p.Criticality == nil && p.Notes == nil && p.Tags == nil && p.OS == nil {
		return fault.New(fault.Invalid, "Give at least one of name, type, owner, criticality, tags, notes")
	}
	for _, t := range []struct {
		field string
		text  *string
		most  int
	}{{"name", p.Name, maxName}, {"owner", p.Owner, maxOwner}, {"notes", p.Notes, maxNotes}, {"os", p.OS, maxOwner}} {
		if t.text != nil && utf8.RuneCountInString(*t.text) > t.most {
			return fault.New(fault.Invalid, "Allowed: up to %d characters", t.most).In(t.field)
		}
	}
	if p.Type != nil && *p.Type != "" && !slices.Contains(Types, *p.Type) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Types, ", ")).In("type")
	}
	if p.Criticality != nil && rankOf(*p.Criticality) == 0 {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Criticalities, ", ")).In("criticality")
	}
	return p.checkTags()
}

func (p *Patch) checkTags() error {
	if p.Tags == nil {
		return nil
	}
	tags := []string{}
	for _, t := range *p.Tags {
		t = strings.TrimSpace(t)
		if t == "" || utf8.RuneCountInString(t) > maxTag {
			return fault.New(fault.Invalid, "Allowed: tags of 1 to %d characters", maxTag).In("tags")
		}
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	if len(tags) > maxTags {
		return fault.New(fault.Invalid, "Allowed: up to %d tags", maxTags).In("tags")
	}
	p.Tags = &tags
	return nil
}

// Patch changes an asset and returns it as it then is.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Asset, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		w, err := begin(ctx, tx, tenant)
		if err != nil {
			return err
		}
		r, err := w.find(ctx, id)
		if err != nil {
			return err
		}
		if p.Version != 0 && p.Version != r.version {
			return fault.New(fault.Conflict, "it has changed since: read it again").In("version")
		}
		detail, err := w.set(ctx, r, &p)
		if err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "asset.update", Object: id, Detail: detail}); err != nil {
			return err
		}
		return w.show(ctx)
	})
	if err != nil {
		return nil, wrap("change asset", err)
	}
	return s.Get(ctx, tenant, id)
}

// find reads the row of an asset.
func (w *writer) find(ctx context.Context, id string) (*row, error) {
	rows, err := sqldb.All(ctx, w.tx, scanRow, `SELECT `+rowColumns+` FROM asset a WHERE a.tenant = $1 AND a.id = $2`, int64(w.tenant), id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, unknown()
	}
	w.take(rows)
	return w.rows[id], nil
}

// set writes what people say; detail is what changed.
func (w *writer) set(ctx context.Context, r *row, p *Patch) (detail map[string]any, err error) {
	detail = map[string]any{}
	var b strings.Builder
	args := []any{int64(w.tenant), r.id}
	put := func(column, field string, v, shown any) {
		args = append(args, v)
		fmt.Fprintf(&b, "%s = $%d, ", column, len(args))
		detail[field] = shown
	}
	for _, t := range []struct {
		column, field string
		text          *string
	}{{"set_name", "name", p.Name}, {"set_type", "type", p.Type}, {"set_os", "os", p.OS}, {"owner", "owner", p.Owner}, {"notes", "notes", p.Notes}} {
		if t.text != nil {
			put(t.column, t.field, *t.text, *t.text)
		}
	}
	if p.Criticality != nil {
		put("criticality", "criticality", rankOf(*p.Criticality), *p.Criticality)
	}
	if p.Tags != nil {
		text, err := json.Marshal(*p.Tags)
		if err != nil {
			return nil, err
		}
		put("tags", "tags", string(text), *p.Tags)
	}
	w.touch[r.root] = true
	r.version++
	_, err = sqldb.Exec(ctx, w.tx, `UPDATE asset SET `+b.String()+`version = version + 1 WHERE tenant = $1 AND id = $2`, args...)
	return detail, err
}

const maxReason = 1000

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" || utf8.RuneCountInString(reason) > maxReason {
		return fault.New(fault.Invalid, "Allowed: 1 to %d characters that say why", maxReason).In("reason")
	}
	return nil
}

// Merge makes others part of the asset id. Nothing of them is lost: see Unmerge.
func (s *Service) Merge(ctx context.Context, tenant uint32, actor, id string, others []string, reason string) (*Asset, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	if len(others) == 0 || len(others) > 100 {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to 100 ids").In("assets")
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		w, err := begin(ctx, tx, tenant)
		if err != nil {
			return err
		}
		into, err := w.find(ctx, id)
		if err != nil {
			return err
		}
		if into.root != into.id {
			return fault.New(fault.Conflict, "it is itself merged into %s: merge into that, or unmerge it first", into.root)
		}
		for _, other := range others {
			child, err := w.find(ctx, other)
			switch {
			case err != nil && other != id:
				return fault.New(fault.Invalid, "no asset has the id %q", other).In("assets")
			case other == id:
				return fault.New(fault.Invalid, "an asset cannot be merged into itself").In("assets")
			case child.root == into.id:
				return fault.New(fault.Conflict, "%s is merged into it already", other)
			case child.root != child.id:
				return fault.New(fault.Conflict, "%s is merged into %s: unmerge it first", other, child.root)
			}
			if err := w.mergeInto(ctx, child, into, actor, reason, s.options.Now().UnixMicro()); err != nil {
				return err
			}
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "asset.merge", Object: id, Detail: map[string]any{"assets": others, "reason": reason}}); err != nil {
			return err
		}
		return w.write(ctx)
	})
	if err != nil {
		return nil, wrap("merge assets", err)
	}
	return s.Get(ctx, tenant, id)
}

// Unmerge takes an asset out of what it was merged into: both are then as if they had
// never met, and only people bring them together again. It returns the asset.
func (s *Service) Unmerge(ctx context.Context, tenant uint32, actor, id, reason string) (*Asset, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		w, err := begin(ctx, tx, tenant)
		if err != nil {
			return err
		}
		r, err := w.find(ctx, id)
		if err != nil {
			return err
		}
		if r.parent == "" {
			return fault.New(fault.Conflict, "it is not merged into another")
		}
		into := r.root
		if err := w.loadGroup(ctx, into); err != nil {
			return err
		}
		now := s.options.Now()
		if _, err := sqldb.Exec(ctx, tx, `UPDATE asset_merge SET undone_at = $1, undone_by = $2 WHERE tenant = $3 AND asset = $4 AND into_id = $5 AND undone_at IS NULL`,
			now.UnixMicro(), actor, int64(tenant), id, r.parent); err != nil {
			return err
		}
		r.parent = ""
		for _, m := range w.rows { // what was merged into it before goes with it
			top := m
			for top.parent != "" {
				top = w.rows[top.parent]
			}
			if m.root != top.id {
				m.root, m.changed = top.id, true
			}
		}
		r.changed = true
		w.touch[into], w.touch[id] = true, true
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "asset.unmerge", Object: id, Detail: map[string]any{"from": into, "reason": reason}}); err != nil {
			return err
		}
		return w.write(ctx)
	})
	if err != nil {
		return nil, wrap("unmerge asset", err)
	}
	return s.Get(ctx, tenant, id)
}
