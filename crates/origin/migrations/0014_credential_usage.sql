-- How much each credential is used while its key is being changed over to another one. Written for keys that were rotated of
-- late, and read to tell whether the old credential is quiet; nothing that decides reads it.
CREATE TABLE credential_usage (
    tenant    uuid NOT NULL,
    index     bigint NOT NULL,
    requests  bigint NOT NULL,
    last_used timestamptz NOT NULL,
    PRIMARY KEY (tenant, index)
) WITH (fillfactor = 70);
ALTER TABLE credential_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE credential_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON credential_usage TO keyward_app
    USING (tenant = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON credential_usage TO keyward_system USING (true);
GRANT SELECT ON credential_usage TO keyward_app;
GRANT SELECT, INSERT, UPDATE ON credential_usage TO keyward_system;
