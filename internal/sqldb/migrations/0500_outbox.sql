-- +goose Up
-- What happened and who is to be told of it: written in the transaction of what it tells.
CREATE TABLE outbox_message (
  id            TEXT   PRIMARY KEY, -- UUIDv7: in order within an object
  tenant        BIGINT NOT NULL,
  event         TEXT   NOT NULL, -- such as alert.created
  kind          TEXT   NOT NULL, -- page of the console: alerts, incidents, collectors
  object        TEXT   NOT NULL, -- id of what it is about
  title         TEXT   NOT NULL,
  severity      TEXT   NOT NULL, -- '' where it has none
  text          TEXT   NOT NULL,
  rule          TEXT   NOT NULL, -- id of the rule, '' where it has none
  source        TEXT   NOT NULL, -- product short name, '' where it has none
  at            BIGINT NOT NULL,
  dispatched_at BIGINT           -- NULL: nobody has been told yet
);
CREATE INDEX outbox_waiting ON outbox_message (id) WHERE dispatched_at IS NULL;
CREATE INDEX outbox_tenant ON outbox_message (tenant, at, id);
CREATE INDEX outbox_age ON outbox_message (at);

-- Servers dispatch one after another: each takes its turn here.
CREATE TABLE outbox_turn (
  one  BIGINT PRIMARY KEY CHECK (one = 1),
  turn BIGINT NOT NULL
);
INSERT INTO outbox_turn (one, turn) VALUES (1, 0);
