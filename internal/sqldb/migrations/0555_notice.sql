-- +goose Up
-- A receiver may belong to a notification channel or a connector, whose id it then has.
ALTER TABLE webhook ADD COLUMN owner TEXT NOT NULL DEFAULT '';
DROP INDEX webhook_name;
CREATE UNIQUE INDEX webhook_name ON webhook (tenant, owner, lower(name));

CREATE TABLE notice (
  seq      BIGINT PRIMARY KEY, -- in the order of commits: readers go on after it
  id       TEXT   NOT NULL,    -- UUIDv7
  tenant   BIGINT NOT NULL,
  event    TEXT   NOT NULL,
  kind     TEXT   NOT NULL,
  object   TEXT   NOT NULL,
  title    TEXT   NOT NULL,
  severity TEXT   NOT NULL,
  text     TEXT   NOT NULL,
  rule     TEXT   NOT NULL,
  source   TEXT   NOT NULL,
  at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX notice_id ON notice (id);
CREATE INDEX notice_list ON notice (tenant, seq);
CREATE INDEX notice_age ON notice (at);

CREATE TABLE notice_seq (
  one BIGINT PRIMARY KEY,
  seq BIGINT NOT NULL
);
INSERT INTO notice_seq (one, seq) VALUES (1, 0);

-- What a reader has read: everything up to read_seq, but for the marks.
CREATE TABLE notice_reader (
  tenant      BIGINT NOT NULL,
  reader      TEXT   NOT NULL, -- id of an API key
  read_seq    BIGINT NOT NULL DEFAULT 0,
  preferences TEXT   NOT NULL DEFAULT '{}', -- JSON
  version     BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, reader)
);

CREATE TABLE notice_mark (
  tenant BIGINT  NOT NULL,
  reader TEXT    NOT NULL,
  seq    BIGINT  NOT NULL REFERENCES notice (seq) ON DELETE CASCADE,
  is_read BOOLEAN NOT NULL,
  PRIMARY KEY (tenant, reader, seq)
);
CREATE INDEX notice_mark_seq ON notice_mark (seq);

CREATE TABLE notice_channel (
  id         TEXT    PRIMARY KEY, -- UUIDv7
  tenant     BIGINT  NOT NULL,
  name       TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  reader     TEXT    NOT NULL DEFAULT '', -- whose own it is, '' for one of the tenant
  settings   TEXT    NOT NULL, -- JSON
  connector_id TEXT NOT NULL DEFAULT '', -- that it sends through
  url        BYTEA,            -- sealed
  host       TEXT    NOT NULL DEFAULT '', -- of it
  enabled    BOOLEAN NOT NULL,
  window_at  BIGINT  NOT NULL DEFAULT 0, -- begin of the window in which messages are counted
  window_n   BIGINT  NOT NULL DEFAULT 0, -- those sent by themselves in it
  version    BIGINT  NOT NULL DEFAULT 1,
  created_at BIGINT  NOT NULL,
  created_by TEXT    NOT NULL,
  updated_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX notice_channel_name ON notice_channel (tenant, reader, lower(name));

CREATE TABLE notice_route (
  id         TEXT    PRIMARY KEY, -- UUIDv7
  tenant     BIGINT  NOT NULL,
  name       TEXT    NOT NULL,
  enabled    BOOLEAN NOT NULL,
  filters    TEXT    NOT NULL, -- JSON
  channels   TEXT    NOT NULL, -- JSON: ids
  version    BIGINT  NOT NULL DEFAULT 1,
  created_at BIGINT  NOT NULL,
  created_by TEXT    NOT NULL,
  updated_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX notice_route_name ON notice_route (tenant, lower(name));

-- What waits to be told as one message: one row for a channel.
CREATE TABLE notice_digest (
  channel_id TEXT   PRIMARY KEY REFERENCES notice_channel (id) ON DELETE CASCADE,
  tenant     BIGINT NOT NULL,
  due_at     BIGINT NOT NULL,
  content    TEXT   NOT NULL -- JSON: counts, and the first messages
);
CREATE INDEX notice_digest_due ON notice_digest (due_at);
