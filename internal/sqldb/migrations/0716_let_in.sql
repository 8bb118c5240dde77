-- +goose Up
-- Whether the directory let somebody in when it was last settled: whom an Admin has switched
-- off by hand only a change of that switches on again. Of those who are off now nobody knows
-- why where not everybody gets a role: the next word on them counts, as it did before.
ALTER TABLE scim_user ADD COLUMN let_in BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE scim_user SET let_in = TRUE WHERE active AND (
  EXISTS (SELECT 1 FROM account_member m WHERE m.tenant = scim_user.tenant AND m.user_id = scim_user.id AND m.status = 'active')
  OR NOT EXISTS (SELECT 1 FROM scim_setting s WHERE s.tenant = scim_user.tenant AND s.default_role = ''));
