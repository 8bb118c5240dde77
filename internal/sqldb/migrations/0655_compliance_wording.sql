-- +goose Up
-- What a check found, in every language: JSON of the English form and what stands in its
-- places; '' where only the English reason was kept.
ALTER TABLE compliance_result ADD COLUMN said TEXT NOT NULL DEFAULT '';
-- Why a status is as it is since a change: JSON of its parts; '' as before.
ALTER TABLE compliance_change ADD COLUMN why TEXT NOT NULL DEFAULT '';
