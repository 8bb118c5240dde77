-- +goose Up
-- Test events that go the whole way, and when each came where. Times are microseconds
-- since 1970; NULL: it did not get there (yet).
CREATE TABLE canary_run (
  id           TEXT PRIMARY KEY, -- UUIDv7: the event carries it
  tenant       BIGINT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('running', 'ok', 'lost', 'aborted')),
  reason       TEXT NOT NULL DEFAULT '',
  sent_at      BIGINT NOT NULL,
  acked_at     BIGINT,
  stored_at    BIGINT,
  detected_at  BIGINT,
  alerted_at   BIGINT,
  awaited      BOOLEAN NOT NULL DEFAULT FALSE, -- somebody outside is to be told
  delivered_at BIGINT,
  event        TEXT NOT NULL DEFAULT '',
  alert        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX canary_run_tenant ON canary_run (tenant, id);
CREATE INDEX canary_run_running ON canary_run (tenant, id) WHERE state = 'running';
