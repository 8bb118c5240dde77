-- +goose Up
-- Wrong sign-ins by account name and by address, whether or not the account exists.
CREATE TABLE account_try (
  who      TEXT PRIMARY KEY, -- "account …" or "address …"
  failures BIGINT NOT NULL,
  at       BIGINT NOT NULL,  -- of the last one
  until    BIGINT NOT NULL   -- refused before then
);
CREATE INDEX account_try_at ON account_try (at);

-- Codes that stand in for a second factor, once each.
CREATE TABLE account_recovery (
  user_id TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  digest  TEXT NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (user_id, digest)
);

-- How people of a tenant have to sign in.
CREATE TABLE account_policy (
  tenant          BIGINT PRIMARY KEY REFERENCES tenant (number),
  second_factor   BOOLEAN NOT NULL, -- required
  idle_minutes    BIGINT NOT NULL,
  longest_hours   BIGINT NOT NULL,
  changed_at      BIGINT NOT NULL,
  changed_by      TEXT NOT NULL
);
