-- +goose Up
-- Tenants that hold demo data: each belongs to the one whose people look at it.
CREATE TABLE tenant_demo (
  number     BIGINT PRIMARY KEY REFERENCES tenant (number), -- that holds the data
  of_tenant  BIGINT NOT NULL UNIQUE REFERENCES tenant (number),
  created_at BIGINT NOT NULL,
  created_by TEXT   NOT NULL
);
