-- +goose Up
-- When an alert was first acted on: by a person, or by whoever changed its status.
ALTER TABLE alert ADD COLUMN answered_at BIGINT;

-- How many minutes, rounded up, that took, by the day of creation (from 1970, UTC): kept
-- by triggers. A million minutes stand for all longer ones.
CREATE TABLE alert_answer (
  tenant   BIGINT NOT NULL,
  day      BIGINT NOT NULL,
  severity TEXT   NOT NULL,
  minutes  BIGINT NOT NULL,
  n        BIGINT NOT NULL,
  PRIMARY KEY (tenant, day, severity, minutes)
);
UPDATE alert SET answered_at = (SELECT min(h.at) FROM alert_history h WHERE h.seq = alert.seq AND (h.action = 'status' OR h.actor <> 'system' AND h.actor NOT LIKE 'playbook:%'))
  WHERE seq IN (SELECT seq FROM alert_history);
INSERT INTO alert_answer (tenant, day, severity, minutes, n)
  SELECT tenant, created_at / 86400000000, severity, CASE WHEN answered_at < created_at THEN 0 WHEN answered_at - created_at > 60000000000000 THEN 1000000 ELSE (answered_at - created_at + 59999999) / 60000000 END, count(*)
  FROM alert WHERE answered_at IS NOT NULL GROUP BY 1, 2, 3, 4;
-- +goose StatementBegin
CREATE FUNCTION alert_note_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE alert SET answered_at = new.at WHERE seq = new.seq AND answered_at IS NULL;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER alert_answered AFTER INSERT ON alert_history FOR EACH ROW
  WHEN (new.action = 'status' OR new.actor <> 'system' AND new.actor NOT LIKE 'playbook:%') EXECUTE FUNCTION alert_note_answer();
-- +goose StatementBegin
CREATE FUNCTION alert_answer_minutes(created BIGINT, answered BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN answered < created THEN 0 WHEN answered - created > 60000000000000 THEN 1000000 ELSE (answered - created + 59999999) / 60000000 END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION alert_count_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF old.answered_at IS NOT NULL THEN
    UPDATE alert_answer SET n = n - 1 WHERE tenant = old.tenant AND day = old.created_at / 86400000000 AND severity = old.severity AND minutes = alert_answer_minutes(old.created_at, old.answered_at);
  END IF;
  IF TG_OP = 'UPDATE' AND new.answered_at IS NOT NULL THEN
    INSERT INTO alert_answer (tenant, day, severity, minutes, n) VALUES (new.tenant, new.created_at / 86400000000, new.severity, alert_answer_minutes(new.created_at, new.answered_at), 1)
      ON CONFLICT (tenant, day, severity, minutes) DO UPDATE SET n = alert_answer.n + excluded.n;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER alert_answer_update AFTER UPDATE OF answered_at, severity ON alert FOR EACH ROW
  WHEN (new.answered_at IS DISTINCT FROM old.answered_at OR new.severity <> old.severity) EXECUTE FUNCTION alert_count_answer();
CREATE TRIGGER alert_answer_delete AFTER DELETE ON alert FOR EACH ROW WHEN (old.answered_at IS NOT NULL) EXECUTE FUNCTION alert_count_answer();

-- Which server evaluates a tenant's checks now.
CREATE TABLE assess_turn (
  tenant      BIGINT PRIMARY KEY,
  holder      TEXT   NOT NULL,
  lease_until BIGINT NOT NULL,
  looked_at   BIGINT NOT NULL DEFAULT 0 -- when checks without data were last looked at before they were due
);

-- When the terms of retention were last applied to the end, and what that removed.
CREATE TABLE retention_run (
  one      BIGINT PRIMARY KEY CHECK (one = 1), -- a single row
  ended_at BIGINT NOT NULL,
  early_at BIGINT -- when something was last removed before its term, to stay within the bound on bytes
);

-- Checks look for the few messages about collectors among very many.
CREATE INDEX notice_collectors ON notice (tenant, at) WHERE kind = 'collectors';
CREATE INDEX audit_entry_action ON audit_entry (tenant, action, at, actor);
CREATE INDEX audit_entry_key ON audit_entry (tenant, key_id, at) WHERE key_id <> '';
