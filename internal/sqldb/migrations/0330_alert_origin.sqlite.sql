-- +goose Up
-- The Detection Rule License asks that every alert names author, licence and origin.
ALTER TABLE alert ADD COLUMN rule_license TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN rule_origin TEXT NOT NULL DEFAULT '';

-- What became of each rule's alerts; kept by triggers.
CREATE TABLE alert_rule (
  tenant BIGINT NOT NULL, rule_id TEXT NOT NULL, status TEXT NOT NULL, verdict TEXT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id, status, verdict)
);
INSERT INTO alert_rule (tenant, rule_id, status, verdict, n) SELECT tenant, rule_id, status, verdict, count(*) FROM alert GROUP BY 1, 2, 3, 4;
CREATE TABLE alert_rule_day ( -- of creation, from 1970, UTC
  tenant BIGINT NOT NULL, rule_id TEXT NOT NULL, day BIGINT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (tenant, rule_id, day)
);
INSERT INTO alert_rule_day (tenant, rule_id, day, n) SELECT tenant, rule_id, created_at / 86400000000, count(*) FROM alert GROUP BY 1, 2, 3;
-- +goose StatementBegin
CREATE TRIGGER alert_rule_insert AFTER INSERT ON alert BEGIN
  INSERT INTO alert_rule (tenant, rule_id, status, verdict, n) VALUES (new.tenant, new.rule_id, new.status, new.verdict, 1)
    ON CONFLICT (tenant, rule_id, status, verdict) DO UPDATE SET n = alert_rule.n + excluded.n;
  INSERT INTO alert_rule_day (tenant, rule_id, day, n) VALUES (new.tenant, new.rule_id, new.created_at / 86400000000, 1)
    ON CONFLICT (tenant, rule_id, day) DO UPDATE SET n = alert_rule_day.n + excluded.n;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER alert_rule_update AFTER UPDATE OF status, verdict ON alert WHEN new.status <> old.status OR new.verdict <> old.verdict BEGIN
  INSERT INTO alert_rule (tenant, rule_id, status, verdict, n) VALUES (old.tenant, old.rule_id, old.status, old.verdict, -1)
    ON CONFLICT (tenant, rule_id, status, verdict) DO UPDATE SET n = alert_rule.n + excluded.n;
  INSERT INTO alert_rule (tenant, rule_id, status, verdict, n) VALUES (new.tenant, new.rule_id, new.status, new.verdict, 1)
    ON CONFLICT (tenant, rule_id, status, verdict) DO UPDATE SET n = alert_rule.n + excluded.n;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER alert_rule_delete AFTER DELETE ON alert BEGIN
  INSERT INTO alert_rule (tenant, rule_id, status, verdict, n) VALUES (old.tenant, old.rule_id, old.status, old.verdict, -1)
    ON CONFLICT (tenant, rule_id, status, verdict) DO UPDATE SET n = alert_rule.n + excluded.n;
  INSERT INTO alert_rule_day (tenant, rule_id, day, n) VALUES (old.tenant, old.rule_id, old.created_at / 86400000000, -1)
    ON CONFLICT (tenant, rule_id, day) DO UPDATE SET n = alert_rule_day.n + excluded.n;
END;
-- +goose StatementEnd
