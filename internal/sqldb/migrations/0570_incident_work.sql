-- +goose Up
ALTER TABLE incident ADD COLUMN acknowledged_at BIGINT; -- when a person first did something about it
ALTER TABLE incident ADD COLUMN contained_at BIGINT;    -- when it first left OPEN
ALTER TABLE incident ADD COLUMN overdue_at BIGINT;      -- when its due time was noticed to have passed
ALTER TABLE incident ADD COLUMN split_from TEXT NOT NULL DEFAULT '';
CREATE INDEX incident_due ON incident (sla_due_at) WHERE overdue_at IS NULL AND status <> 'CLOSED';
CREATE INDEX incident_closed ON incident (tenant, closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE incident_task (
  id          TEXT   PRIMARY KEY, -- UUIDv7: in order
  incident_id TEXT   NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  title       TEXT   NOT NULL,
  note        TEXT   NOT NULL,
  status      TEXT   NOT NULL CHECK (status IN ('TODO', 'DOING', 'DONE', 'SKIPPED')),
  assigned_to TEXT   NOT NULL,
  due_at      BIGINT,
  done_at     BIGINT,
  created_by  TEXT   NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);
CREATE INDEX incident_task_incident ON incident_task (incident_id, id);

CREATE TABLE incident_evidence (
  id          TEXT   PRIMARY KEY, -- UUIDv7: in order
  incident_id TEXT   NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  name        TEXT   NOT NULL,
  media_type  TEXT   NOT NULL,
  size        BIGINT NOT NULL,
  sha256      TEXT   NOT NULL, -- hexadecimal; names the file in the vault
  note        TEXT   NOT NULL,
  added_by    TEXT   NOT NULL,
  added_at    BIGINT NOT NULL
);
CREATE INDEX incident_evidence_incident ON incident_evidence (incident_id, id);

-- How a tenant works its incidents; none means the defaults.
CREATE TABLE incident_setting (
  tenant   BIGINT PRIMARY KEY,
  critical BIGINT NOT NULL, -- time to answer, seconds
  high     BIGINT NOT NULL,
  medium   BIGINT NOT NULL,
  low      BIGINT NOT NULL,
  grouping TEXT   NOT NULL CHECK (grouping IN ('rule', 'entity')),
  version  BIGINT NOT NULL
);
