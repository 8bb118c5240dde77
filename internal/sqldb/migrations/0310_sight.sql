-- +goose Up
-- Which log sources arrive at a tenant, and which fields are filled in them: what
-- rules need to match at all. Times are server time.
CREATE TABLE sight_source (
  tenant   BIGINT NOT NULL,
  source   TEXT   NOT NULL, -- product/category/service, * for what is open
  first_at BIGINT NOT NULL,
  last_at  BIGINT NOT NULL,
  PRIMARY KEY (tenant, source)
);
CREATE TABLE sight_field (
  tenant  BIGINT NOT NULL,
  source  TEXT   NOT NULL,
  field   TEXT   NOT NULL,
  last_at BIGINT NOT NULL,
  PRIMARY KEY (tenant, source, field)
);
CREATE INDEX sight_field_last ON sight_field (tenant, last_at);
