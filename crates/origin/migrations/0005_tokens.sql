-- Tokens that were taken back before their end (RFC 7009), until that.
CREATE TABLE revoked_tokens (
    jti        uuid PRIMARY KEY,
    tenant     uuid NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);

ALTER TABLE revoked_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE revoked_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON revoked_tokens TO keyward_app USING (tenant = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON revoked_tokens TO keyward_system USING (true);
GRANT SELECT, INSERT ON revoked_tokens TO keyward_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON revoked_tokens TO keyward_system;
