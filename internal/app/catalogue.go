package app

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/rules"
)

// newRules returns the catalogue with the built-in rules of this version in it.
func newRules(ctx context.Context, db *sqldb.DB, log *slog.Logger) (*rule.Service, error) {
	service := rule.New(db, content.Check)
	var builtin []rule.Builtin
	err := fs.WalkDir(rules.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(rules.FS, path)
		if err != nil {
			return err
		}
		meta, err := content.Check(text)
		if err != nil {
			return fmt.Errorf("built-in rule %s: %w", path, err)
		}
		builtin = append(builtin, rule.Builtin{Meta: meta, YAML: string(text)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	changed, err := service.Sync(ctx, builtin)
	if err != nil {
		return nil, err
	}
	if changed > 0 {
		log.InfoContext(ctx, "built-in rules are up to date", "rules", len(builtin), "changed", changed)
	}
	return service, nil
}
