-- +goose Up
-- How a directory provisions people into a tenant (SCIM 2.0).
CREATE TABLE scim_setting (
  tenant       BIGINT PRIMARY KEY REFERENCES tenant (number),
  digest       TEXT UNIQUE,     -- SHA-256 of the token, hexadecimal; NULL: there is none
  prefix       TEXT NOT NULL,   -- to recognise it by
  made_at      BIGINT,
  made_by      TEXT NOT NULL,
  used_at      BIGINT,
  default_role TEXT NOT NULL,   -- empty: who is in no mapped group stays outside
  roles        TEXT NOT NULL,   -- JSON: value, role
  changed_at   BIGINT NOT NULL
);

-- What the directory says of somebody.
CREATE TABLE scim_user (
  tenant     BIGINT NOT NULL,
  id         TEXT NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  user_name  TEXT NOT NULL,
  user_key   TEXT NOT NULL, -- in lower case
  external   TEXT NOT NULL,
  active     BOOLEAN NOT NULL,
  details    TEXT NOT NULL, -- JSON: names and addresses as they were sent
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  version    BIGINT NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, user_key)
);
CREATE INDEX scim_user_external ON scim_user (tenant, external);

CREATE TABLE scim_group (
  tenant     BIGINT NOT NULL,
  id         TEXT NOT NULL,
  name       TEXT NOT NULL,
  name_key   TEXT NOT NULL, -- in lower case
  external   TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  version    BIGINT NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, name_key)
);

CREATE TABLE scim_group_member (
  tenant   BIGINT NOT NULL,
  group_id TEXT NOT NULL,
  user_id  TEXT NOT NULL,
  PRIMARY KEY (tenant, group_id, user_id),
  FOREIGN KEY (tenant, group_id) REFERENCES scim_group (tenant, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant, user_id) REFERENCES scim_user (tenant, id) ON DELETE CASCADE
);
CREATE INDEX scim_group_member_user ON scim_group_member (tenant, user_id);
