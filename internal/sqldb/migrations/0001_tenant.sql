-- +goose Up
CREATE TABLE tenant (
  id                  TEXT PRIMARY KEY,
  number              BIGINT NOT NULL UNIQUE CHECK (number > 0),
  name                TEXT NOT NULL,
  plan                TEXT NOT NULL CHECK (plan IN ('FREE', 'MDR', 'PRO', 'CUSTOM')),
  requests_per_minute BIGINT NOT NULL CHECK (requests_per_minute >= 0), -- CUSTOM only, 0 = unlimited
  retention_days      BIGINT NOT NULL CHECK (retention_days > 0),
  created_at          BIGINT NOT NULL
);
CREATE UNIQUE INDEX tenant_name ON tenant (lower(name));

-- Numbers are never given twice: they stand in stored events.
CREATE TABLE tenant_number (
  one  BIGINT PRIMARY KEY CHECK (one = 1), -- a single row
  last BIGINT NOT NULL
);
INSERT INTO tenant_number (one, last) VALUES (1, 0);
