-- +goose Up
-- Alerts that changed since risk looked at them, one row for each change: 0531 has the
-- triggers that write them. Rows are taken out in the transaction that has done them, so
-- that a kill neither loses nor doubles one.
CREATE TABLE risk_due (
  id     TEXT   PRIMARY KEY,
  tenant BIGINT NOT NULL,
  alert  TEXT   NOT NULL
);
CREATE INDEX risk_due_tenant ON risk_due (tenant, alert);

-- What an alert adds to an entity, as the alert stands: what it weighs is computed.
CREATE TABLE risk_contribution (
  tenant      BIGINT NOT NULL,
  kind        TEXT   NOT NULL, -- of the entity: asset, identity, address
  entity      TEXT   NOT NULL, -- in its one form
  alert       TEXT   NOT NULL,
  label       TEXT   NOT NULL, -- the entity as the alert writes it
  indicator   BOOLEAN NOT NULL,
  rule        TEXT   NOT NULL,
  rule_name   TEXT   NOT NULL,
  title       TEXT   NOT NULL,
  severity    TEXT   NOT NULL,
  status      TEXT   NOT NULL,
  verdict     TEXT   NOT NULL,
  occurrences BIGINT NOT NULL,
  at          BIGINT NOT NULL, -- event time of the alert's last event
  PRIMARY KEY (tenant, alert, kind, entity)
);
CREATE INDEX risk_contribution_entity ON risk_contribution (tenant, kind, entity, at, alert);

-- Scores are whole hundredths.
CREATE TABLE risk_entity (
  id            TEXT    PRIMARY KEY, -- UUIDv7
  tenant        BIGINT  NOT NULL,
  kind          TEXT    NOT NULL,
  entity        TEXT    NOT NULL,
  label         TEXT    NOT NULL,
  score         BIGINT  NOT NULL,
  trend         BIGINT  NOT NULL, -- against the end of the day before
  level         TEXT    NOT NULL,
  contributions BIGINT  NOT NULL,
  last_seen     BIGINT  NOT NULL, -- of its newest alert
  computed_at   BIGINT  NOT NULL, -- 0: due at once
  watched       BOOLEAN NOT NULL DEFAULT FALSE,
  notes         TEXT    NOT NULL DEFAULT '',
  version       BIGINT  NOT NULL DEFAULT 1, -- counts people's changes
  created_at    BIGINT  NOT NULL,
  updated_by    TEXT    NOT NULL DEFAULT '',
  UNIQUE (tenant, kind, entity)
);
CREATE INDEX risk_entity_score ON risk_entity (tenant, score, id);
CREATE INDEX risk_entity_computed ON risk_entity (computed_at, id);

-- How the present score came about; JSON.
CREATE TABLE risk_explanation (
  entity TEXT PRIMARY KEY REFERENCES risk_entity (id) ON DELETE CASCADE,
  parts  TEXT NOT NULL
);

CREATE TABLE risk_day (
  entity TEXT   NOT NULL REFERENCES risk_entity (id) ON DELETE CASCADE,
  day    BIGINT NOT NULL, -- since 1970, UTC
  highest BIGINT NOT NULL,
  last   BIGINT NOT NULL,
  PRIMARY KEY (entity, day)
);

-- The lowest score of each hour: what a rise is measured from.
CREATE TABLE risk_hour (
  entity TEXT   NOT NULL REFERENCES risk_entity (id) ON DELETE CASCADE,
  hour   BIGINT NOT NULL, -- since 1970
  lowest BIGINT NOT NULL,
  PRIMARY KEY (entity, hour)
);

-- When a rule last spoke of an entity.
CREATE TABLE risk_raised (
  entity TEXT   NOT NULL REFERENCES risk_entity (id) ON DELETE CASCADE,
  rule   TEXT   NOT NULL,
  at     BIGINT NOT NULL,
  PRIMARY KEY (entity, rule)
);

CREATE TABLE risk_settings (
  tenant     BIGINT PRIMARY KEY,
  settings   TEXT   NOT NULL, -- JSON
  version    BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT   NOT NULL
);
