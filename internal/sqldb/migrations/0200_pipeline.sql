-- +goose Up
-- Where each partition of the queue stands; package pipeline says what the marks mean.
CREATE TABLE checkpoint (
  partition_no BIGINT PRIMARY KEY,
  base_seq     BIGINT NOT NULL,
  detected_seq BIGINT NOT NULL,
  handed_limit BIGINT NOT NULL DEFAULT 0, -- no batch beyond it went to archive or store yet
  state        BYTEA, -- zstd over JSON, of parser and detector at base_seq
  updated_at   BIGINT NOT NULL DEFAULT 0
);

-- Retention counts from arrival, the event store cuts by event time: the newest
-- arrival of each day of event time tells when that day may go.
CREATE TABLE event_day (
  day_no       BIGINT PRIMARY KEY, -- of event time, days since 1970
  last_arrival BIGINT NOT NULL
);
