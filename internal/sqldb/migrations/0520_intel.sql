-- +goose Up
-- An indicator: one value that some source calls hostile. Times are microseconds.
CREATE TABLE intel_indicator (
  id           TEXT    PRIMARY KEY, -- UUIDv7
  tenant       BIGINT  NOT NULL,
  type         TEXT    NOT NULL,
  value        TEXT    NOT NULL, -- in its one form, see intel.Normalise
  source       TEXT    NOT NULL, -- who says so: the name of a feed, or what a person wrote
  feed_id      TEXT    NOT NULL DEFAULT '',
  confidence   BIGINT  NOT NULL,
  severity     TEXT    NOT NULL,
  tags         TEXT    NOT NULL, -- JSON
  description  TEXT    NOT NULL,
  valid_from   BIGINT  NOT NULL,
  valid_until  BIGINT,
  gone         BOOLEAN NOT NULL DEFAULT FALSE, -- valid_until was set since the feed no longer names it
  disabled     BOOLEAN NOT NULL DEFAULT FALSE, -- switched off by people
  first_seen   BIGINT  NOT NULL, -- by the source
  last_seen    BIGINT  NOT NULL, -- by the source
  sightings    BIGINT  NOT NULL DEFAULT 0, -- events here that carry it
  last_sighted BIGINT,
  run          BIGINT  NOT NULL DEFAULT 0, -- of the feed, that named it last
  version      BIGINT  NOT NULL DEFAULT 1,
  created_at   BIGINT  NOT NULL,
  created_by   TEXT    NOT NULL,
  updated_at   BIGINT  NOT NULL
);
CREATE UNIQUE INDEX intel_indicator_value ON intel_indicator (tenant, type, value, source);
CREATE INDEX intel_indicator_order ON intel_indicator (tenant, id);
CREATE INDEX intel_indicator_feed ON intel_indicator (feed_id, run) WHERE feed_id <> '';
CREATE INDEX intel_indicator_sighted ON intel_indicator (tenant, sightings, id);

-- What was seen of an indicator: one row a day, field and entity on our side.
CREATE TABLE intel_sighting (
  tenant   BIGINT NOT NULL,
  type     TEXT   NOT NULL,
  value    TEXT   NOT NULL,
  day      BIGINT NOT NULL, -- days since 1970, event time
  field    TEXT   NOT NULL,
  entity   TEXT   NOT NULL, -- host, user or address on our side
  alert_id TEXT   NOT NULL, -- '' where it raised none
  first_at BIGINT NOT NULL,
  last_at  BIGINT NOT NULL,
  events   BIGINT NOT NULL,
  event_id TEXT   NOT NULL, -- the newest one
  PRIMARY KEY (tenant, type, value, day, field, entity)
);
CREATE INDEX intel_sighting_age ON intel_sighting (last_at);

-- Stored events that a retro-match has counted: none is counted twice.
CREATE TABLE intel_retro_event (
  tenant   BIGINT NOT NULL,
  event_id TEXT   NOT NULL,
  value    TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (tenant, event_id, value)
);
CREATE INDEX intel_retro_event_age ON intel_retro_event (at);

-- What never matches.
CREATE TABLE intel_allow (
  id         TEXT   PRIMARY KEY, -- UUIDv7
  tenant     BIGINT NOT NULL,
  type       TEXT   NOT NULL,
  value      TEXT   NOT NULL,
  reason     TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT   NOT NULL
);
CREATE UNIQUE INDEX intel_allow_value ON intel_allow (tenant, type, value);

CREATE TABLE intel_feed (
  id            TEXT    PRIMARY KEY, -- UUIDv7
  tenant        BIGINT  NOT NULL,
  name          TEXT    NOT NULL, -- the source of its indicators
  format        TEXT    NOT NULL,
  url           TEXT    NOT NULL, -- '' where files are uploaded
  settings      TEXT    NOT NULL, -- JSON
  secret        BYTEA,            -- sealed
  enabled       BOOLEAN NOT NULL,
  state         TEXT    NOT NULL, -- JSON: the last run, cursor
  next_run      BIGINT  NOT NULL,
  run           BIGINT  NOT NULL DEFAULT 0, -- counts runs
  holder        TEXT    NOT NULL DEFAULT '', -- the server that runs it
  lease_until   BIGINT  NOT NULL DEFAULT 0,
  version       BIGINT  NOT NULL DEFAULT 1, -- counts people's changes
  created_at    BIGINT  NOT NULL,
  created_by    TEXT    NOT NULL,
  updated_at    BIGINT  NOT NULL
);
CREATE UNIQUE INDEX intel_feed_name ON intel_feed (tenant, lower(name));
CREATE INDEX intel_feed_due ON intel_feed (next_run);

-- When what is seen of indicators raises alerts.
CREATE TABLE intel_setting (
  tenant     BIGINT PRIMARY KEY,
  thresholds TEXT   NOT NULL -- JSON
);

-- Rises with each change of what matches.
CREATE TABLE intel_generation (
  tenant     BIGINT PRIMARY KEY,
  generation BIGINT NOT NULL
);
