-- +goose Up
CREATE TABLE api_key (
  id           TEXT PRIMARY KEY,
  tenant       BIGINT NOT NULL REFERENCES tenant (number),
  name         TEXT NOT NULL,
  scope        TEXT NOT NULL CHECK (scope IN ('read-only', 'read-write')),
  digest       TEXT NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal
  prefix       TEXT NOT NULL,        -- the first characters, to recognise it by
  cidrs        TEXT NOT NULL,        -- separated by blanks; empty: from anywhere
  created_at   BIGINT NOT NULL,
  created_by   TEXT NOT NULL,
  expires_at   BIGINT,
  last_used_at BIGINT,
  revoked_at   BIGINT
);
CREATE INDEX api_key_created ON api_key (tenant, created_at, id);
