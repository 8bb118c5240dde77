-- +goose Up
ALTER TABLE rule ADD COLUMN origin  TEXT NOT NULL DEFAULT ''; -- where it came from, an URI
ALTER TABLE rule ADD COLUMN license TEXT NOT NULL DEFAULT '';
ALTER TABLE rule ADD COLUMN pack    TEXT NOT NULL DEFAULT ''; -- that it came with; '' is written here

-- A staged draft runs and raises nothing.
ALTER TABLE rule_status ADD COLUMN staged BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE rule_version ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- The severity that a tenant gives a rule, whoever wrote it; '' once taken back.
CREATE TABLE rule_override (
  tenant     BIGINT NOT NULL,
  rule_id    TEXT   NOT NULL,
  severity   TEXT   NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info', '')),
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id)
);

CREATE TABLE rule_exception (
  id          TEXT   PRIMARY KEY, -- UUIDv7
  tenant      BIGINT NOT NULL,
  rule_id     TEXT   NOT NULL,
  kind        TEXT   NOT NULL CHECK (kind IN ('entity', 'fields', 'filter')),
  scope       TEXT   NOT NULL, -- JSON, as it was given
  yaml        TEXT   NOT NULL, -- the Sigma filter that it comes to
  reason      TEXT   NOT NULL,
  owner       TEXT   NOT NULL,
  created_by  TEXT   NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  expires_at  BIGINT, -- NULL: never
  hits        BIGINT NOT NULL DEFAULT 0,
  last_hit_at BIGINT,
  version     BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX rule_exception_rule ON rule_exception (tenant, rule_id, id);

-- What a staged rule would have raised since its text or stage last changed: in
-- all, by day of event time, and for each key.
CREATE TABLE rule_staged (
  tenant   BIGINT NOT NULL,
  rule_id  TEXT   NOT NULL,
  n        BIGINT NOT NULL, -- findings' events
  alerts   BIGINT NOT NULL,
  keys     BIGINT NOT NULL, -- rows in rule_staged_key
  unkept   BIGINT NOT NULL, -- events of keys beyond the bound
  first_at BIGINT NOT NULL, -- event time
  last_at  BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id)
);
CREATE TABLE rule_staged_day (
  tenant  BIGINT NOT NULL,
  rule_id TEXT   NOT NULL,
  day     BIGINT NOT NULL, -- from 1970, UTC
  n       BIGINT NOT NULL,
  alerts  BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id, day)
);
CREATE TABLE rule_staged_key (
  tenant    BIGINT NOT NULL,
  rule_id   TEXT   NOT NULL,
  merge_key TEXT   NOT NULL,
  n         BIGINT NOT NULL,
  alerts    BIGINT NOT NULL,
  opened_at BIGINT NOT NULL, -- event time of the first event of the alert that would be open
  first_at  BIGINT NOT NULL,
  last_at   BIGINT NOT NULL,
  events    TEXT   NOT NULL, -- ids, parted by blanks
  PRIMARY KEY (tenant, rule_id, merge_key)
);

-- What evaluating a rule took, by hour from 1970, UTC, of server time.
CREATE TABLE rule_cost (
  tenant      BIGINT NOT NULL,
  rule_id     TEXT   NOT NULL,
  hour        BIGINT NOT NULL,
  evaluations BIGINT NOT NULL,
  nanos       BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id, hour)
);
CREATE INDEX rule_cost_hour ON rule_cost (tenant, hour);
