-- +goose Up
-- Alerts are found by their tags.
CREATE INDEX playbook_tag_tag ON playbook_tag (tenant, tag, object);
