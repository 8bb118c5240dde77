-- +goose Up
ALTER TABLE dsr_erasure ADD COLUMN places TEXT NOT NULL DEFAULT ''; -- JSON: what became of control data

-- How a tenant counts terms; none means UTC without holidays.
CREATE TABLE dsr_setting (
  tenant     BIGINT PRIMARY KEY,
  law        TEXT   NOT NULL, -- where a request names none; '' for none
  zone       TEXT   NOT NULL, -- in which days begin and end, as IANA names it
  holidays   TEXT   NOT NULL, -- JSON: YYYY-MM-DD
  version    BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT   NOT NULL
);
ALTER TABLE dsr_request ADD COLUMN extension_told TEXT NOT NULL DEFAULT ''; -- YYYY-MM-DD: the person was told why it takes longer
