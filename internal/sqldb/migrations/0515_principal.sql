-- +goose Up
-- An account that events name. Times are microseconds.
CREATE TABLE principal (
  tenant         BIGINT NOT NULL,
  id             TEXT   NOT NULL, -- UUIDv5 of tenant and word: all servers give the same
  word           TEXT   NOT NULL, -- domain\user, user@domain, user, uid:1000
  name           TEXT   NOT NULL,
  domain         TEXT   NOT NULL,
  uid            TEXT   NOT NULL,
  type           TEXT   NOT NULL,
  evidence       BIGINT NOT NULL, -- bits: why it counts as privileged
  set_privileged BIGINT NOT NULL DEFAULT 0, -- 1 yes, -1 no, 0 as the evidence says
  first_at       BIGINT NOT NULL,
  last_at        BIGINT NOT NULL,
  signin_at      BIGINT NOT NULL DEFAULT 0,
  signin_from    TEXT   NOT NULL DEFAULT '',
  signin_host    TEXT   NOT NULL DEFAULT '',
  owner          TEXT   NOT NULL DEFAULT '',
  tags           TEXT   NOT NULL DEFAULT '[]',
  status         TEXT   NOT NULL DEFAULT 'active',
  version        BIGINT NOT NULL DEFAULT 1, -- of what people set
  PRIMARY KEY (tenant, id)
);
CREATE INDEX principal_last ON principal (tenant, last_at, id);

CREATE TABLE principal_trait (
  tenant    BIGINT NOT NULL,
  principal TEXT   NOT NULL,
  kind      TEXT   NOT NULL, -- address: it came from; host: it was seen on
  value     TEXT   NOT NULL,
  first_at  BIGINT NOT NULL,
  last_at   BIGINT NOT NULL,
  times     BIGINT NOT NULL, -- minutes in which it was seen there
  PRIMARY KEY (tenant, principal, kind, value)
);
CREATE INDEX principal_trait_value ON principal_trait (tenant, kind, value);

CREATE TABLE principal_failure (
  tenant    BIGINT NOT NULL,
  principal TEXT   NOT NULL,
  hour      BIGINT NOT NULL, -- since 1970
  failed    BIGINT NOT NULL,
  PRIMARY KEY (tenant, principal, hour)
);

CREATE TABLE principal_setting (
  tenant       BIGINT PRIMARY KEY,
  dormant_days BIGINT NOT NULL
);
