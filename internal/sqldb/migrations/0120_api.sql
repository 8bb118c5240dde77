-- +goose Up
-- Answers to POST calls that carried an Idempotency-Key, kept for a day.
CREATE TABLE api_once (
  caller     TEXT NOT NULL, -- api_key.id
  name       TEXT NOT NULL, -- SHA-256 of the Idempotency-Key, hexadecimal
  request    TEXT NOT NULL, -- SHA-256 of the request, hexadecimal
  answer     BYTEA,         -- sealed; NULL while the first request is under way
  created_at BIGINT NOT NULL,
  PRIMARY KEY (caller, name)
);
CREATE INDEX api_once_created ON api_once (created_at);
