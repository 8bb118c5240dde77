-- +goose Up
-- Every event that made an alert, in blocks as they were recorded: ids holds their ids,
-- packed. alert_detail.events keeps the first of them, and is all that there is of
-- alerts that grew last before this table came.
CREATE TABLE alert_event (
  seq        BIGINT NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
  n          BIGINT NOT NULL, -- from 0
  first_seen BIGINT NOT NULL, -- event time of the first and the last of the block
  last_seen  BIGINT NOT NULL,
  events     BIGINT NOT NULL, -- how many
  ids        BYTEA  NOT NULL,
  PRIMARY KEY (seq, n)
);
ALTER TABLE alert_detail ADD COLUMN blocks BIGINT NOT NULL DEFAULT 0; -- rows in alert_event
ALTER TABLE alert_detail ADD COLUMN referred BIGINT NOT NULL DEFAULT 0; -- events in them

-- A storm is one alert for the entities of a rule that would raise too many in an hour.
ALTER TABLE alert ADD COLUMN storm BOOLEAN NOT NULL DEFAULT FALSE;

-- How many alerts a rule opened, or would have opened, in the last hour of server time
-- in which it opened any.
CREATE TABLE alert_rate (
  tenant  BIGINT NOT NULL,
  rule_id TEXT   NOT NULL,
  hour    BIGINT NOT NULL, -- from 1970, UTC
  opened  BIGINT NOT NULL,
  storm   BIGINT NOT NULL, -- alert.seq of the storm that takes new entities, 0 for none
  PRIMARY KEY (tenant, rule_id)
);
CREATE TABLE alert_storm (
  seq      BIGINT PRIMARY KEY REFERENCES alert (seq) ON DELETE CASCADE,
  limit_n  BIGINT NOT NULL, -- alerts in an hour that were too many
  began    BIGINT NOT NULL,
  until    BIGINT NOT NULL, -- when new entities have alerts of their own again, unless it goes on
  entities BIGINT NOT NULL
);
CREATE TABLE alert_storm_entity (
  seq        BIGINT NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
  merge_key  TEXT   NOT NULL,
  events     BIGINT NOT NULL,
  first_seen BIGINT NOT NULL,
  last_seen  BIGINT NOT NULL,
  hour       BIGINT NOT NULL, -- of server time, in which it was seen last
  PRIMARY KEY (seq, merge_key)
);
CREATE INDEX alert_storm_entity_top ON alert_storm_entity (seq, events);
