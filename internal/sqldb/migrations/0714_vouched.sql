-- +goose Up
-- A place that an identity provider or a directory gave to an account which others had made:
-- its password and passkeys are whoever knows them, so they open nothing there.
ALTER TABLE account_member ADD COLUMN vouched BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE account_member SET vouched = TRUE WHERE (added_by = 'scim' OR added_by LIKE 'sso:%') AND EXISTS (
  SELECT 1 FROM account_user u WHERE u.id = account_member.user_id AND (u.created_by <> account_member.added_by OR u.created_at < account_member.added_at - 60000000));
