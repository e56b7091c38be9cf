-- Sessions of people who have signed in with a key. What is presented is in their browsers' cookies alone; the key itself is
-- nowhere.
CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    -- SHA-256 of the secret in the cookie.
    secret     bytea NOT NULL CONSTRAINT sessions_secret_unique UNIQUE CHECK (length(secret) = 32),
    tenant     uuid NOT NULL,
    api_key    uuid NOT NULL,
    -- The credential: its status index, what it says (docs/formats.md, API key) and SHA-256 of its whole text.
    index      bigint NOT NULL CHECK (index BETWEEN 0 AND 4294967295),
    claims     bytea NOT NULL CHECK (length(claims) = 32),
    digest     bytea NOT NULL CHECK (length(digest) = 32),
    created_at timestamptz NOT NULL,
    -- To the minute.
    used_at    timestamptz NOT NULL,
    -- Whatever else happens, it counts no longer from then on.
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_key ON sessions (api_key, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON sessions TO keyward_app USING (tenant = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON sessions TO keyward_system USING (true);
GRANT SELECT, INSERT, DELETE ON sessions TO keyward_app;
GRANT SELECT, DELETE, UPDATE (used_at) ON sessions TO keyward_system;
