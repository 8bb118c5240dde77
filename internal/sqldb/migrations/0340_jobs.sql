-- +goose Up
-- Work that outlives a request. Whoever runs a job holds it by a lease.
CREATE TABLE job (
  id          TEXT    PRIMARY KEY, -- UUIDv7: in order
  tenant      BIGINT  NOT NULL,
  kind        TEXT    NOT NULL,
  subject     TEXT    NOT NULL, -- what it is about, '' for nothing
  actor       TEXT    NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')),
  params      TEXT    NOT NULL, -- JSON
  result      TEXT    NOT NULL DEFAULT '', -- JSON
  reason      TEXT    NOT NULL DEFAULT '', -- why it failed, or what it waits for
  cancelling  BOOLEAN NOT NULL DEFAULT FALSE,
  done        BIGINT  NOT NULL DEFAULT 0,
  total       BIGINT  NOT NULL DEFAULT 0, -- 0: unknown
  note        TEXT    NOT NULL DEFAULT '',
  attempt     BIGINT  NOT NULL DEFAULT 0,
  run_at      BIGINT  NOT NULL,
  holder      TEXT    NOT NULL DEFAULT '',
  lease_until BIGINT  NOT NULL DEFAULT 0,
  created_at  BIGINT  NOT NULL,
  started_at  BIGINT,
  ended_at    BIGINT
);
CREATE INDEX job_due ON job (run_at, id) WHERE state = 'QUEUED';
CREATE INDEX job_lease ON job (lease_until) WHERE state = 'RUNNING';
CREATE INDEX job_tenant ON job (tenant, id);
CREATE INDEX job_subject ON job (tenant, kind, subject, id);
