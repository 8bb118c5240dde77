package rule

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Import is rules that come in together. Importing a pack again brings it up to
// date and keeps what the tenant decided: status, severity, exceptions, and texts
// that were changed here.
type Import struct {
	Pack       string // that the rules belong to; not empty
	Rules      []Imported
	Status     Status // of new rules; "" is On
	Staged     bool   // new rules, as Draft, run silently
	OnConflict Resolution
	DryRun     bool // find out what would happen, and change nothing

	// Whole says that Rules are all of the pack: those that came with it before and
	// are absent now are gone, except where their file is in Present. Prune removes
	// what is gone and was not changed here.
	Whole   bool
	Present map[string]bool
	Prune   bool
}

// An Imported is one rule of an Import. Its Meta is that of its text.
type Imported struct {
	Meta
	YAML string
	File string // in the pack
}

// A Resolution says which text holds where a rule was changed both here and where it
// comes from.
type Resolution string

// The resolutions.
const (
	Ask    Resolution = ""       // the text of here, and the conflict is told each time
	Ours   Resolution = "ours"   // the text of here, and the conflict is settled
	Theirs Resolution = "theirs" // the text that is imported
)

// A Happening is what became of a rule of an Import.
type Happening string

// The happenings.
const (
	Created   Happening = "created"
	Updated   Happening = "updated"
	Unchanged Happening = "unchanged"
	Edited    Happening = "edited"   // changed here and not there: it stays as it is
	Conflict  Happening = "conflict" // changed both here and there: see Import.OnConflict
	Refused   Happening = "refused"
)

// An Outcome tells what became of a rule of an Import.
type Outcome struct {
	Happening
	Reason string // of a refusal
	// Of a conflict: what was changed here and there since the last import, as
	// unified differences. Where the rule was written here, there is no earlier text:
	// Theirs then leads from the text of here to theirs.
	Ours, Theirs string
}

// A Gone is a rule that its pack has no more.
type Gone struct {
	ID, Name, File string
	Edited         bool // changed here, so that it is never removed by an import
	Removed        bool
}

// An ImportResult tells what an Import did, or would do.
type ImportResult struct {
	Outcomes []Outcome // of the rules, by their index
	Gone     []Gone
}

// MaxImport is how many rules one Import may have.
const MaxImport = 25_000

const maxPack = 200

// Import brings rules in, in one transaction. A rule that cannot be taken is named in
// the result and does not hinder the others.
func (s *Service) Import(ctx context.Context, tenant uint32, actor string, in Import) (*ImportResult, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var out *ImportResult
	run := s.db.Tx
	if in.DryRun {
		run = s.db.View
	}
	err := run(ctx, func(tx *sqldb.DB) error {
		if !in.DryRun {
			if err := hold(ctx, tx, tenant); err != nil {
				return err
			}
		}
		i := importer{Import: &in, tenant: tenant, actor: actor, now: time.Now(), result: &ImportResult{Gone: []Gone{}}}
		if err := i.read(ctx, tx); err != nil {
			return err
		}
		i.decide()
		out = i.result
		if in.DryRun {
			return nil
		}
		return i.write(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("import rules: %w", err)
	}
	return out, nil
}

func (in *Import) check() error {
	if in.Status == "" {
		in.Status = On
	}
	st, err := ParseStatus(string(in.Status))
	if err != nil {
		return err
	}
	in.Status = st
	if in.Pack, err = checkText(in.Pack, "pack", maxPack); err != nil {
		return err
	}
	switch {
	case in.Pack == "":
		return fault.New(fault.Invalid, "Give the pack that the rules belong to a name").In("pack")
	case in.Staged && in.Status != Draft:
		return fault.New(fault.Invalid, "Only a DRAFT can be staged: give status DRAFT with it").In("staged")
	case in.OnConflict != Ask && in.OnConflict != Ours && in.OnConflict != Theirs:
		return fault.New(fault.Invalid, "Allowed: ours, theirs").In("onConflict")
	case len(in.Rules) > MaxImport:
		return fault.New(fault.TooLarge, "an import has at most %d rules", MaxImport)
	}
	return nil
}

// An importer carries out one Import.
type importer struct {
	*Import
	tenant uint32
	actor  string
	now    time.Time

	builtin  map[string]bool
	own      map[string]ownRule
	bases    map[string]base
	versions map[string]int64 // the last one of each rule, removed ones too
	result   *ImportResult

	texts   []int // rules to write, by index
	moved   []int // those of which only origin, licence or pack change
	imports []int // those of which the imported text is to be kept
	removed []string
	created map[string]bool
}

type ownRule struct {
	yaml, name, pack, origin, license string
}

// base is the text of a rule as it was imported last.
type base struct{ yaml, file string }

func (i *importer) read(ctx context.Context, tx *sqldb.DB) error {
	i.builtin, i.own, i.bases, i.versions = map[string]bool{}, map[string]ownRule{}, map[string]base{}, map[string]int64{}
	tenant := int64(i.tenant)
	type row struct {
		id string
		ownRule
	}
	for id, err := range sqldb.Stream(ctx, tx, sqldb.Value[string], `SELECT id FROM rule WHERE tenant = $1`, builtin) {
		if err != nil {
			return err
		}
		i.builtin[id] = true
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.id, &r.yaml, &r.name, &r.pack, &r.origin, &r.license)
	}, `SELECT id, yaml, name, pack, origin, license FROM rule WHERE tenant = $1`, tenant) {
		if err != nil {
			return err
		}
		i.own[r.id] = r.ownRule
	}
	type baseRow struct {
		id string
		base
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *baseRow) error { return rows.Scan(&r.id, &r.yaml, &r.file) },
		`SELECT rule_id, yaml, file FROM rule_import WHERE tenant = $1`, tenant) {
		if err != nil {
			return err
		}
		i.bases[r.id] = r.base
	}
	type versionRow struct {
		id string
		n  int64
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *versionRow) error { return rows.Scan(&r.id, &r.n) },
		`SELECT rule_id, max(version) FROM rule_version WHERE tenant = $1 GROUP BY rule_id`, tenant) {
		if err != nil {
			return err
		}
		i.versions[r.id] = r.n
	}
	return nil
}

// decide says what becomes of each rule.
func (i *importer) decide() {
	i.created = map[string]bool{}
	i.result.Outcomes = make([]Outcome, len(i.Rules))
	seen := map[string]bool{}
	for n := range i.Rules {
		r := &i.Rules[n]
		r.Pack = i.Pack
		reason := i.refusal(r, seen)
		if reason != "" {
			i.result.Outcomes[n] = Outcome{Happening: Refused, Reason: reason}
			continue
		}
		seen[r.ID] = true
		i.result.Outcomes[n] = i.one(n, r)
	}
	if i.Whole {
		i.missing(seen)
	}
}

func (i *importer) refusal(r *Imported, seen map[string]bool) string {
	if err := r.valid(); err != nil {
		return err.Error()
	}
	switch {
	case r.ID == "":
		return "the rule has no id"
	case seen[r.ID]:
		return "another rule of this import has the id " + r.ID
	case i.builtin[r.ID]:
		return "a rule that comes with KYRA has the id " + r.ID
	case len(r.YAML) > maxYAML:
		return fmt.Sprintf("a rule has at most %d bytes", maxYAML)
	case !utf8.ValidString(r.YAML) || strings.ContainsRune(r.YAML, 0):
		return "a rule is valid UTF-8 without NUL"
	}
	return ""
}

// one compares three texts: of here, of there, and what was imported last.
func (i *importer) one(n int, r *Imported) Outcome {
	here, known := i.own[r.ID]
	before, imported := i.bases[r.ID]
	if !known {
		i.texts, i.imports = append(i.texts, n), append(i.imports, n)
		i.created[r.ID] = true
		return Outcome{Happening: Created}
	}
	keepBase := func() {
		if !imported || before.yaml != r.YAML || before.file != r.File {
			i.imports = append(i.imports, n)
		}
		// A file that says nothing of its source takes no rule from its pack.
		known := here.pack == r.Pack || !strings.HasPrefix(r.Origin, "file:")
		if known && (here.pack != r.Pack || here.origin != r.Origin || here.license != r.License) {
			i.moved = append(i.moved, n)
		}
	}
	switch {
	case here.yaml == r.YAML:
		keepBase()
		return Outcome{Happening: Unchanged}
	case imported && here.yaml == before.yaml:
		i.texts, i.imports = append(i.texts, n), append(i.imports, n)
		return Outcome{Happening: Updated}
	case imported && before.yaml == r.YAML:
		keepBase()
		return Outcome{Happening: Edited}
	}
	switch i.OnConflict {
	case Theirs:
		i.texts, i.imports = append(i.texts, n), append(i.imports, n)
		return Outcome{Happening: Updated}
	case Ours:
		keepBase()
		return Outcome{Happening: Edited}
	}
	out := Outcome{Happening: Conflict}
	if !imported {
		out.Theirs = Unified("here", i.Pack, here.yaml, r.YAML)
		return out
	}
	out.Ours = Unified("imported last", "here", before.yaml, here.yaml)
	out.Theirs = Unified("imported last", i.Pack, before.yaml, r.YAML)
	return out
}

// missing finds what came with the pack before and is not in it any more.
func (i *importer) missing(seen map[string]bool) {
	for id, r := range i.own {
		before, imported := i.bases[id]
		if !imported || r.pack != i.Pack || seen[id] || i.Present[before.file] {
			continue
		}
		g := Gone{ID: id, Name: r.name, File: before.file, Edited: r.yaml != before.yaml}
		if g.Removed = i.Prune && !g.Edited; g.Removed {
			i.removed = append(i.removed, id)
		}
		i.result.Gone = append(i.result.Gone, g)
	}
	slices.SortFunc(i.result.Gone, func(a, b Gone) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(i.removed)
}

// write makes it so.
func (i *importer) write(ctx context.Context, tx *sqldb.DB) error {
	for _, step := range []func(context.Context, *sqldb.DB) error{i.writeRules, i.writeVersions, i.writeStaged, i.writeMoved, i.writeImports, i.remove} {
		if err := step(ctx, tx); err != nil {
			return err
		}
	}
	if len(i.texts)+len(i.moved)+len(i.removed) == 0 {
		return nil
	}
	if err := bump(ctx, tx, i.tenant); err != nil {
		return err
	}
	counts := map[string]any{"pack": i.Pack, "status": i.Status, "removed": len(i.removed)}
	for _, o := range i.result.Outcomes {
		n, _ := counts[string(o.Happening)].(int)
		counts[string(o.Happening)] = n + 1
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: i.tenant, At: i.now, Actor: i.actor, Action: "rule.import", Object: i.Pack, Detail: counts})
}
