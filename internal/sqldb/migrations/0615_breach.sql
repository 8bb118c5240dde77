-- +goose Up
-- By when an authority or people are to be told of an incident, and that they were.
CREATE TABLE incident_clock (
  id           TEXT    PRIMARY KEY, -- UUIDv7
  tenant       BIGINT  NOT NULL,
  incident_id  TEXT    NOT NULL,
  law          TEXT    NOT NULL,
  name         TEXT    NOT NULL,
  recipient    TEXT    NOT NULL,
  personal     BOOLEAN NOT NULL, -- it is about personal data
  hours        BIGINT  NOT NULL,
  aware_at     BIGINT  NOT NULL,
  due_at       BIGINT  NOT NULL,
  marked_by    TEXT    NOT NULL,
  marked_at    BIGINT  NOT NULL,
  drafted_at   BIGINT, -- NULL: nobody asked for a draft notice yet
  notified_at  BIGINT, -- NULL: not yet
  notified_to  TEXT    NOT NULL DEFAULT '',
  notified_by  TEXT    NOT NULL DEFAULT '',
  reference    TEXT    NOT NULL DEFAULT '', -- what the recipient calls it
  recorded_at  BIGINT,
  withdrawn_at BIGINT,
  withdrawn_by TEXT    NOT NULL DEFAULT '',
  reason       TEXT    NOT NULL DEFAULT '', -- of withdrawing
  overdue_at   BIGINT  -- when it was told that it is late
);
CREATE UNIQUE INDEX incident_clock_law ON incident_clock (incident_id, law) WHERE withdrawn_at IS NULL;
CREATE INDEX incident_clock_tenant ON incident_clock (tenant, aware_at);
CREATE INDEX incident_clock_due ON incident_clock (due_at) WHERE notified_at IS NULL AND withdrawn_at IS NULL AND overdue_at IS NULL;
