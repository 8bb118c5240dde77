package rule

import (
	"context"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Referred returns the ids and names of the rules that correlations among docs count
// and that are not among them.
func Referred(docs []*sigma.Document) []string {
	var names []string
	for _, d := range docs {
		if d.Correlation == nil {
			continue
		}
		for _, name := range d.Correlation.Rules {
			if !holds(docs, name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// holds tells whether one of docs has that id or name.
func holds(docs []*sigma.Document, name string) bool {
	return slices.ContainsFunc(docs, func(d *sigma.Document) bool { return d.ID == name || d.Name == name })
}

// refersToKnown tells whether the tenant has the rules that the text counts. Whether
// they are on, and so count, is for the engine to tell.
func refersToKnown(ctx context.Context, tx *sqldb.DB, tenant uint32, yaml []byte) error {
	docs, err := sigma.Parse(yaml)
	if err != nil {
		return nil //nolint:nilerr // the text has been checked: what cannot be read here counts nothing
	}
	for _, name := range Referred(docs) {
		known, err := hasRule(ctx, tx, tenant, name)
		if err != nil {
			return err
		}
		if !known {
			return fault.New(fault.Invalid, "it counts the rule %q, which is neither in the text nor in the catalogue, by id or by name", name).In("yaml")
		}
	}
	return nil
}

func hasRule(ctx context.Context, db *sqldb.DB, tenant uint32, name string) (bool, error) {
	if strings.ContainsRune(name, 0) {
		return false, nil
	}
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*)`+fromRule+` AND r.id = $2`, int64(tenant), name)
	if n > 0 || err != nil {
		return n > 0, err
	}
	// A name stands in the text only.
	const atMost = ` LIMIT 200`
	texts, err := sqldb.All(ctx, db, sqldb.Value[string], `SELECT r.yaml`+fromRule+` AND instr(r.yaml, $2) > 0 ORDER BY r.id`+atMost, int64(tenant), name)
	if err != nil {
		return false, err
	}
	for _, text := range texts {
		if docs, err := sigma.Parse([]byte(text)); err == nil && holds(docs, name) {
			return true, nil
		}
	}
	return false, nil
}
