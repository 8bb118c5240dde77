-- +goose Up
-- Where a change came from: '' where it came from KYRA itself. Entries that have none
-- hash as they did before.
ALTER TABLE audit_entry ADD COLUMN address TEXT NOT NULL DEFAULT ''; -- of the caller
ALTER TABLE audit_entry ADD COLUMN key_id  TEXT NOT NULL DEFAULT ''; -- of the API key
ALTER TABLE audit_entry ADD COLUMN request TEXT NOT NULL DEFAULT ''; -- its X-Request-Id
CREATE INDEX audit_entry_at ON audit_entry (tenant, at);
CREATE INDEX audit_entry_object ON audit_entry (tenant, object, seq);

-- Signed heads: what a chain was at the end of a day. A chain that is written anew from
-- its beginning does not fit them.
CREATE TABLE audit_seal (
  tenant    BIGINT NOT NULL,
  day       BIGINT NOT NULL, -- since 1970, UTC: the day that had ended
  seq       BIGINT NOT NULL,
  hash      BYTEA  NOT NULL,
  sealed_at BIGINT NOT NULL,
  key_id    TEXT   NOT NULL,
  signature BYTEA  NOT NULL, -- Ed25519
  PRIMARY KEY (tenant, day)
);

-- How the last look at a chain ended.
CREATE TABLE audit_check (
  tenant     BIGINT PRIMARY KEY,
  checked_at BIGINT NOT NULL,
  entries    BIGINT NOT NULL, -- that are good
  broken_at  BIGINT NOT NULL, -- number of the first bad entry, 0 for none
  why        TEXT   NOT NULL
);
