-- +goose Up
-- Whatever changes an alert's weight is noted in the transaction that changes it.
-- +goose StatementBegin
CREATE TRIGGER risk_due_insert AFTER INSERT ON alert BEGIN
  INSERT INTO risk_due (id, tenant, alert) VALUES (lower(hex(randomblob(16))), new.tenant, new.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER risk_due_update AFTER UPDATE OF occurrences, last_seen, severity, status, verdict, title ON alert
WHEN new.occurrences <> old.occurrences OR new.last_seen <> old.last_seen OR new.severity <> old.severity OR new.status <> old.status OR new.verdict <> old.verdict OR new.title <> old.title BEGIN
  INSERT INTO risk_due (id, tenant, alert) VALUES (lower(hex(randomblob(16))), new.tenant, new.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER risk_due_delete AFTER DELETE ON alert BEGIN
  INSERT INTO risk_due (id, tenant, alert) VALUES (lower(hex(randomblob(16))), old.tenant, old.id);
END;
-- +goose StatementEnd
INSERT INTO risk_due (id, tenant, alert) SELECT id, tenant, id FROM alert;
