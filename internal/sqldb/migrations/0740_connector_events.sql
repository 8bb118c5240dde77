-- +goose Up
-- Events go to a connector in the order in which they were stored. Those that have exported
-- events by their own time go on with what arrives after done_until.
ALTER TABLE connector ADD COLUMN events_seq BIGINT NOT NULL DEFAULT -1; -- sequence of the tenant's partition up to which they went; -1: behind what arrived before done_until
ALTER TABLE connector ADD COLUMN events_to BIGINT NOT NULL DEFAULT -1; -- up to where the export that is under way goes, so that a repetition goes as far
ALTER TABLE connector ADD COLUMN events_sent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN events_dropped BIGINT NOT NULL DEFAULT 0; -- that could not be sent for days
ALTER TABLE connector ADD COLUMN failing_since BIGINT; -- of sending events
