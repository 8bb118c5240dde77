-- +goose Up
-- What senders of logs show: it opens the doors of ingest and nothing else.
CREATE TABLE ingest_token (
  id           TEXT PRIMARY KEY,
  tenant       BIGINT NOT NULL REFERENCES tenant (number),
  name         TEXT NOT NULL,
  source       TEXT NOT NULL,        -- what its logs are; empty: it is recognised
  digest       TEXT NOT NULL UNIQUE, -- SHA-256 of the token, hexadecimal
  prefix       TEXT NOT NULL,        -- the first characters, to recognise it by
  created_at   BIGINT NOT NULL,
  created_by   TEXT NOT NULL,
  expires_at   BIGINT,
  last_used_at BIGINT,
  revoked_at   BIGINT
);
CREATE INDEX ingest_token_tenant ON ingest_token (tenant, created_at, id);
