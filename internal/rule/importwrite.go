package rule

import (
	"context"
	"slices"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// rowsAtOnce is how many rows one statement of an import writes.
const rowsAtOnce = 200

// insertRows writes rows of indexes, each by values, with what stands before and
// after the rows in the statement.
func insertRows(ctx context.Context, tx *sqldb.DB, before, after string, indexes []int, values func(n int) []any) error {
	for chunk := range slices.Chunk(indexes, rowsAtOnce) {
		var args []any
		for _, n := range chunk {
			args = append(args, values(n)...)
		}
		if _, err := sqldb.Exec(ctx, tx, before+` VALUES `+sqldb.Rows(len(chunk), len(args)/len(chunk))+` `+after, args...); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) writeRules(ctx context.Context, tx *sqldb.DB) error {
	return insertRows(ctx, tx, `INSERT INTO rule (tenant, id, version, yaml, name, description, author, severity, type, source, tactics, techniques, folded,
		license, origin, pack, status, created_at, updated_at)`, `
		ON CONFLICT (tenant, id) DO UPDATE SET version = excluded.version, yaml = excluded.yaml, name = excluded.name, description = excluded.description,
			author = excluded.author, severity = excluded.severity, type = excluded.type, source = excluded.source, tactics = excluded.tactics,
			techniques = excluded.techniques, folded = excluded.folded, license = excluded.license, origin = excluded.origin, pack = excluded.pack,
			updated_at = excluded.updated_at`,
		i.texts, func(n int) []any {
			r := &i.Rules[n]
			at := i.now.UnixMicro()
			return []any{
				int64(i.tenant), r.ID, i.versions[r.ID] + 1, r.YAML, r.Name, r.Description, r.Author, r.Severity, r.Type, r.Source,
				blanks(r.Tactics), blanks(r.Techniques), foldedOf(&r.Meta), r.License, r.Origin, r.Pack, string(i.Status), at, at,
			}
		})
}

func (i *importer) writeVersions(ctx context.Context, tx *sqldb.DB) error {
	return insertRows(ctx, tx, `INSERT INTO rule_version (tenant, rule_id, version, at, actor, reason, yaml)`, "", i.texts, func(n int) []any {
		r := &i.Rules[n]
		return []any{int64(i.tenant), r.ID, i.versions[r.ID] + 1, i.now.UnixMicro(), i.actor, "import of " + i.Pack, r.YAML}
	})
}

// writeStaged stages new rules, and forgets what older texts of staged rules would
// have raised.
func (i *importer) writeStaged(ctx context.Context, tx *sqldb.DB) error {
	had := map[string]bool{}
	for id, err := range sqldb.Stream(ctx, tx, sqldb.Value[string], `SELECT rule_id FROM rule_staged WHERE tenant = $1`, int64(i.tenant)) {
		if err != nil {
			return err
		}
		had[id] = true
	}
	var stage []int
	for _, n := range i.texts {
		id := i.Rules[n].ID
		if i.Staged && i.created[id] {
			stage = append(stage, n)
		}
		if had[id] {
			if err := forgetStaged(ctx, tx, i.tenant, id); err != nil {
				return err
			}
		}
	}
	return insertRows(ctx, tx, `INSERT INTO rule_status (tenant, rule_id, status, staged, updated_at)`,
		`ON CONFLICT (tenant, rule_id) DO UPDATE SET status = excluded.status, staged = excluded.staged, updated_at = excluded.updated_at`,
		stage, func(n int) []any {
			return []any{int64(i.tenant), i.Rules[n].ID, string(Draft), true, i.now.UnixMicro()}
		})
}

// writeMoved changes where rules come from, of which the text stays.
func (i *importer) writeMoved(ctx context.Context, tx *sqldb.DB) error {
	for _, n := range i.moved {
		r := &i.Rules[n]
		if _, err := sqldb.Exec(ctx, tx, `UPDATE rule SET origin = $1, license = $2, pack = $3 WHERE tenant = $4 AND id = $5`,
			r.Origin, r.License, r.Pack, int64(i.tenant), r.ID); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) writeImports(ctx context.Context, tx *sqldb.DB) error {
	return insertRows(ctx, tx, `INSERT INTO rule_import (tenant, rule_id, file, yaml, at)`,
		`ON CONFLICT (tenant, rule_id) DO UPDATE SET file = excluded.file, yaml = excluded.yaml, at = excluded.at`,
		i.imports, func(n int) []any {
			r := &i.Rules[n]
			return []any{int64(i.tenant), r.ID, r.File, r.YAML, i.now.UnixMicro()}
		})
}

// remove prunes what is gone, with what the tenant decided about it; versions stay.
func (i *importer) remove(ctx context.Context, tx *sqldb.DB) error {
	for _, id := range i.removed {
		if err := forgetStaged(ctx, tx, i.tenant, id); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM rule WHERE tenant = $1 AND id = $2`, `DELETE FROM rule_status WHERE tenant = $1 AND rule_id = $2`,
			`DELETE FROM rule_override WHERE tenant = $1 AND rule_id = $2`, `DELETE FROM rule_exception WHERE tenant = $1 AND rule_id = $2`,
			`DELETE FROM rule_import WHERE tenant = $1 AND rule_id = $2`,
		} {
			if _, err := sqldb.Exec(ctx, tx, query, int64(i.tenant), id); err != nil {
				return err
			}
		}
	}
	return nil
}
