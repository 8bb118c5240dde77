-- +goose Up
CREATE TABLE connector (
  id           TEXT    PRIMARY KEY, -- UUIDv7; of its receiver too, where it has one
  tenant       BIGINT  NOT NULL,
  name         TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  settings     TEXT    NOT NULL, -- JSON without secrets
  secrets      BYTEA   NOT NULL, -- sealed JSON
  enabled      BOOLEAN NOT NULL,
  done_until   BIGINT  NOT NULL DEFAULT 0, -- of scheduled work: what lies before is exported
  next_at      BIGINT  NOT NULL DEFAULT 0, -- of scheduled work
  lease_until  BIGINT  NOT NULL DEFAULT 0,
  last_success BIGINT,
  last_failure BIGINT,
  last_error   TEXT    NOT NULL DEFAULT '',
  check_at     BIGINT  NOT NULL DEFAULT 0, -- when its health is looked at next
  version      BIGINT  NOT NULL DEFAULT 1,
  created_at   BIGINT  NOT NULL,
  created_by   TEXT    NOT NULL,
  updated_at   BIGINT  NOT NULL
);
CREATE UNIQUE INDEX connector_name ON connector (tenant, lower(name));
CREATE INDEX connector_check ON connector (check_at) WHERE enabled;

CREATE TABLE connector_health (
  connector_id TEXT   NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
  at           BIGINT NOT NULL,
  status       TEXT   NOT NULL,
  checks       TEXT   NOT NULL, -- JSON
  PRIMARY KEY (connector_id, at)
);

CREATE TABLE connector_minute (
  connector_id TEXT   NOT NULL REFERENCES connector (id) ON DELETE CASCADE,
  minute       BIGINT NOT NULL, -- Unix time / 60
  sent         BIGINT NOT NULL,
  failed       BIGINT NOT NULL,
  bytes        BIGINT NOT NULL,
  latencies    TEXT   NOT NULL, -- JSON: how many attempts lay in each step of the scale
  PRIMARY KEY (connector_id, minute)
);
