-- +goose Up
-- Requests of people about their data. Who they are is sealed; what can be found of it is
-- a keyed hash.
CREATE TABLE dsr_request (
  id           TEXT   PRIMARY KEY, -- UUIDv7
  tenant       BIGINT NOT NULL,
  kind         TEXT   NOT NULL,
  law          TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  channel      TEXT   NOT NULL,
  person       BYTEA  NOT NULL, -- sealed JSON: name, identifiers, note; '' once minimised
  masked       TEXT   NOT NULL, -- JSON of the same, masked
  received_on  TEXT   NOT NULL, -- YYYY-MM-DD
  due_on       TEXT   NOT NULL, -- the last day
  due_at       BIGINT NOT NULL, -- its end
  ack_by       TEXT   NOT NULL, -- '' where the law wants no acknowledgement
  acked_at     BIGINT,
  extension    TEXT   NOT NULL DEFAULT '', -- why; '' for none
  verification TEXT   NOT NULL,
  verified_how TEXT   NOT NULL DEFAULT '',
  verified_by  TEXT   NOT NULL DEFAULT '',
  assigned_to  TEXT   NOT NULL DEFAULT '',
  reason       TEXT   NOT NULL DEFAULT '', -- of a rejection
  approved_by  TEXT   NOT NULL DEFAULT '', -- of an erasure
  closed_at    BIGINT,
  minimised_at BIGINT,
  soon_told    BOOLEAN NOT NULL DEFAULT FALSE,
  overdue_told BOOLEAN NOT NULL DEFAULT FALSE,
  package      TEXT   NOT NULL DEFAULT '', -- JSON: hash, size, made and expiry
  findings     TEXT   NOT NULL DEFAULT '', -- JSON of the last search, without values
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL,
  version      BIGINT NOT NULL
);
CREATE INDEX dsr_request_tenant ON dsr_request (tenant, id);
CREATE INDEX dsr_request_due ON dsr_request (due_at);

CREATE TABLE dsr_trace (
  tenant  BIGINT NOT NULL,
  mac     TEXT   NOT NULL,
  request TEXT   NOT NULL REFERENCES dsr_request (id) ON DELETE CASCADE,
  PRIMARY KEY (tenant, mac, request)
);

CREATE TABLE dsr_history (
  id        TEXT   PRIMARY KEY, -- UUIDv7: in order
  request   TEXT   NOT NULL REFERENCES dsr_request (id) ON DELETE CASCADE,
  at        BIGINT NOT NULL,
  actor     TEXT   NOT NULL,
  action    TEXT   NOT NULL,
  old_value TEXT   NOT NULL,
  new_value TEXT   NOT NULL,
  note      TEXT   NOT NULL
);
CREATE INDEX dsr_history_request ON dsr_history (request, id);

-- What was erased: the proof, and what building the index again must leave out.
CREATE TABLE dsr_erasure (
  id          TEXT   PRIMARY KEY, -- UUIDv7
  tenant      BIGINT NOT NULL,
  request     TEXT   NOT NULL,
  which       BYTEA  NOT NULL, -- sealed JSON: identifiers
  query_hash  TEXT   NOT NULL, -- SHA-256 of the query's text, keyed
  until       BIGINT NOT NULL, -- arrived before then
  found       BIGINT NOT NULL,
  erased      BIGINT NOT NULL,
  remaining   BIGINT NOT NULL, -- -1: under way
  started_at  BIGINT NOT NULL,
  ended_at    BIGINT,
  approved_by TEXT   NOT NULL,
  erased_by   TEXT   NOT NULL,
  archived_to BIGINT NOT NULL -- when retention has dropped the last of the raw archive
);
CREATE INDEX dsr_erasure_tenant ON dsr_erasure (tenant, id);

CREATE TABLE dsr_hold (
  id          TEXT   PRIMARY KEY, -- UUIDv7
  tenant      BIGINT NOT NULL,
  name        TEXT   NOT NULL,
  reason      TEXT   NOT NULL,
  owner       TEXT   NOT NULL,
  which       BYTEA  NOT NULL, -- sealed JSON: identifiers, [] for everything
  from_at     BIGINT,
  to_at       BIGINT,
  until       BIGINT,
  created_at  BIGINT NOT NULL,
  created_by  TEXT   NOT NULL,
  released_at BIGINT,
  released_by TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX dsr_hold_tenant ON dsr_hold (tenant, id);
