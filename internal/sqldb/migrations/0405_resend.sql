-- +goose Up
-- What a second sending is known by, as of each partition's checkpoint; package
-- pipeline says how. Rows of partitions and tenants are written and removed with it.
CREATE TABLE resend_origin (
  partition_no BIGINT NOT NULL,
  tenant       BIGINT NOT NULL,
  origin       TEXT NOT NULL,
  number       BIGINT NOT NULL, -- the highest
  seen_at      BIGINT NOT NULL, -- arrival of that chunk
  PRIMARY KEY (partition_no, tenant, origin)
);

-- Ids in the order in which they came, 16 bytes each: a generation is one row when it
-- is closed, and several parts before.
CREATE TABLE resend_id (
  partition_no BIGINT NOT NULL,
  tenant       BIGINT NOT NULL,
  generation   BIGINT NOT NULL,
  part         BIGINT NOT NULL, -- place of its first id in the generation
  oldest       BIGINT NOT NULL, -- arrivals, nanoseconds since 1970
  newest       BIGINT NOT NULL,
  ids          BYTEA NOT NULL,
  PRIMARY KEY (partition_no, tenant, generation, part)
);
