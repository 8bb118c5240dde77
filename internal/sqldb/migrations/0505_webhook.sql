-- +goose Up
CREATE TABLE webhook (
  id              TEXT    PRIMARY KEY, -- UUIDv7
  tenant          BIGINT  NOT NULL,
  name            TEXT    NOT NULL,
  url             TEXT    NOT NULL,
  format          TEXT    NOT NULL,
  events          TEXT    NOT NULL, -- JSON
  filters         TEXT    NOT NULL, -- JSON
  enabled         BOOLEAN NOT NULL,
  disabled_reason TEXT    NOT NULL DEFAULT '', -- why KYRA disabled it
  secret          BYTEA   NOT NULL, -- sealed
  old_secret      BYTEA,            -- sealed: signs too until old_until
  old_until       BIGINT,
  failures        BIGINT  NOT NULL DEFAULT 0, -- attempts since the last success
  failing_since   BIGINT,
  not_before      BIGINT  NOT NULL DEFAULT 0, -- the receiver is left alone until then
  last_success    BIGINT,
  last_failure    BIGINT,
  last_error      TEXT    NOT NULL DEFAULT '',
  holder          TEXT    NOT NULL DEFAULT '', -- the server that delivers
  lease_until     BIGINT  NOT NULL DEFAULT 0,
  version         BIGINT  NOT NULL DEFAULT 1, -- counts people's changes
  created_at      BIGINT  NOT NULL,
  created_by      TEXT    NOT NULL,
  updated_at      BIGINT  NOT NULL
);
CREATE UNIQUE INDEX webhook_name ON webhook (tenant, lower(name));

CREATE TABLE webhook_delivery (
  id           TEXT   PRIMARY KEY, -- UUIDv7: the header webhook-id of every attempt
  tenant       BIGINT NOT NULL,
  webhook_id   TEXT   NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
  message_id   TEXT   NOT NULL, -- of the outbox: deliveries of one object go in its order; '' for a test
  event        TEXT   NOT NULL,
  object       TEXT   NOT NULL,
  state        TEXT   NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'FAILED')),
  body         TEXT   NOT NULL, -- the same on every attempt
  attempts     BIGINT NOT NULL DEFAULT 0,
  next_at      BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  attempted_at BIGINT,
  status       BIGINT NOT NULL DEFAULT 0, -- of the last answer, 0 for none
  answer       TEXT   NOT NULL DEFAULT '',
  error        TEXT   NOT NULL DEFAULT '',
  latency      BIGINT NOT NULL DEFAULT 0  -- microseconds
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_at, message_id) WHERE state = 'PENDING';
CREATE INDEX webhook_delivery_order ON webhook_delivery (webhook_id, object, message_id) WHERE state = 'PENDING';
CREATE INDEX webhook_delivery_expiry ON webhook_delivery (expires_at) WHERE state = 'PENDING';
CREATE INDEX webhook_delivery_log ON webhook_delivery (webhook_id, id);
CREATE INDEX webhook_delivery_age ON webhook_delivery (created_at);
CREATE UNIQUE INDEX webhook_delivery_message ON webhook_delivery (webhook_id, message_id) WHERE message_id <> '';
