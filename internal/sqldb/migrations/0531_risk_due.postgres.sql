-- +goose Up
-- Whatever changes an alert's weight is noted in the transaction that changes it.
-- +goose StatementBegin
CREATE FUNCTION risk_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO risk_due (id, tenant, alert) VALUES (gen_random_uuid()::text, old.tenant, old.id);
  ELSE
    INSERT INTO risk_due (id, tenant, alert) VALUES (gen_random_uuid()::text, new.tenant, new.id);
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER risk_due_note AFTER INSERT OR DELETE ON alert FOR EACH ROW EXECUTE FUNCTION risk_note();
CREATE TRIGGER risk_due_update AFTER UPDATE OF occurrences, last_seen, severity, status, verdict, title ON alert FOR EACH ROW
  WHEN (new.occurrences <> old.occurrences OR new.last_seen <> old.last_seen OR new.severity <> old.severity OR new.status <> old.status OR new.verdict <> old.verdict OR new.title <> old.title)
  EXECUTE FUNCTION risk_note();
INSERT INTO risk_due (id, tenant, alert) SELECT id, tenant, id FROM alert;
