-- What a key may do. Keys that were made before, and those that an older process makes beside this schema, may do
-- everything, as they always could.

ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'admin,approve_unknown';

-- Lists page by (tenant, environment), newest first.
CREATE INDEX api_keys_tenant_id_livemode_id_idx ON api_keys (tenant_id, livemode, id);

-- A key's maker names its tenant, so no two have one name.
CREATE UNIQUE INDEX tenants_name_idx ON tenants (name);
