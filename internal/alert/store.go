package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Entities are stored as [["ip","src_ip","10.0.1.55"],…], events as ["e0-…",…].

func encodeEntities(list []Entity) (string, error) {
	out := make([][3]string, len(list))
	for i, e := range list {
		out[i] = [3]string{e.Type, e.Field, e.Value}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

func decodeEntities(text string) ([]Entity, error) {
	var in [][3]string
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, err
	}
	list := make([]Entity, len(in))
	for i, e := range in {
		list[i] = Entity{e[0], e[1], e[2]}
	}
	return list, nil
}

func encodeEvents(list []event.ID) (string, error) {
	out := make([]string, len(list))
	for i, id := range list {
		out[i] = id.String()
	}
	text, err := json.Marshal(out)
	return string(text), err
}

func decodeEvents(text string) ([]event.ID, error) {
	var in []string
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, err
	}
	list := make([]event.ID, len(in))
	for i, s := range in {
		id, err := event.ParseID(s)
		if err != nil {
			return nil, err
		}
		list[i] = id
	}
	return list, nil
}

// store writes g as the batch has changed it.
func (b *batch) store(ctx context.Context, g *growing) error {
	g.UpdatedAt = b.now
	if g.UpdatedAt.Before(g.CreatedAt) {
		g.UpdatedAt = g.CreatedAt
	}
	if g.storm != nil {
		if err := b.countStorm(ctx, g); err != nil {
			return err
		}
	}
	if err := b.storeAlert(ctx, g); err != nil {
		return err
	}
	if err := b.storeDetail(ctx, g); err != nil {
		return err
	}
	for _, e := range g.entities[g.known:] {
		if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_entity (tenant, value, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			int64(g.Tenant), strings.ToLower(e.Value), g.seq); err != nil {
			return err
		}
	}
	if g.storm != nil {
		if err := b.storeStorm(ctx, g); err != nil {
			return err
		}
	}
	if !g.text {
		return nil
	}
	return b.storeText(ctx, g)
}

func (b *batch) storeAlert(ctx context.Context, g *growing) error {
	if g.created {
		return insert(ctx, b.tx, &g.Alert, g.key)
	}
	_, err := sqldb.Exec(ctx, b.tx, `UPDATE alert SET description = $1, occurrences = $2, first_seen = $3, last_seen = $4, updated_at = $5 WHERE seq = $6`,
		g.Description, g.Occurrences, g.FirstSeen.UnixMicro(), g.LastSeen.UnixMicro(), g.UpdatedAt.UnixMicro(), g.seq)
	return err
}

// storeDetail writes what merging needs and the references that are new.
func (b *batch) storeDetail(ctx context.Context, g *growing) error {
	values, err := json.Marshal(g.values)
	if err != nil {
		return err
	}
	entities, err := encodeEntities(g.entities)
	if err != nil {
		return err
	}
	events, err := encodeEvents(g.events)
	if err != nil {
		return err
	}
	if err := g.refs.store(ctx, b.tx, g.seq, g.before); err != nil {
		return err
	}
	if g.created {
		_, err = sqldb.Exec(ctx, b.tx, `INSERT INTO alert_detail (seq, template, field_values, entities, events, blocks, referred) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			g.seq, g.template, string(values), entities, events, g.refs.blocks, g.refs.events)
		return err
	}
	_, err = sqldb.Exec(ctx, b.tx, `UPDATE alert_detail SET field_values = $1, entities = $2, events = $3, blocks = $4, referred = $5 WHERE seq = $6`,
		string(values), entities, events, g.refs.blocks, g.refs.events, g.seq)
	return err
}

// storeText writes what search looks in, and the numbers of its words where they
// are others than before.
func (b *batch) storeText(ctx context.Context, g *growing) error {
	folded := fold(g.Title, g.Description)
	words := wordsOf(folded)
	if g.created {
		if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_text (seq, folded) VALUES ($1, $2)`, g.seq, folded); err != nil {
			return err
		}
	} else {
		before, err := sqldb.One(ctx, b.tx, sqldb.Value[string], `SELECT folded FROM alert_text WHERE seq = $1`, g.seq)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, b.tx, `UPDATE alert_text SET folded = $1 WHERE seq = $2`, folded, g.seq); err != nil {
			return err
		}
		if slices.Equal(wordsOf(before), words) {
			return nil
		}
	}
	numbers, err := b.number(ctx, g.Tenant, words)
	if err != nil {
		return err
	}
	return indexWords(ctx, b.tx, g.seq, g.Tenant, numbers, !g.created)
}

// number returns the numbers of words, giving new ones to new words.
func (b *batch) number(ctx context.Context, tenant uint32, words []string) ([]int64, error) {
	known := b.words[tenant]
	if known == nil {
		known = map[string]int64{}
		b.words[tenant] = known
	}
	args := []any{int64(tenant)}
	var list strings.Builder
	for _, word := range words {
		if _, ok := known[word]; !ok {
			args = append(args, word)
			list.WriteString(",$" + strconv.Itoa(len(args)))
		}
	}
	if len(args) > 1 {
		type row struct {
			word string
			n    int64
		}
		rows, err := sqldb.All(ctx, b.tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.word, &r.n) },
			`SELECT word, n FROM alert_word WHERE tenant = $1 AND word IN (`+list.String()[1:]+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			known[r.word] = r.n
		}
	}
	numbers := make([]int64, len(words))
	for i, word := range words {
		n, ok := known[word]
		if !ok {
			h, err := b.head(ctx, tenant)
			if err != nil {
				return nil, err
			}
			h.word++
			n = h.word
			if _, err := sqldb.Exec(ctx, b.tx, `INSERT INTO alert_word (tenant, n, word) VALUES ($1, $2, $3)`, int64(tenant), n, word); err != nil {
				return nil, err
			}
			known[word] = n
		}
		numbers[i] = n
	}
	return numbers, nil
}

// indexWords writes the words of one text into the index, in place of those before
// where it has some.
func indexWords(ctx context.Context, tx *sqldb.DB, seq int64, tenant uint32, numbers []int64, replace bool) error {
	row, words := "rowid", "$2"
	open, prefix, between, end := "", "w", " ", ""
	if tx.Dialect() == sqldb.Postgres {
		row, words = "seq", "CAST($2 AS BIGINT[])"
		open, prefix, between, end = "{", "", ",", "}"
	}
	if replace {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM alert_words WHERE `+row+` = $1`, seq); err != nil {
			return err
		}
	}
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO alert_words (`+row+`, words) VALUES ($1, `+words+`)`, seq, open+wordIDs(tenant, numbers, prefix, between)+end)
	return err
}

// wordIDs writes the words as both indexes know them, by numbers that tell the words
// of all tenants apart: "w68719476737 w68719476738" to SQLite, "68719476737,68719476738"
// to PostgreSQL.
func wordIDs(tenant uint32, numbers []int64, prefix, between string) string {
	var b []byte
	for i, n := range numbers {
		if i > 0 {
			b = append(b, between...)
		}
		b = strconv.AppendInt(append(b, prefix...), int64(tenant)<<seqBits|n, 10)
	}
	return string(b)
}

func insert(ctx context.Context, tx *sqldb.DB, a *Alert, key string) error {
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO alert (seq, id, tenant, title, description, severity, status, source, tactic, technique,
			rule_id, rule_name, rule_author, rule_version, merge_key, occurrences, first_seen, last_seen, created_at, updated_at, rule_license, rule_origin, storm)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)`,
		a.seq, a.ID, int64(a.Tenant), a.Title, a.Description, a.Severity, string(a.Status), a.Source, a.Tactic, a.Technique,
		a.Rule.ID, a.Rule.Name, a.Rule.Author, a.Rule.Version, key, a.Occurrences, a.FirstSeen.UnixMicro(), a.LastSeen.UnixMicro(), a.CreatedAt.UnixMicro(), a.UpdatedAt.UnixMicro(), a.Rule.License, a.Rule.Origin, a.Storm)
	return err
}

// alertColumns are read by Alert.columns, from alert as a.
const alertColumns = `a.seq, a.id, a.tenant, a.title, a.description, a.severity, a.status, a.source, a.tactic, a.technique,
	a.rule_id, a.rule_name, a.rule_author, a.rule_license, a.rule_origin, a.rule_version, a.occurrences, a.first_seen, a.last_seen,
	a.incident_id, a.assigned_to, a.verdict, a.created_at, a.updated_at, a.version, a.storm`

func (a *Alert) columns() []any {
	return []any{
		&a.seq, &a.ID, &a.Tenant, &a.Title, &a.Description, &a.Severity, &a.Status, &a.Source, &a.Tactic, &a.Technique,
		&a.Rule.ID, &a.Rule.Name, &a.Rule.Author, &a.Rule.License, &a.Rule.Origin, &a.Rule.Version, &a.Occurrences, sqldb.Micros(&a.FirstSeen), sqldb.Micros(&a.LastSeen),
		&a.IncidentID, &a.AssignedTo, &a.Verdict, sqldb.Micros(&a.CreatedAt), sqldb.Micros(&a.UpdatedAt), &a.Version, &a.Storm,
	}
}

func scanAlert(rows *sql.Rows, a *Alert) error { return rows.Scan(a.columns()...) }
