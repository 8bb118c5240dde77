-- +goose Up
-- The authority that collectors and servers trust: one for the installation,
-- however many servers share the database.
CREATE TABLE fleet_authority (
  one         BIGINT PRIMARY KEY CHECK (one = 1), -- a single row
  certificate BYTEA  NOT NULL, -- DER
  sealed_key  BYTEA  NOT NULL, -- PKCS #8, sealed with a key that is not in the database
  created_at  BIGINT NOT NULL
);

-- What lets one collector in, once.
CREATE TABLE fleet_token (
  id         TEXT   PRIMARY KEY, -- UUIDv7
  tenant     BIGINT NOT NULL REFERENCES tenant (number),
  name       TEXT   NOT NULL,
  labels     TEXT   NOT NULL, -- JSON object of texts, handed on to the collector
  digest     TEXT   NOT NULL UNIQUE, -- SHA-256 of the secret, hexadecimal
  created_at BIGINT NOT NULL,
  created_by TEXT   NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at    BIGINT,
  used_by    TEXT   NOT NULL DEFAULT '', -- fleet_member.id
  used_key   TEXT   NOT NULL DEFAULT '', -- SHA-256 of the public key that used it: an answer that was lost may be asked for again
  revoked_at BIGINT
);
CREATE INDEX fleet_token_tenant ON fleet_token (tenant, created_at, id);

-- A collector that was let in. Its heartbeat stands in collector, under the same id.
CREATE TABLE fleet_member (
  id          TEXT   PRIMARY KEY, -- UUIDv7, collector.id and the subject of its certificates
  tenant      BIGINT NOT NULL REFERENCES tenant (number),
  name        TEXT   NOT NULL,
  labels      TEXT   NOT NULL, -- JSON object of texts
  enrolled_at BIGINT NOT NULL,
  serial      TEXT   NOT NULL, -- of the newest certificate, hexadecimal
  not_after   BIGINT NOT NULL, -- of the newest certificate
  acked       BIGINT NOT NULL DEFAULT 0, -- a batch that is acknowledged, as are all before; may lag behind
  report      TEXT   NOT NULL DEFAULT '', -- JSON: the figures of the last heartbeat
  away_since  BIGINT, -- set when it was announced that the collector is gone
  revoked_at  BIGINT,
  revoked_by  TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX fleet_member_tenant ON fleet_member (tenant, id);

-- The configuration that collectors shall have, every revision of it. Revisions
-- are counted by tenant, so that no two configurations share one.
CREATE TABLE fleet_config (
  tenant     BIGINT NOT NULL REFERENCES tenant (number),
  revision   BIGINT NOT NULL,
  collector  TEXT   NOT NULL, -- fleet_member.id, '' for those without one of their own
  files      TEXT,            -- JSON object: name → text; NULL: taken back
  created_at BIGINT NOT NULL,
  created_by TEXT   NOT NULL,
  PRIMARY KEY (tenant, revision)
);
CREATE INDEX fleet_config_collector ON fleet_config (tenant, collector, revision);
