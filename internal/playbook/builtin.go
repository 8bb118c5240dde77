package playbook

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// builtin is a document that every tenant has.
type builtin struct {
	text string
	doc  *Document
}

func readBuiltin(files fs.FS) ([]builtin, error) {
	names, err := fs.Glob(files, "*.yml")
	if err != nil {
		return nil, fmt.Errorf("built-in playbooks: %w", err)
	}
	var all []builtin
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("built-in playbook %s: %w", name, err)
		}
		d, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("built-in playbook %s: %w", name, err)
		}
		all = append(all, builtin{string(text), d})
	}
	return all, nil
}

// ensure gives the tenant the built-in playbooks that it lacks, and those that it has
// their present text. They are enabled, but steps that leave the house are not.
func (s *Service) ensure(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	if len(s.builtin) == 0 {
		return nil
	}
	type row struct {
		id, origin, text string
		number           int64
	}
	have := map[string]row{}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *[2]any) error {
		var x row
		var handle string
		err := rows.Scan(&x.id, &handle, &x.origin, &x.number, &x.text)
		r[0], r[1] = handle, x
		return err
	}, `SELECT p.id, p.handle, p.origin, p.number, v.text FROM playbook p JOIN playbook_version v ON v.playbook_id = p.id AND v.number = p.number WHERE p.tenant = $1`, int64(tenant)) {
		if err != nil {
			return fault.Wrap("read playbooks", err)
		}
		handle, _ := r[0].(string)
		have[handle], _ = r[1].(row)
	}
	for i := range s.builtin {
		b := &s.builtin[i]
		r, ok := have[b.doc.Handle]
		switch {
		case !ok:
			p, err := s.insert(ctx, tx, tenant, audit.System, Builtin, b.text, b.doc, true, false)
			if err != nil {
				return fault.Wrap("add built-in playbook", err)
			}
			if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: p.CreatedAt, Actor: audit.System, Action: "playbook.create", Object: p.ID, Detail: p.record()}); err != nil {
				return err
			}
		case r.origin == Builtin && r.text != b.text:
			if err := s.keep(ctx, tx, r.id, r.number+1, audit.System, b.text); err != nil {
				return fault.Wrap("renew built-in playbook", err)
			}
			if _, err := sqldb.Exec(ctx, tx, `UPDATE playbook SET number = $2, name = $3, event = $4, next_at = $5, revision = revision + 1, updated_at = $6 WHERE id = $1`,
				r.id, r.number+1, b.doc.Name, b.doc.Event, sqldb.Nullable(b.doc.next(s.now())), s.now().UnixMicro()); err != nil {
				return fault.Wrap("renew built-in playbook", err)
			}
		}
	}
	return nil
}
