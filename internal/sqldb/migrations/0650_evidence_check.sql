-- +goose Up
-- What the nightly look at all evidence of a tenant found.
CREATE TABLE evidence_check (
  tenant     BIGINT PRIMARY KEY,
  claimed_at BIGINT NOT NULL, -- when a server began, so that no other does
  at         BIGINT NOT NULL, -- when the last one ended; 0 for none
  records    BIGINT NOT NULL, -- that are as they were kept
  flaws      BIGINT NOT NULL,
  record     TEXT   NOT NULL, -- id of the first that is not, '' for none
  seq        BIGINT NOT NULL, -- its place in the chain, 0 for none
  what       TEXT   NOT NULL  -- is wrong with it
);
