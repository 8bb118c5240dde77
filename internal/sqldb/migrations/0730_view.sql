-- +goose Up
-- Ways of looking at lists that people keep: the console's filters, as its address writes them.
CREATE TABLE saved_view (
  id         TEXT PRIMARY KEY, -- UUIDv7
  tenant     BIGINT  NOT NULL,
  owner      TEXT    NOT NULL REFERENCES account_user (id) ON DELETE CASCADE,
  kind       TEXT    NOT NULL, -- the list: alerts, search
  name       TEXT    NOT NULL,
  query      TEXT    NOT NULL, -- of the console's address, without a question mark
  shared     BOOLEAN NOT NULL, -- with everybody of the tenant who may read the list
  created_at BIGINT  NOT NULL,
  updated_at BIGINT  NOT NULL,
  version    BIGINT  NOT NULL
);
CREATE UNIQUE INDEX saved_view_name ON saved_view (tenant, owner, kind, lower(name));
