-- +goose Up
-- A demo tenant has no people of its own: whoever has a place in the tenant that it is of may
-- look at it as what they are there. A session stands on that place, and remembers beside it
-- that it looks at the demo.
ALTER TABLE account_session ADD COLUMN demo BIGINT NOT NULL DEFAULT 0; -- 0: at the tenant itself
UPDATE account_session SET demo = tenant, tenant = (SELECT d.of_tenant FROM tenant_demo d WHERE d.number = account_session.tenant)
WHERE tenant IN (SELECT number FROM tenant_demo);
DELETE FROM account_user WHERE id IN (SELECT user_id FROM account_member WHERE tenant IN (SELECT number FROM tenant_demo))
  AND NOT EXISTS (SELECT 1 FROM account_member m WHERE m.user_id = account_user.id AND m.tenant NOT IN (SELECT number FROM tenant_demo));
DELETE FROM account_link WHERE tenant IN (SELECT number FROM tenant_demo);
DELETE FROM account_member WHERE tenant IN (SELECT number FROM tenant_demo);
