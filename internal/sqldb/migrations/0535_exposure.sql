-- +goose Up
-- The domains that a tenant calls its own.
CREATE TABLE exposure_domain (
  id             TEXT    PRIMARY KEY, -- UUIDv7
  tenant         BIGINT  NOT NULL,
  name           TEXT    NOT NULL, -- in lower case, ASCII
  token          TEXT    NOT NULL, -- that its DNS record must show
  verified_at    BIGINT,           -- NULL: not verified
  checked_at     BIGINT,           -- when active checks last began
  alert_on_new   BOOLEAN NOT NULL,
  learning_hours BIGINT  NOT NULL, -- after creation, in which new names raise no alert
  active_checks  BOOLEAN NOT NULL,
  gone_days      BIGINT  NOT NULL, -- without being seen, after which a name is gone
  notes          TEXT    NOT NULL,
  names          BIGINT  NOT NULL DEFAULT 0,
  version        BIGINT  NOT NULL,
  created_at     BIGINT  NOT NULL,
  created_by     TEXT    NOT NULL,
  updated_at     BIGINT  NOT NULL,
  updated_by     TEXT    NOT NULL,
  UNIQUE (tenant, name)
);

CREATE TABLE exposure_name (
  id         TEXT   PRIMARY KEY, -- UUIDv7
  tenant     BIGINT NOT NULL,
  domain     TEXT   NOT NULL REFERENCES exposure_domain (id) ON DELETE CASCADE,
  name       TEXT   NOT NULL,
  state      TEXT   NOT NULL CHECK (state IN ('new', 'known', 'ignored', 'gone')),
  first_seen BIGINT NOT NULL,
  last_seen  BIGINT NOT NULL,
  sources    TEXT   NOT NULL, -- JSON: what showed it
  addresses  TEXT   NOT NULL, -- JSON: the newest first
  found      TEXT   NOT NULL DEFAULT '', -- what the last check found wrong, '' for nothing
  checked    TEXT   NOT NULL DEFAULT '', -- JSON: the last active check
  checked_at BIGINT,
  notes      TEXT   NOT NULL DEFAULT '',
  version    BIGINT NOT NULL DEFAULT 1, -- counts people's changes
  created_at BIGINT NOT NULL,
  updated_by TEXT   NOT NULL DEFAULT '',
  UNIQUE (tenant, name)
);
CREATE INDEX exposure_name_seen ON exposure_name (tenant, last_seen, id);
CREATE INDEX exposure_name_domain ON exposure_name (domain, state, last_seen);
