-- +goose Up
-- Reports that are made again and again, or when somebody asks.
CREATE TABLE report (
  id         TEXT    PRIMARY KEY, -- UUIDv7
  tenant     BIGINT  NOT NULL,
  name       TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  settings   TEXT    NOT NULL, -- JSON
  enabled    BOOLEAN NOT NULL,
  next_at    BIGINT,           -- when it is due; NULL: when somebody asks
  version    BIGINT  NOT NULL DEFAULT 1,
  created_at BIGINT  NOT NULL,
  created_by TEXT    NOT NULL,
  updated_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX report_name ON report (tenant, lower(name));
CREATE INDEX report_due ON report (next_at) WHERE next_at IS NOT NULL;

-- What was made, and for which period.
CREATE TABLE report_run (
  id          TEXT   PRIMARY KEY, -- UUIDv7
  tenant      BIGINT NOT NULL,
  report      TEXT   NOT NULL, -- id; '' for one that was asked for once
  name        TEXT   NOT NULL,
  kind        TEXT   NOT NULL,
  settings    TEXT   NOT NULL, -- JSON, as they were
  period_from BIGINT NOT NULL,
  period_to   BIGINT NOT NULL,
  slot        BIGINT NOT NULL DEFAULT 0, -- when it was due; 0: somebody asked
  state       TEXT   NOT NULL,
  reason      TEXT   NOT NULL DEFAULT '',
  job         TEXT   NOT NULL DEFAULT '',
  files       TEXT   NOT NULL DEFAULT '[]', -- JSON
  delivery    TEXT   NOT NULL DEFAULT '',   -- '' none, 'sent', 'failed'
  delivery_error TEXT NOT NULL DEFAULT '',
  actor       TEXT   NOT NULL,
  created_at  BIGINT NOT NULL,
  ended_at    BIGINT
);
CREATE INDEX report_run_list ON report_run (tenant, id);
-- Of several servers that find a report due, one makes it.
CREATE UNIQUE INDEX report_run_slot ON report_run (report, slot) WHERE slot <> 0;
CREATE INDEX report_run_open ON report_run (state) WHERE state IN ('QUEUED', 'RUNNING');
