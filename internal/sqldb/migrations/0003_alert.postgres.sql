-- +goose Up

-- What is unique about a tenant's alerts: the last row number and the last word
-- number given, and the newest created_at. Writers of one tenant update this row
-- and so run one after another; row numbers rise with created_at.
CREATE TABLE alert_head (
  tenant     BIGINT PRIMARY KEY,
  seq        BIGINT NOT NULL,
  word       BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE alert (
  seq          BIGINT PRIMARY KEY, -- tenant * 2^36 + number
  id           TEXT   NOT NULL UNIQUE,
  tenant       BIGINT NOT NULL,
  title        TEXT   NOT NULL,
  description  TEXT   NOT NULL,
  severity     TEXT   NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info')),
  status       TEXT   NOT NULL CHECK (status IN ('OPEN', 'IN_PROGRESS', 'RESOLVED', 'FALSE_POSITIVE')),
  source       TEXT   NOT NULL,
  tactic       TEXT   NOT NULL,
  technique    TEXT   NOT NULL,
  rule_id      TEXT   NOT NULL,
  rule_name    TEXT   NOT NULL,
  rule_author  TEXT   NOT NULL,
  rule_version BIGINT NOT NULL,
  merge_key    TEXT   NOT NULL,
  occurrences  BIGINT NOT NULL,
  first_seen   BIGINT NOT NULL,
  last_seen    BIGINT NOT NULL,
  incident_id  TEXT   NOT NULL DEFAULT '',
  assigned_to  TEXT   NOT NULL DEFAULT '',
  verdict      TEXT   NOT NULL DEFAULT '',
  version      BIGINT NOT NULL DEFAULT 1,
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL
);
CREATE INDEX alert_created ON alert (tenant, created_at, seq);
CREATE INDEX alert_severity ON alert (tenant, severity, created_at, seq);
CREATE INDEX alert_status ON alert (tenant, status, created_at, seq);
CREATE INDEX alert_severity_status ON alert (tenant, severity, status, created_at, seq);
CREATE INDEX alert_updated ON alert (tenant, updated_at, seq);
CREATE INDEX alert_last_seen ON alert (tenant, last_seen, seq);
CREATE INDEX alert_title ON alert (tenant, title, created_at, seq);
CREATE INDEX alert_source ON alert (tenant, source, created_at, seq);
CREATE INDEX alert_technique ON alert (tenant, technique, created_at, seq);
CREATE INDEX alert_merge ON alert (tenant, rule_id, merge_key, first_seen);
CREATE INDEX alert_incident ON alert (incident_id) WHERE incident_id <> '';
CREATE INDEX alert_assigned ON alert (tenant, assigned_to, created_at, seq) WHERE assigned_to <> '';

-- What search looks in: title and description in lower case, a unit separator
-- between them. Apart from alert, so that a walk over texts reads little.
CREATE TABLE alert_text (
  seq    BIGINT PRIMARY KEY REFERENCES alert (seq) ON DELETE CASCADE,
  folded TEXT NOT NULL
);

-- What merging needs and the detail shows; JSON.
CREATE TABLE alert_detail (
  seq          BIGINT PRIMARY KEY REFERENCES alert (seq) ON DELETE CASCADE,
  template     TEXT NOT NULL,
  field_values TEXT NOT NULL,
  entities     TEXT NOT NULL,
  events       TEXT NOT NULL
);

CREATE TABLE alert_entity (
  tenant BIGINT NOT NULL,
  value  TEXT   NOT NULL,
  seq    BIGINT NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
  PRIMARY KEY (tenant, value, seq)
);
CREATE INDEX alert_entity_seq ON alert_entity (seq);

CREATE TABLE alert_history (
  id        TEXT   PRIMARY KEY, -- UUIDv7: in order
  seq       BIGINT NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
  at        BIGINT NOT NULL,
  actor     TEXT   NOT NULL,
  action    TEXT   NOT NULL,
  old_value TEXT   NOT NULL,
  new_value TEXT   NOT NULL,
  note      TEXT   NOT NULL
);
CREATE INDEX alert_history_seq ON alert_history (seq, id);

-- Every word of a tenant's texts once. Words have numbers without gaps, by which a
-- searching process reads only what is new to it.
CREATE TABLE alert_word (
  tenant BIGINT NOT NULL,
  n      BIGINT NOT NULL,
  word   TEXT   NOT NULL,
  PRIMARY KEY (tenant, n)
);
CREATE UNIQUE INDEX alert_word_word ON alert_word (tenant, word);

-- Counters, kept by triggers: totals, stats and the place of a deep page cost the
-- same at any number of alerts. day and hour count from 1970, UTC.
CREATE TABLE alert_total (
  tenant BIGINT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (tenant, severity, status)
);
CREATE TABLE alert_day (
  tenant BIGINT NOT NULL, day BIGINT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (tenant, day, severity, status)
);
CREATE TABLE alert_hour (
  tenant BIGINT NOT NULL, hour BIGINT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (tenant, hour, severity, status)
);

-- The words of each text, by their numbers, tenant * 2^36 + n.
CREATE TABLE alert_words (
  seq   BIGINT   PRIMARY KEY REFERENCES alert (seq) ON DELETE CASCADE,
  words BIGINT[] NOT NULL
);
CREATE INDEX alert_words_gin ON alert_words USING gin (words);

-- SQLite's name for it.
CREATE FUNCTION instr(TEXT, TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN strpos($1, $2);

-- +goose StatementBegin
CREATE FUNCTION alert_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO alert_total (tenant, severity, status, n) VALUES (old.tenant, old.severity, old.status, -1)
      ON CONFLICT (tenant, severity, status) DO UPDATE SET n = alert_total.n + excluded.n;
    INSERT INTO alert_day (tenant, day, severity, status, n) VALUES (old.tenant, old.created_at / 86400000000, old.severity, old.status, -1)
      ON CONFLICT (tenant, day, severity, status) DO UPDATE SET n = alert_day.n + excluded.n;
    INSERT INTO alert_hour (tenant, hour, severity, status, n) VALUES (old.tenant, old.created_at / 3600000000, old.severity, old.status, -1)
      ON CONFLICT (tenant, hour, severity, status) DO UPDATE SET n = alert_hour.n + excluded.n;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO alert_total (tenant, severity, status, n) VALUES (new.tenant, new.severity, new.status, 1)
      ON CONFLICT (tenant, severity, status) DO UPDATE SET n = alert_total.n + excluded.n;
    INSERT INTO alert_day (tenant, day, severity, status, n) VALUES (new.tenant, new.created_at / 86400000000, new.severity, new.status, 1)
      ON CONFLICT (tenant, day, severity, status) DO UPDATE SET n = alert_day.n + excluded.n;
    INSERT INTO alert_hour (tenant, hour, severity, status, n) VALUES (new.tenant, new.created_at / 3600000000, new.severity, new.status, 1)
      ON CONFLICT (tenant, hour, severity, status) DO UPDATE SET n = alert_hour.n + excluded.n;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER alert_counted AFTER INSERT OR DELETE ON alert FOR EACH ROW EXECUTE FUNCTION alert_count();
CREATE TRIGGER alert_counted_update AFTER UPDATE OF severity, status ON alert FOR EACH ROW
  WHEN (new.severity <> old.severity OR new.status <> old.status) EXECUTE FUNCTION alert_count();
