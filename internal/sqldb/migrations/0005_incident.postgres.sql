-- +goose Up
CREATE TABLE incident (
  id          TEXT   PRIMARY KEY,
  tenant      BIGINT NOT NULL,
  title       TEXT   NOT NULL,
  severity    TEXT   NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info')),
  status      TEXT   NOT NULL CHECK (status IN ('OPEN', 'CONTAINED', 'ERADICATED', 'RECOVERED', 'CLOSED')),
  origin      TEXT   NOT NULL CHECK (origin IN ('auto', 'escalated', 'manual')),
  rule_id     TEXT   NOT NULL, -- of an automatic one, else ''
  first_seen  BIGINT NOT NULL, -- event time of its first alert, of an automatic one
  tactic      TEXT   NOT NULL,
  technique   TEXT   NOT NULL,
  assigned_to TEXT   NOT NULL DEFAULT '',
  alert_count BIGINT NOT NULL DEFAULT 0,
  sla_due_at  BIGINT NOT NULL,
  closed_at   BIGINT,
  merged_into TEXT   NOT NULL DEFAULT '',
  version     BIGINT NOT NULL DEFAULT 1,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);
CREATE INDEX incident_created ON incident (tenant, created_at, id);
CREATE INDEX incident_severity ON incident (tenant, severity, created_at, id);
CREATE INDEX incident_status ON incident (tenant, status, created_at, id);
CREATE INDEX incident_severity_status ON incident (tenant, severity, status, created_at, id);
CREATE INDEX incident_updated ON incident (tenant, updated_at, id);
CREATE INDEX incident_rule ON incident (tenant, rule_id, first_seen) WHERE origin = 'auto';

CREATE TABLE incident_alert (
  incident_id TEXT   NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  alert_id    TEXT   NOT NULL REFERENCES alert (id) ON DELETE CASCADE,
  linked_at   BIGINT NOT NULL,
  merged_from TEXT   NOT NULL DEFAULT '', -- the incident whose merging brought it
  PRIMARY KEY (incident_id, alert_id)
);
CREATE INDEX incident_alert_alert ON incident_alert (alert_id, linked_at);

CREATE TABLE incident_comment (
  id          TEXT   PRIMARY KEY, -- UUIDv7: in order
  incident_id TEXT   NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  author      TEXT   NOT NULL,
  content     TEXT   NOT NULL,
  created_at  BIGINT NOT NULL
);
CREATE INDEX incident_comment_incident ON incident_comment (incident_id, id);

CREATE TABLE incident_timeline (
  id          TEXT   PRIMARY KEY, -- UUIDv7: in order
  incident_id TEXT   NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  at          BIGINT NOT NULL,
  actor       TEXT   NOT NULL,
  action      TEXT   NOT NULL,
  old_value   TEXT   NOT NULL,
  new_value   TEXT   NOT NULL,
  note        TEXT   NOT NULL
);
CREATE INDEX incident_timeline_incident ON incident_timeline (incident_id, id);

-- Kept by triggers.
CREATE TABLE incident_total (
  tenant BIGINT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (tenant, severity, status)
);

-- +goose StatementBegin
CREATE FUNCTION incident_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO incident_total (tenant, severity, status, n) VALUES (old.tenant, old.severity, old.status, -1)
      ON CONFLICT (tenant, severity, status) DO UPDATE SET n = incident_total.n + excluded.n;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO incident_total (tenant, severity, status, n) VALUES (new.tenant, new.severity, new.status, 1)
      ON CONFLICT (tenant, severity, status) DO UPDATE SET n = incident_total.n + excluded.n;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER incident_counted AFTER INSERT OR DELETE ON incident FOR EACH ROW EXECUTE FUNCTION incident_count();
CREATE TRIGGER incident_counted_update AFTER UPDATE OF severity, status ON incident FOR EACH ROW
  WHEN (new.severity <> old.severity OR new.status <> old.status) EXECUTE FUNCTION incident_count();
