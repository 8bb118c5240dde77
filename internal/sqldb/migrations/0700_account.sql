-- +goose Up
-- People who sign in. Someone has one account and a role in each of several tenants.
CREATE TABLE account_user (
  id           TEXT PRIMARY KEY,
  email        TEXT NOT NULL UNIQUE, -- in lower case
  name         TEXT NOT NULL,
  language     TEXT NOT NULL,
  time_zone    TEXT NOT NULL,
  theme        TEXT NOT NULL,
  password     TEXT NOT NULL, -- argon2id in PHC form; empty for none
  password_at  BIGINT,
  totp         BYTEA,         -- sealed secret; NULL for none
  totp_at      BIGINT,        -- since when it counts; NULL while it is not confirmed
  totp_step    BIGINT NOT NULL, -- the last that was used: a code works once
  created_at   BIGINT NOT NULL,
  created_by   TEXT NOT NULL,
  signed_in_at BIGINT,
  version      BIGINT NOT NULL
);

CREATE TABLE account_member (
  user_id    TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  tenant     BIGINT NOT NULL REFERENCES tenant (number),
  role       TEXT NOT NULL CHECK (role IN ('Admin', 'Analyst', 'Viewer', 'Auditor')),
  status     TEXT NOT NULL CHECK (status IN ('invited', 'active', 'disabled')),
  origin     TEXT NOT NULL, -- local, sso, scim
  external   TEXT NOT NULL, -- id at the system that provisions it
  added_at   BIGINT NOT NULL,
  added_by   TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, tenant)
);
CREATE INDEX account_member_tenant ON account_member (tenant, added_at, user_id);

CREATE TABLE account_session (
  id         TEXT PRIMARY KEY,
  digest     TEXT NOT NULL UNIQUE, -- SHA-256 of the token, hexadecimal
  user_id    TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  tenant     BIGINT NOT NULL,      -- that it looks at now
  method     TEXT NOT NULL,        -- password, passkey, sso
  strong     BOOLEAN NOT NULL,     -- a second factor was shown
  address    TEXT NOT NULL,
  agent      TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at    BIGINT NOT NULL,
  ends_at    BIGINT NOT NULL
);
CREATE INDEX account_session_user ON account_session (user_id, created_at);
CREATE INDEX account_session_ends ON account_session (ends_at);

-- Links that work once: the first set-up, invitations, new passwords.
CREATE TABLE account_link (
  digest     TEXT PRIMARY KEY, -- SHA-256 of the token, hexadecimal
  kind       TEXT NOT NULL,    -- setup, invite, reset
  user_id    TEXT NOT NULL,    -- empty for setup
  tenant     BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX account_link_user ON account_link (user_id);
