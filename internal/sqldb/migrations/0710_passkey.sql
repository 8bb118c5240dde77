-- +goose Up
CREATE TABLE account_passkey (
  id         TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  credential TEXT NOT NULL, -- JSON: public key and counters, nothing secret
  created_at BIGINT NOT NULL,
  used_at    BIGINT
);
CREATE INDEX account_passkey_user ON account_passkey (user_id, created_at);

-- What an authenticator was asked to sign: once, for a few minutes.
CREATE TABLE account_challenge (
  digest     TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL, -- empty for a sign-in
  data       TEXT NOT NULL, -- JSON
  expires_at BIGINT NOT NULL
);
CREATE INDEX account_challenge_expires ON account_challenge (expires_at);
