-- +goose Up
CREATE TABLE audit_entry (
  tenant BIGINT NOT NULL, -- tenant.number, 0 for the server itself
  seq    BIGINT NOT NULL,
  id     TEXT   NOT NULL UNIQUE,
  at     BIGINT NOT NULL,
  actor  TEXT   NOT NULL,
  action TEXT   NOT NULL,
  object TEXT   NOT NULL,
  detail TEXT   NOT NULL,
  hash   BYTEA  NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE TABLE audit_head (
  tenant BIGINT PRIMARY KEY,
  seq    BIGINT NOT NULL,
  hash   BYTEA  NOT NULL
);
-- +goose StatementBegin
CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse();
