-- +goose Up
-- Identity providers (OpenID Connect) that people of a tenant sign in at.
CREATE TABLE sso_provider (
  id            TEXT PRIMARY KEY,
  tenant        BIGINT NOT NULL REFERENCES tenant (number),
  slug          TEXT NOT NULL UNIQUE, -- in its addresses, of the whole installation
  name          TEXT NOT NULL,
  issuer        TEXT NOT NULL,
  client_id     TEXT NOT NULL,
  secret        BYTEA,          -- sealed; NULL for a public client
  scopes        TEXT NOT NULL,  -- JSON
  role_claim    TEXT NOT NULL,  -- empty: roles are given here
  roles         TEXT NOT NULL,  -- JSON: value, role
  default_role  TEXT NOT NULL,  -- empty: refused
  domains       TEXT NOT NULL,  -- JSON: of addresses that may come in; empty: all
  link_claim    TEXT NOT NULL,  -- what a directory knows people by
  creates       BOOLEAN NOT NULL,
  second_factor BOOLEAN NOT NULL, -- the provider asks for one
  listed        BOOLEAN NOT NULL, -- shown to everybody who opens the sign-in page
  enabled       BOOLEAN NOT NULL,
  created_at    BIGINT NOT NULL,
  created_by    TEXT NOT NULL,
  changed_at    BIGINT NOT NULL,
  version       BIGINT NOT NULL
);
CREATE INDEX sso_provider_tenant ON sso_provider (tenant, created_at);

-- Who is who at a provider: by its subject, never by an address.
CREATE TABLE sso_identity (
  tenant    BIGINT NOT NULL,
  provider  TEXT NOT NULL REFERENCES sso_provider (id) ON DELETE CASCADE,
  issuer    TEXT NOT NULL,
  subject   TEXT NOT NULL,
  user_id   TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  linked_at BIGINT NOT NULL,
  used_at   BIGINT NOT NULL,
  PRIMARY KEY (tenant, provider, issuer, subject)
);
CREATE INDEX sso_identity_user ON sso_identity (user_id);

ALTER TABLE account_session ADD COLUMN provider TEXT NOT NULL DEFAULT ''; -- that vouched for it
