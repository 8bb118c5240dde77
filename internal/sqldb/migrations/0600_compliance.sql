-- +goose Up
-- The latest result of every variant of a check. What was found in detail is evidence.
CREATE TABLE compliance_result (
  tenant       BIGINT NOT NULL,
  variant      TEXT   NOT NULL,
  check_id     TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  outcome      TEXT   NOT NULL,
  value        DOUBLE PRECISION,
  unit         TEXT   NOT NULL,
  threshold    TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  population   TEXT   NOT NULL,
  size         BIGINT NOT NULL,
  sample       BIGINT NOT NULL,
  from_at      BIGINT NOT NULL,
  to_at        BIGINT NOT NULL,
  effective_at BIGINT NOT NULL,
  collected_at BIGINT NOT NULL,
  valid_until  BIGINT, -- NULL: twice the cadence of the check
  method       TEXT   NOT NULL,
  resources    TEXT   NOT NULL, -- JSON
  evidence     TEXT   NOT NULL, -- id, '' while none keeps it
  PRIMARY KEY (tenant, variant)
);

-- What each variant found by day, UTC: the last, and the worst.
CREATE TABLE compliance_outcome (
  tenant  BIGINT NOT NULL,
  variant TEXT   NOT NULL,
  day     BIGINT NOT NULL, -- since 1970
  last    TEXT   NOT NULL,
  worst   BIGINT NOT NULL, -- 0 pass, 1 partial, 2 fail, 3 noData
  value   DOUBLE PRECISION,
  runs    BIGINT NOT NULL,
  PRIMARY KEY (tenant, variant, day)
);

-- How every control stood when it was last judged. One that is missing is not assessed.
CREATE TABLE compliance_status (
  tenant    BIGINT NOT NULL,
  framework TEXT   NOT NULL,
  edition   TEXT   NOT NULL,
  control   TEXT   NOT NULL,
  status    TEXT   NOT NULL,
  since     BIGINT NOT NULL,
  PRIMARY KEY (tenant, framework, edition, control)
);

-- Why a status changed. Never changed or removed.
CREATE TABLE compliance_change (
  id        TEXT   PRIMARY KEY, -- UUIDv7
  tenant    BIGINT NOT NULL,
  framework TEXT   NOT NULL,
  edition   TEXT   NOT NULL,
  control   TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  from_status TEXT NOT NULL,
  to_status   TEXT NOT NULL,
  code      TEXT   NOT NULL,
  reason    TEXT   NOT NULL, -- how it stands now
  cause     TEXT   NOT NULL  -- what brought it about
);
CREATE INDEX compliance_change_control ON compliance_change (tenant, framework, control, id);
CREATE INDEX compliance_change_tenant ON compliance_change (tenant, framework, id);

-- How a framework stood at the end of a day, UTC, with the settings that it was judged by.
-- Scores are hundredths of a percent point.
CREATE TABLE compliance_day (
  tenant            BIGINT  NOT NULL,
  framework         TEXT    NOT NULL,
  edition           TEXT    NOT NULL,
  profile           TEXT    NOT NULL,
  day               BIGINT  NOT NULL,
  strict            BOOLEAN NOT NULL,
  weight            BIGINT  NOT NULL, -- of partial, in hundredths
  categories        TEXT    NOT NULL, -- JSON
  total             BIGINT  NOT NULL,
  compliant         BIGINT  NOT NULL,
  partial           BIGINT  NOT NULL,
  non_compliant     BIGINT  NOT NULL,
  not_assessed      BIGINT  NOT NULL,
  not_applicable    BIGINT  NOT NULL,
  score             BIGINT  NOT NULL,
  assessed_score    BIGINT  NOT NULL,
  evidence_coverage BIGINT  NOT NULL,
  official          BIGINT, -- score of CMMC
  at                BIGINT  NOT NULL,
  PRIMARY KEY (tenant, framework, edition, profile, day)
);

-- What people say of controls.
CREATE TABLE compliance_attestation (
  id          TEXT   PRIMARY KEY, -- UUIDv7
  tenant      BIGINT NOT NULL,
  framework   TEXT   NOT NULL,
  edition     TEXT   NOT NULL,
  control     TEXT   NOT NULL,
  status      TEXT   NOT NULL,
  statement   TEXT   NOT NULL,
  evidence    TEXT   NOT NULL, -- JSON: ids
  maturity    BIGINT,
  state       TEXT   NOT NULL,
  made_by     TEXT   NOT NULL,
  at          BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  reviewer    TEXT   NOT NULL DEFAULT '',
  reviewed_at BIGINT,
  note        TEXT   NOT NULL DEFAULT '',
  version     BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX compliance_attestation_control ON compliance_attestation (tenant, framework, control, id);
CREATE INDEX compliance_attestation_state ON compliance_attestation (tenant, state, id);

-- What is accepted for a time although checks do not pass.
CREATE TABLE compliance_exception (
  id           TEXT   PRIMARY KEY, -- UUIDv7
  tenant       BIGINT NOT NULL,
  framework    TEXT   NOT NULL,
  edition      TEXT   NOT NULL,
  control      TEXT   NOT NULL,
  checks       TEXT   NOT NULL, -- JSON: ids; [] for all of the control's
  owner        TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  compensation TEXT   NOT NULL,
  made_by      TEXT   NOT NULL,
  at           BIGINT NOT NULL,
  ends_at      BIGINT NOT NULL,
  ended_at     BIGINT,
  ended_by     TEXT   NOT NULL DEFAULT '',
  end_note     TEXT   NOT NULL DEFAULT '',
  version      BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX compliance_exception_control ON compliance_exception (tenant, framework, control, id);

-- What people note of a control.
CREATE TABLE compliance_control (
  tenant        BIGINT NOT NULL,
  framework     TEXT   NOT NULL,
  edition       TEXT   NOT NULL,
  control       TEXT   NOT NULL,
  owner         TEXT   NOT NULL,
  due_at        BIGINT,
  justification TEXT   NOT NULL, -- why it was chosen: for a statement of applicability
  notes         TEXT   NOT NULL,
  version       BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  updated_by    TEXT   NOT NULL,
  PRIMARY KEY (tenant, framework, edition, control)
);

CREATE TABLE compliance_settings (
  tenant     BIGINT PRIMARY KEY,
  settings   TEXT   NOT NULL,
  version    BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT   NOT NULL
);

-- Counts what changes how a tenant stands. Its row makes those who judge wait for each other.
CREATE TABLE compliance_state (
  tenant       BIGINT PRIMARY KEY,
  version      BIGINT NOT NULL,
  evaluated_at BIGINT NOT NULL -- of the newest result; 0 for none
);
