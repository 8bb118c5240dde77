-- +goose Up
CREATE TABLE rule (
  tenant      BIGINT NOT NULL, -- 0: built in
  id          TEXT   NOT NULL,
  version     BIGINT NOT NULL,
  yaml        TEXT   NOT NULL,
  name        TEXT   NOT NULL,
  description TEXT   NOT NULL,
  author      TEXT   NOT NULL,
  severity    TEXT   NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info')),
  type        TEXT   NOT NULL,
  source      TEXT   NOT NULL,
  tactics     TEXT   NOT NULL, -- ' credential-access discovery ', blanks at both ends
  techniques  TEXT   NOT NULL, -- ' T1110 T1110.001 '
  folded      TEXT   NOT NULL, -- what search looks in, in lower case
  status      TEXT   NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'DRAFT')), -- where rule_status says nothing
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);

-- What a tenant decided about a rule.
CREATE TABLE rule_status (
  tenant     BIGINT NOT NULL,
  rule_id    TEXT   NOT NULL,
  status     TEXT   NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'DRAFT')),
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id)
);

-- Every text that a rule ever had, that of removed rules too: alerts name versions.
CREATE TABLE rule_version (
  tenant  BIGINT NOT NULL,
  rule_id TEXT   NOT NULL,
  version BIGINT NOT NULL,
  at      BIGINT NOT NULL,
  actor   TEXT   NOT NULL,
  yaml    TEXT   NOT NULL,
  PRIMARY KEY (tenant, rule_id, version)
);

-- Rises with each change of what is active; tenant 0 for the built-in rules.
CREATE TABLE rule_generation (
  tenant BIGINT PRIMARY KEY,
  n      BIGINT NOT NULL
);

-- Matches by hour from 1970, UTC, of server time.
CREATE TABLE rule_match (
  tenant  BIGINT NOT NULL,
  rule_id TEXT   NOT NULL,
  hour    BIGINT NOT NULL,
  n       BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id, hour)
);
CREATE TABLE rule_seen (
  tenant  BIGINT NOT NULL,
  rule_id TEXT   NOT NULL,
  last_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id)
);
