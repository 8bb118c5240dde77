-- +goose Up
-- What a parser could not read although it claims a format: kept whole in the event
-- store, counted here.
CREATE TABLE quarantine_count (
  tenant   BIGINT NOT NULL,
  source   TEXT NOT NULL,
  reason   TEXT NOT NULL,
  hour     BIGINT NOT NULL, -- of arrival, hours since 1970
  records  BIGINT NOT NULL,
  first_at BIGINT NOT NULL, -- arrival
  last_at  BIGINT NOT NULL,
  sample   TEXT NOT NULL, -- id of the newest event
  PRIMARY KEY (tenant, source, reason, hour)
);
CREATE INDEX quarantine_count_hour ON quarantine_count (hour);

-- Events that a re-run has sent through the queue again and whose old rows are to go.
-- A row lasts for the moment between; after a crash the next re-run finishes it.
CREATE TABLE quarantine_move (
  id         TEXT PRIMARY KEY, -- UUIDv7
  tenant     BIGINT NOT NULL,
  appended   BOOLEAN NOT NULL,
  body       TEXT NOT NULL -- JSON: what goes, and what it counted as
);
CREATE INDEX quarantine_move_tenant ON quarantine_move (tenant, id);

-- Splits source_ledger.dropped by the policy that dropped.
CREATE TABLE source_ledger_drop (
  tenant  BIGINT NOT NULL,
  hour    BIGINT NOT NULL,
  source  TEXT NOT NULL,
  policy  TEXT NOT NULL,
  dropped BIGINT NOT NULL,
  PRIMARY KEY (tenant, hour, source, policy)
);

-- What never became a record of a source: the server's own count by door and hour.
CREATE TABLE source_refused (
  hour    BIGINT NOT NULL,
  door    TEXT NOT NULL,
  fate    TEXT NOT NULL CHECK (fate IN ('refused', 'lost')),
  reason  TEXT NOT NULL,
  records BIGINT NOT NULL,
  PRIMARY KEY (hour, door, fate, reason)
);
