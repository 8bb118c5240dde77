-- +goose Up
-- A log source: what one host sends of one product. Times are arrival, microseconds.
CREATE TABLE log_source (
  tenant         BIGINT  NOT NULL,
  id             TEXT    NOT NULL, -- UUIDv5 of tenant, source and host
  source         TEXT    NOT NULL,
  host           TEXT    NOT NULL, -- '' for the sources that there is no room for
  first_at       BIGINT  NOT NULL,
  last_at        BIGINT  NOT NULL,
  seen           TEXT    NOT NULL, -- JSON: how it came last, programs, time qualities
  events         BIGINT  NOT NULL,
  unparsed       BIGINT  NOT NULL,
  rhythm         TEXT    NOT NULL DEFAULT '', -- JSON: hours of the last week, and what is usual
  proposals      TEXT    NOT NULL DEFAULT '', -- JSON
  muted          BOOLEAN NOT NULL DEFAULT FALSE,
  silent_after   BIGINT  NOT NULL DEFAULT 0, -- seconds; 0: as learned
  silent_since   BIGINT,                     -- when it was found silent
  version        BIGINT  NOT NULL DEFAULT 1, -- of what people set
  PRIMARY KEY (tenant, id)
);

CREATE TABLE log_source_setting (
  id         TEXT   PRIMARY KEY, -- UUIDv7
  tenant     BIGINT NOT NULL,
  name       TEXT   NOT NULL,
  priority   BIGINT NOT NULL,
  enabled    BOOLEAN NOT NULL,
  definition TEXT   NOT NULL, -- JSON
  created_at BIGINT NOT NULL,
  created_by TEXT   NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT   NOT NULL,
  version    BIGINT NOT NULL
);
CREATE INDEX log_source_setting_order ON log_source_setting (tenant, priority, id);

-- Rises with each change of a tenant's settings.
CREATE TABLE log_source_generation (
  tenant     BIGINT PRIMARY KEY,
  generation BIGINT NOT NULL
);

-- When silence was last looked for: what did not run could not hear.
CREATE TABLE log_source_watch (
  id      BIGINT PRIMARY KEY,
  last_at BIGINT NOT NULL
);
