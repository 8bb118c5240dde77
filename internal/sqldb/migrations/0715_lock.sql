-- +goose Up
-- How long an account waits after wrong sign-ins is looked up by the domain of its address,
-- what stands after the last @. The query writes it in the same way.
CREATE INDEX account_user_domain ON account_user (substr(email, length(rtrim(email, replace(email, '@', ''))) + 1));
