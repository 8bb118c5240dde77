-- +goose Up
CREATE TABLE collector (
  id             TEXT PRIMARY KEY,
  tenant         BIGINT NOT NULL,
  name           TEXT NOT NULL, -- what tells a tenant's collectors apart: 'server' is the server's own inputs
  hostname       TEXT NOT NULL,
  version        TEXT NOT NULL,
  os_family      TEXT NOT NULL,
  created_at     BIGINT NOT NULL,
  last_heartbeat BIGINT NOT NULL,
  UNIQUE (tenant, name)
);

-- What came through a collector since the beginning. It outlives the ledger's
-- hours, so that eventsIngested never goes back.
CREATE TABLE collector_total (
  tenant    BIGINT NOT NULL,
  collector TEXT NOT NULL, -- collector.name
  received  BIGINT NOT NULL,
  PRIMARY KEY (tenant, collector)
);

CREATE TABLE source_ledger (
  tenant      BIGINT NOT NULL,
  hour        BIGINT NOT NULL, -- of arrival, hours since 1970
  source      TEXT NOT NULL,
  received    BIGINT NOT NULL,
  stored      BIGINT NOT NULL,
  quarantined BIGINT NOT NULL,
  dropped     BIGINT NOT NULL,
  PRIMARY KEY (tenant, hour, source)
);
