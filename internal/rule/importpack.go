package rule

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Packed is a rule of a tenant's own on its way to somebody else.
type Packed struct {
	ID, Name, Author, License, Origin, Pack string
	File                                    string // in the pack that it came with, "" for what was written here
	YAML                                    string
}

// Packed returns the rules that the tenant wrote or imported, those of one pack if it
// is given, in order of pack, file and id.
func (s *Service) Packed(ctx context.Context, tenant uint32, pack string) ([]Packed, error) {
	all, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, p *Packed) error {
		return rows.Scan(&p.ID, &p.Name, &p.Author, &p.License, &p.Origin, &p.Pack, &p.File, &p.YAML)
	}, `SELECT r.id, r.name, r.author, r.license, r.origin, r.pack, CASE WHEN r.pack = '' THEN '' ELSE COALESCE(i.file, '') END, r.yaml
		FROM rule r LEFT JOIN rule_import i ON i.tenant = r.tenant AND i.rule_id = r.id
		WHERE r.tenant = $1 AND ($2 = '' OR r.pack = $2) ORDER BY 6, 7, 1`, int64(tenant), pack)
	if err != nil {
		return nil, fmt.Errorf("get rules to export: %w", err)
	}
	return all, nil
}
