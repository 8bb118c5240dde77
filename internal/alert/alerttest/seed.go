// Package alerttest fills a database with very many alerts, for benchmarks. Nothing
// but tests imports it.
package alerttest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

var titles = []string{
	"Brute Force Authentication Attempt", "TCP SYN Scan Detection", "Web Shell Upload", "Sudo Abuse",
	"랜섬웨어 행위 탐지", "New Account Created", "Suspicious Cron Job", "SQL Injection Attempt",
}

const (
	users   = 5000
	seqBits = 36
)

// Seed stores n alerts of the tenant, which must have none, spread over the 400 days
// before now, with n/2 addresses (at most 256,000), 5,000 users, 60 in 232,695
// critical and 1 in 1,000 each in progress, resolved and false positive. It does not
// go through the service, which would take an hour for what this does in minutes.
func Seed(tb testing.TB, db *sqldb.DB, tenant uint32, n int, now time.Time) {
	tb.Helper()
	if err := seed(tb.Context(), db, int64(tenant), int64(n), now); err != nil {
		tb.Fatalf("seed %d alerts: %v", n, err)
	}
	if db.Dialect() == sqldb.Postgres {
		// What autovacuum does before long.
		if _, err := sqldb.Exec(tb.Context(), db, `VACUUM ANALYZE`); err != nil {
			tb.Fatal(err)
		}
	}
}

func seed(ctx context.Context, db *sqldb.DB, tenant, n int64, now time.Time) error {
	s := seeder{tenant: tenant, n: n, base: tenant << seqBits, addresses: max(1, min(256_000, n/2)), words: map[string]int64{}}
	s.step = (400 * 24 * time.Hour).Microseconds() / n
	s.start = now.UnixMicro() - n*s.step
	s.postgres = db.Dialect() == sqldb.Postgres
	return db.Tx(ctx, func(tx *sqldb.DB) error {
		restore, err := disarm(ctx, tx)
		if err != nil {
			return err
		}
		for _, query := range append(s.statements(), restore...) {
			if _, err := sqldb.Exec(ctx, tx, query); err != nil {
				return fmt.Errorf("%w in\n%s", err, query)
			}
		}
		return nil
	})
}

// disarm takes the triggers off, which would count one by one, and returns what puts
// them on again.
func disarm(ctx context.Context, tx *sqldb.DB) (restore []string, err error) {
	if tx.Dialect() == sqldb.Postgres {
		_, err := sqldb.Exec(ctx, tx, `ALTER TABLE alert DISABLE TRIGGER USER`)
		return []string{`ALTER TABLE alert ENABLE TRIGGER USER`}, err
	}
	type trigger struct{ name, text string }
	all, err := sqldb.All(ctx, tx, func(rows *sql.Rows, t *trigger) error { return rows.Scan(&t.name, &t.text) },
		`SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'alert'`)
	for _, t := range all {
		if _, err := sqldb.Exec(ctx, tx, `DROP TRIGGER `+t.name); err != nil {
			return nil, err
		}
		restore = append(restore, t.text)
	}
	return restore, err
}

type seeder struct {
	tenant, n, base, addresses int64
	step, start                int64 // microseconds
	postgres                   bool
	words                      map[string]int64 // the fixed ones
}

// ids writes the words of a text as the word index of the database knows them.
func (s *seeder) ids(text string) string {
	var list []string
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		n, ok := s.words[word]
		if !ok {
			n = int64(len(s.words) + 1)
			s.words[word] = n
		}
		list = append(list, s.prefix()+fmt.Sprint(s.base+n))
	}
	return strings.Join(list, s.between())
}

func (s *seeder) prefix() string {
	if s.postgres {
		return ""
	}
	return "w"
}

func (s *seeder) between() string {
	if s.postgres {
		return ","
	}
	return " "
}

func (s *seeder) statements() []string {
	numbers := fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, s.n)
	address := func(j string) string {
		return fmt.Sprintf(`'10.' || ((%[1]s) / 64000) || '.' || ((%[1]s) / 250 %% 256) || '.' || ((%[1]s) %% 250)`, j)
	}
	j := fmt.Sprintf(`(i * 7919 %% %d)`, s.addresses)
	hex := func(x string) string {
		if s.postgres {
			return `lpad(to_hex(` + x + `), 12, '0')`
		}
		return `printf('%012x', ` + x + `)`
	}
	title, titleWords := "CASE i % 8", "CASE i % 8"
	for k, text := range titles {
		title += fmt.Sprintf(" WHEN %d THEN '%s'", k, text)
		titleWords += fmt.Sprintf(" WHEN %d THEN '%s'", k, s.ids(text))
	}
	title, titleWords = title+" END", titleWords+" END"
	sentence := s.ids("failed logon attempts from targeting account")
	created := fmt.Sprintf(`(%d + i * %d)`, s.start, s.step)
	description := fmt.Sprintf(`(i %% 90 + 5) || ' failed logon attempts from ' || %s || ' targeting user-' || (i %% %d) || ' account'`, address(j), users)
	all := []string{
		numbers + fmt.Sprintf(`
		INSERT INTO alert (seq, id, tenant, title, description, severity, status, source, tactic, technique, rule_id, rule_name, rule_author, rule_version,
			merge_key, occurrences, first_seen, last_seen, created_at, updated_at)
		SELECT %[1]d + i, substr(%[2]s, 1, 8) || '-' || substr(%[2]s, 9, 4) || '-7000-8000-' || %[3]s, %[4]d, %[5]s, %[6]s,
			CASE WHEN i %% 3878 = 5 THEN 'critical' WHEN i %% 98 = 6 THEN 'high' WHEN i %% 3 = 0 THEN 'medium' WHEN i %% 3 = 1 THEN 'low' ELSE 'info' END,
			CASE i %% 1000 WHEN 7 THEN 'IN_PROGRESS' WHEN 8 THEN 'RESOLVED' WHEN 9 THEN 'FALSE_POSITIVE' ELSE 'OPEN' END,
			CASE i %% 4 WHEN 0 THEN 'sshd' WHEN 1 THEN 'nginx' WHEN 2 THEN 'iptables' ELSE 'sudo' END, 'credential-access', 'T1110',
			'rule-' || (i %% 8), %[5]s, 'KYRA', 1, 'key-' || i, i %% 90 + 5, %[7]s - 60000000, %[7]s, %[7]s, %[7]s
		FROM n`, s.base, hex(created+" / 1000"), hex("i"), s.tenant, title, description, created),
		fmt.Sprintf(`INSERT INTO alert_text (seq, folded) SELECT seq, lower(title) || '%s' || lower(description) FROM alert WHERE tenant = %d`, "\x1f", s.tenant),
		fmt.Sprintf(`INSERT INTO alert_detail (seq, template, field_values, entities, events) SELECT seq, '{count}', '{}', '[]', '[]' FROM alert WHERE tenant = %d`, s.tenant),
		numbers + fmt.Sprintf(` INSERT INTO alert_entity (tenant, value, seq) SELECT %d, %s, %d + i FROM n`, s.tenant, address(j), s.base),
	}
	var values []string
	for word, n := range s.words {
		values = append(values, fmt.Sprintf("(%d, %d, '%s')", s.tenant, n, word))
	}
	fixed := int64(len(s.words))
	words := fmt.Sprintf(`%[1]s || '%[2]s%[3]s%[2]s%[4]s' || (%[5]d + i %% %[6]d) || '%[2]s%[4]s' || (%[7]d + %[8]s)`,
		titleWords, s.between(), sentence, s.prefix(), s.base+fixed+1, users, s.base+fixed+users+1, j)
	into := `INSERT INTO alert_words (rowid, words) SELECT %d + i, %s FROM n`
	if s.postgres {
		into = `INSERT INTO alert_words (seq, words) SELECT %d + i, CAST('{' || %s || '}' AS BIGINT[]) FROM n`
	}
	series := func(n int64) string {
		return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, n-1)
	}
	all = append(all,
		`INSERT INTO alert_word (tenant, n, word) VALUES `+strings.Join(values, ", "),
		series(users)+fmt.Sprintf(` INSERT INTO alert_word (tenant, n, word) SELECT %d, %d + i, 'user-' || i FROM n`, s.tenant, fixed+1),
		series(s.addresses)+fmt.Sprintf(` INSERT INTO alert_word (tenant, n, word) SELECT %d, %d + i, %s FROM n`, s.tenant, fixed+users+1, address("i")),
		numbers+" "+fmt.Sprintf(into, s.base, words),
		fmt.Sprintf(`INSERT INTO alert_head (tenant, seq, word, created_at) VALUES (%d, %d, %d, %d)`, s.tenant, s.n, fixed+users+s.addresses, s.start+s.n*s.step),
		fmt.Sprintf(`INSERT INTO alert_total (tenant, severity, status, n) SELECT tenant, severity, status, count(*) FROM alert WHERE tenant = %d GROUP BY 1, 2, 3`, s.tenant),
		fmt.Sprintf(`INSERT INTO alert_day (tenant, day, severity, status, n) SELECT tenant, created_at / 86400000000, severity, status, count(*) FROM alert WHERE tenant = %d GROUP BY 1, 2, 3, 4`, s.tenant),
		fmt.Sprintf(`INSERT INTO alert_hour (tenant, hour, severity, status, n) SELECT tenant, created_at / 3600000000, severity, status, count(*) FROM alert WHERE tenant = %d GROUP BY 1, 2, 3, 4`, s.tenant),
		fmt.Sprintf(`INSERT INTO alert_rule (tenant, rule_id, status, verdict, n) SELECT tenant, rule_id, status, verdict, count(*) FROM alert WHERE tenant = %d GROUP BY 1, 2, 3, 4`, s.tenant),
		fmt.Sprintf(`INSERT INTO alert_rule_day (tenant, rule_id, day, n) SELECT tenant, rule_id, created_at / 86400000000, count(*) FROM alert WHERE tenant = %d GROUP BY 1, 2, 3`, s.tenant),
	)
	return all
}
