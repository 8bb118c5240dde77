package rule

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Mapping says what a rule stands for in ATT&CK.
type Mapping struct {
	ID, Name   string
	Tactics    []string // short form
	Techniques []string
}

// Mappings returns those of all rules that are on for the tenant, in order of their
// ids.
func (s *Service) Mappings(ctx context.Context, tenant uint32) ([]Mapping, error) {
	all, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, m *Mapping) error {
		var tactics, techniques string
		err := rows.Scan(&m.ID, &m.Name, &tactics, &techniques)
		m.Tactics, m.Techniques = strings.Fields(tactics), strings.Fields(techniques)
		return err
	}, `SELECT r.id, r.name, r.tactics, r.techniques`+fromRule+` AND `+status+` = 'ACTIVE' ORDER BY r.id`, int64(tenant))
	if err != nil {
		return nil, fmt.Errorf("get mappings of rules: %w", err)
	}
	return all, nil
}
