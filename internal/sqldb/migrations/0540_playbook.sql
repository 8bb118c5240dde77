-- +goose Up
-- What a message follows from: the playbook run whose step made it, so that playbooks
-- do not set each other off without end.
ALTER TABLE outbox_message ADD COLUMN cause TEXT NOT NULL DEFAULT '';

CREATE TABLE playbook (
  id         TEXT    PRIMARY KEY, -- UUIDv7
  tenant     BIGINT  NOT NULL,
  handle     TEXT    NOT NULL, -- the id that its document names
  origin     TEXT    NOT NULL CHECK (origin IN ('builtin', 'custom')),
  name       TEXT    NOT NULL,
  event      TEXT    NOT NULL, -- that it begins on
  enabled    BOOLEAN NOT NULL,
  outside    BOOLEAN NOT NULL, -- steps that leave the house may run
  number     BIGINT  NOT NULL, -- of its version
  revision   BIGINT  NOT NULL, -- counts every change
  next_at    BIGINT,           -- of one on a schedule
  created_at BIGINT  NOT NULL,
  created_by TEXT    NOT NULL,
  updated_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX playbook_handle ON playbook (tenant, handle);
CREATE INDEX playbook_schedule ON playbook (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE playbook_version (
  playbook_id TEXT   NOT NULL REFERENCES playbook (id) ON DELETE CASCADE,
  number      BIGINT NOT NULL,
  text        TEXT   NOT NULL, -- YAML
  created_at  BIGINT NOT NULL,
  created_by  TEXT   NOT NULL,
  PRIMARY KEY (playbook_id, number)
);

CREATE TABLE playbook_run (
  id          TEXT    PRIMARY KEY, -- UUIDv7
  tenant      BIGINT  NOT NULL,
  playbook_id TEXT    NOT NULL REFERENCES playbook (id) ON DELETE CASCADE,
  number      BIGINT  NOT NULL, -- of the version that runs
  event       TEXT    NOT NULL,
  message     TEXT    NOT NULL, -- of the outbox, or the time of a schedule; '' for a run that a person began
  kind        TEXT    NOT NULL, -- of the object: 'alerts', 'incidents', '' for none
  object      TEXT    NOT NULL,
  incident    TEXT    NOT NULL DEFAULT '', -- that a step made
  chain       TEXT    NOT NULL DEFAULT '', -- ids of the playbooks that it follows from, blanks between
  actor       TEXT    NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'WAITING', 'ASKING', 'DONE', 'FAILED', 'DENIED', 'CANCELLED')),
  reason      TEXT    NOT NULL DEFAULT '',
  place       BIGINT  NOT NULL DEFAULT 0, -- of the step that is next
  slow        BOOLEAN NOT NULL DEFAULT FALSE, -- that step waits for others
  cancelling  BOOLEAN NOT NULL DEFAULT FALSE,
  next_at     BIGINT  NOT NULL,
  deadline    BIGINT  NOT NULL,
  holder      TEXT    NOT NULL DEFAULT '',
  lease_until BIGINT  NOT NULL DEFAULT 0,
  created_at  BIGINT  NOT NULL,
  started_at  BIGINT,
  ended_at    BIGINT
);
CREATE UNIQUE INDEX playbook_run_once ON playbook_run (playbook_id, number, message) WHERE message <> '';
CREATE INDEX playbook_run_due ON playbook_run (slow, next_at) WHERE state IN ('QUEUED', 'WAITING', 'ASKING');
CREATE INDEX playbook_run_lease ON playbook_run (tenant, lease_until) WHERE state = 'RUNNING';
CREATE INDEX playbook_run_list ON playbook_run (tenant, id);
CREATE INDEX playbook_run_of ON playbook_run (playbook_id, id);
CREATE INDEX playbook_run_age ON playbook_run (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE playbook_step (
  run_id     TEXT   NOT NULL REFERENCES playbook_run (id) ON DELETE CASCADE,
  place      BIGINT NOT NULL,
  step       TEXT   NOT NULL, -- its id in the document
  action     TEXT   NOT NULL,
  state      TEXT   NOT NULL CHECK (state IN ('RUNNING', 'WAITING', 'ASKING', 'DONE', 'SKIPPED', 'FAILED', 'DENIED', 'UNKNOWN')),
  attempt    BIGINT NOT NULL,
  input      TEXT   NOT NULL, -- JSON, without secrets
  result     TEXT   NOT NULL DEFAULT '', -- JSON
  error      TEXT   NOT NULL DEFAULT '',
  decided_by TEXT   NOT NULL DEFAULT '',
  note       TEXT   NOT NULL DEFAULT '',
  until      BIGINT, -- what waits or asks does so until then
  begun_at   BIGINT NOT NULL,
  ended_at   BIGINT,
  PRIMARY KEY (run_id, place)
);

CREATE TABLE playbook_tag (
  tenant BIGINT NOT NULL,
  object TEXT   NOT NULL, -- id of an alert or incident
  tag    TEXT   NOT NULL,
  actor  TEXT   NOT NULL,
  at     BIGINT NOT NULL,
  PRIMARY KEY (tenant, object, tag)
);

CREATE TABLE playbook_secret (
  tenant     BIGINT NOT NULL,
  name       TEXT   NOT NULL,
  sealed     BYTEA  NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT   NOT NULL,
  PRIMARY KEY (tenant, name)
);
