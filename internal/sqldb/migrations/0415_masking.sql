-- +goose Up
-- What is taken out of a tenant's records before anything keeps them.
CREATE TABLE masking_rule (
  id         TEXT    PRIMARY KEY, -- UUIDv7: rules apply in this order
  tenant     BIGINT  NOT NULL REFERENCES tenant (number),
  name       TEXT    NOT NULL,
  enabled    BOOLEAN NOT NULL,
  action     TEXT    NOT NULL CHECK (action IN ('mask', 'hash', 'remove')),
  patterns   TEXT    NOT NULL, -- JSON
  fields     TEXT    NOT NULL, -- JSON
  source     TEXT    NOT NULL, -- glob, '' for all
  host       TEXT    NOT NULL, -- glob or network, '' for all
  version    BIGINT  NOT NULL,
  created_at BIGINT  NOT NULL,
  created_by TEXT    NOT NULL,
  updated_at BIGINT  NOT NULL,
  updated_by TEXT    NOT NULL
);
CREATE INDEX masking_rule_tenant ON masking_rule (tenant, id);

-- The tenant's key for hashes, sealed; how often its rules changed.
CREATE TABLE masking_tenant (
  tenant     BIGINT PRIMARY KEY REFERENCES tenant (number),
  sealed_key TEXT   NOT NULL, -- base64
  generation BIGINT NOT NULL
);

CREATE TABLE masking_count (
  tenant BIGINT NOT NULL REFERENCES tenant (number),
  kind   TEXT   NOT NULL, -- a pattern, field, missed
  n      BIGINT NOT NULL,
  PRIMARY KEY (tenant, kind)
);
