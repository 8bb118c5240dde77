-- +goose Up
-- What was found, and what people handed in: append-only, each tenant's records chained
-- by their hashes, and the chain's head noted in the audit log.
CREATE TABLE evidence_record (
  tenant       BIGINT NOT NULL,
  seq          BIGINT NOT NULL, -- place in the tenant's chain, from 1
  id           TEXT   NOT NULL UNIQUE, -- UUIDv7
  kind         TEXT   NOT NULL, -- automatic, manual
  check_id     TEXT   NOT NULL, -- '' of manual ones, as the next two
  variant      TEXT   NOT NULL,
  result       TEXT   NOT NULL,
  effective_at BIGINT NOT NULL,
  collected_at BIGINT NOT NULL,
  supersedes   TEXT   NOT NULL, -- id of the manual record that it takes the place of, '' for none
  artifact     TEXT   NOT NULL, -- SHA-256 of the file in the vault, '' for none
  record       TEXT   NOT NULL, -- canonical JSON (RFC 8785): what is hashed
  content      BYTEA  NOT NULL, -- SHA-256 of record
  hash         BYTEA  NOT NULL, -- SHA-256 of the hash before it and content
  audit_seq    BIGINT NOT NULL, -- the entry of the audit log that names the chain's head
  PRIMARY KEY (tenant, seq)
);
CREATE INDEX evidence_record_effective ON evidence_record (tenant, effective_at);
CREATE INDEX evidence_record_variant ON evidence_record (tenant, variant, seq);
CREATE UNIQUE INDEX evidence_record_supersedes ON evidence_record (tenant, supersedes) WHERE supersedes <> '';
CREATE TABLE evidence_head (
  tenant BIGINT PRIMARY KEY,
  seq    BIGINT NOT NULL,
  hash   BYTEA  NOT NULL
);
-- The controls that manual evidence was handed in for; they stand in the record too.
CREATE TABLE evidence_control (
  tenant    BIGINT NOT NULL,
  seq       BIGINT NOT NULL,
  framework TEXT   NOT NULL,
  control   TEXT   NOT NULL,
  PRIMARY KEY (tenant, seq, framework, control)
);
CREATE INDEX evidence_control_control ON evidence_control (tenant, framework, control, seq);
-- +goose StatementBegin
CREATE TRIGGER evidence_record_no_update BEFORE UPDATE ON evidence_record BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER evidence_record_no_delete BEFORE DELETE ON evidence_record BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
-- +goose StatementEnd
