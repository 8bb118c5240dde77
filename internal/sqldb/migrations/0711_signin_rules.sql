-- +goose Up
-- Passwords that somebody had before, so that none comes back too soon.
CREATE TABLE account_password_old (
  user_id TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  hash    TEXT NOT NULL, -- argon2id in PHC form
  until   BIGINT NOT NULL, -- when another one took its place
  PRIMARY KEY (user_id, hash)
);

-- How passwords and lockouts are in a tenant, and whether people have to come from its
-- identity provider.
ALTER TABLE account_policy ADD COLUMN history       BIGINT NOT NULL DEFAULT 4; -- last passwords that are refused
ALTER TABLE account_policy ADD COLUMN kinds         BOOLEAN NOT NULL DEFAULT FALSE; -- letters and digits are asked for
ALTER TABLE account_policy ADD COLUMN lock_attempts BIGINT NOT NULL DEFAULT 5;
ALTER TABLE account_policy ADD COLUMN lock_minutes  BIGINT NOT NULL DEFAULT 0; -- the first wait after them; 0: the standard one
ALTER TABLE account_policy ADD COLUMN sso_only      BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE account_policy ADD COLUMN break_glass   TEXT NOT NULL DEFAULT ''; -- whom sso_only leaves the password
