-- +goose Up
-- Writers of one tenant's assets update this row, and so run one after another.
CREATE TABLE asset_head (
  tenant BIGINT PRIMARY KEY,
  assets BIGINT NOT NULL, -- how many there are
  writes BIGINT NOT NULL
);

-- An asset. Merging sets root and nothing else, so that it can be undone. Times are
-- microseconds.
CREATE TABLE asset (
  tenant      BIGINT  NOT NULL,
  id          TEXT    NOT NULL, -- UUIDv7
  root        TEXT    NOT NULL, -- what it is merged into, by all steps; its own id where it is not
  parent      TEXT    NOT NULL, -- what it was merged into; '' where it is not
  own_first   BIGINT  NOT NULL,
  own_last    BIGINT  NOT NULL,
  evidence    BIGINT  NOT NULL, -- bits
  set_name    TEXT    NOT NULL DEFAULT '',
  set_type    TEXT    NOT NULL DEFAULT '',
  set_os      TEXT    NOT NULL DEFAULT '',
  owner       TEXT    NOT NULL DEFAULT '',
  criticality BIGINT  NOT NULL DEFAULT 2, -- 1 low … 4 critical
  tags        TEXT    NOT NULL DEFAULT '[]',
  notes       TEXT    NOT NULL DEFAULT '',
  version     BIGINT  NOT NULL DEFAULT 1, -- of what people set
  -- What is shown: of all that is merged here.
  name        TEXT    NOT NULL DEFAULT '',
  type        TEXT    NOT NULL DEFAULT 'unknown',
  os          TEXT    NOT NULL DEFAULT '',
  first_at    BIGINT  NOT NULL,
  last_at     BIGINT  NOT NULL,
  covered     BOOLEAN NOT NULL DEFAULT FALSE, -- an address alone that another asset has
  open_alerts BIGINT  NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX asset_root ON asset (tenant, root);

-- What an asset is known by.
CREATE TABLE asset_key (
  tenant BIGINT NOT NULL,
  word   TEXT   NOT NULL, -- mac:…, guid:…, agent:…, name:…, ip:…
  asset  TEXT   NOT NULL,
  PRIMARY KEY (tenant, word)
);
CREATE INDEX asset_key_asset ON asset_key (tenant, asset);

-- What was seen of an asset, and when.
CREATE TABLE asset_trait (
  tenant   BIGINT NOT NULL,
  asset    TEXT   NOT NULL,
  kind     TEXT   NOT NULL, -- name, alias, ip, mac, guid, agent, source
  value    TEXT   NOT NULL,
  place    TEXT   NOT NULL, -- of an address: 32 hexadecimal digits that sort as it does
  first_at BIGINT NOT NULL,
  last_at  BIGINT NOT NULL,
  PRIMARY KEY (tenant, asset, kind, value)
);
CREATE INDEX asset_trait_value ON asset_trait (tenant, kind, value);
CREATE INDEX asset_trait_place ON asset_trait (tenant, place) WHERE place <> '';

CREATE TABLE asset_merge (
  tenant    BIGINT NOT NULL,
  id        TEXT   NOT NULL, -- UUIDv7
  asset     TEXT   NOT NULL,
  into_id   TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  actor     TEXT   NOT NULL,
  reason    TEXT   NOT NULL,
  undone_at BIGINT,
  undone_by TEXT   NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX asset_merge_asset ON asset_merge (tenant, asset);
