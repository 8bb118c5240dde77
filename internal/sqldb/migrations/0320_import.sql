-- +goose Up
-- The text of each imported rule as it came last: what tells a change made here
-- from one made where the rule comes from.
CREATE TABLE rule_import (
  tenant  BIGINT NOT NULL,
  rule_id TEXT   NOT NULL,
  file    TEXT   NOT NULL, -- in the pack
  yaml    TEXT   NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id)
);

-- Values for the placeholders of rules: %name% with the modifier expand.
CREATE TABLE value_list (
  tenant      BIGINT NOT NULL,
  name        TEXT   NOT NULL,
  description TEXT   NOT NULL,
  entries     TEXT   NOT NULL, -- JSON array of texts
  n           BIGINT NOT NULL, -- of entries
  version     BIGINT NOT NULL,
  updated_by  TEXT   NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
