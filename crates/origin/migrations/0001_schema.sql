-- Three roles. The owner (whoever runs this) migrates. `keyward_app` serves tenants and sees one at a time: row-level
-- security is forced on every table with a tenant, and without a tenant set it sees nothing. `keyward_system` runs the
-- feed, recognises callers and recovers: it sees all tenants.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['keyward_app', 'keyward_system'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', name);
        EXCEPTION
            -- Roles belong to the whole cluster, so that another database may have made them, also just now.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        BEGIN
            EXECUTE format('GRANT %I TO current_user', name);
        EXCEPTION
            WHEN unique_violation THEN NULL;
        END;
    END LOOP;
END
$$;

-- What makes this database this deployment: a restore keeps it, a new database doesn't have it.
CREATE TABLE deployment (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id              uuid NOT NULL,
    -- The data key that seals all else, sealed under the master key.
    sealed_data_key bytea NOT NULL,
    created_at      timestamptz NOT NULL
);

CREATE TABLE tenants (
    id         uuid PRIMARY KEY,
    slug       text NOT NULL CONSTRAINT tenants_slug_unique UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name       text NOT NULL,
    key_prefix text NOT NULL DEFAULT 'kwd' CHECK (key_prefix ~ '^[a-z][a-z0-9]{1,11}$'),
    created_at timestamptz NOT NULL
);

CREATE TABLE signing_keys (
    -- The RFC 7638 thumbprint.
    kid        text PRIMARY KEY CHECK (length(kid) = 43),
    role       text NOT NULL CHECK (role IN ('root', 'api-key', 'token', 'policy', 'feed', 'audit')),
    state      text NOT NULL CHECK (state IN ('pre-published', 'active', 'verify-only', 'retired', 'frozen')),
    x          bytea NOT NULL CHECK (length(x) = 32),
    -- The seed, sealed under the data key; null where the key is kept elsewhere (an offline root).
    sealed     bytea,
    expires_at timestamptz,
    created_at timestamptz NOT NULL
);

CREATE TABLE manifests (
    version    bigint PRIMARY KEY,
    epoch      bigint NOT NULL,
    jws        text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);

-- Numbers of 32 bits each: a policy's number, a status position. Positions are taken in blocks of 256, so that a
-- server can journal how far it has gone without a disk write for each key. A position becomes an index by a keyed
-- permutation within its shard.
CREATE SEQUENCE policy_numbers AS bigint MINVALUE 1 MAXVALUE 4294967295;
CREATE SEQUENCE position_blocks AS bigint MINVALUE 0 START 0 MAXVALUE 4294967040 INCREMENT 256;

-- Immutable, but for the mark that another has taken its place.
CREATE TABLE policies (
    number        bigint PRIMARY KEY,
    tenant        uuid NOT NULL REFERENCES tenants,
    -- SHA-256 of the canonical form (docs/formats.md, Policy).
    digest        bytea NOT NULL CHECK (length(digest) = 32),
    terms         jsonb NOT NULL,
    superseded_by bigint REFERENCES policies,
    created_at    timestamptz NOT NULL
);
-- Equal policies of a tenant are one; one that was superseded no longer means what it says.
CREATE UNIQUE INDEX policies_equal ON policies (tenant, digest) WHERE superseded_by IS NULL;
CREATE INDEX policies_superseded ON policies (superseded_by) WHERE superseded_by IS NOT NULL;

-- No foreign keys to tenants and policies here: neither is ever deleted, both are read by the very statement that
-- inserts, and the share locks of the checks would have all creates of a tenant queue for one row.
CREATE TABLE api_keys (
    id            uuid PRIMARY KEY,
    tenant        uuid NOT NULL,
    owner         text NOT NULL,
    name          text NOT NULL,
    description   text,
    scope         smallint NOT NULL CHECK (scope BETWEEN 0 AND 2),
    environment   text NOT NULL CHECK (environment IN ('live', 'test')),
    -- Whether it can be exchanged for tokens.
    exchange      boolean NOT NULL,
    state         text NOT NULL CHECK (state IN ('active', 'suspended', 'revoked')),
    -- The policy and expiry in force for its newest credential (before supersession).
    policy        bigint NOT NULL,
    expires_at    timestamptz,
    current_index bigint NOT NULL,
    -- The last characters of the newest raw key, so that people can tell keys apart.
    hint          text NOT NULL,
    created_by    uuid,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    last_rotated  timestamptz
);
-- UUIDv7 sorts by time: newest first is by id.
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);
CREATE INDEX api_keys_by_owner ON api_keys (tenant, owner, id);

-- What can be presented: one row for each raw key that was ever given out.
CREATE TABLE credentials (
    index           bigint PRIMARY KEY CHECK (index BETWEEN 0 AND 4294967295),
    position        bigint NOT NULL,
    tenant          uuid NOT NULL,
    api_key         uuid NOT NULL REFERENCES api_keys,
    -- As the key itself names it: the first three bytes of the thumbprint.
    signing_key     bytea NOT NULL CHECK (length(signing_key) = 3),
    -- As signed.
    prefix          text NOT NULL,
    policy          bigint NOT NULL,
    expires_at      timestamptz,
    -- 0 VALID, 1 INVALID, 2 SUSPENDED, 3 AMENDED (draft-ietf-oauth-status-list section 7).
    status          smallint NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 3),
    -- In place of what was signed; kept while SUSPENDED, so that resuming returns to it.
    amended_policy  bigint,
    amended_expires timestamptz,
    created_at      timestamptz NOT NULL,
    CHECK (status <> 3 OR amended_policy IS NOT NULL)
);
CREATE INDEX credentials_by_key ON credentials (api_key);
-- All but most keys: what the status lists are built from.
CREATE INDEX credentials_marked ON credentials (index) WHERE status <> 0;

-- A key with the policy that is in force for it. As the invoker, so that row-level security holds.
CREATE VIEW key_details WITH (security_invoker = true) AS
SELECT k.*, p.number AS policy_in_force, p.terms
FROM api_keys k
JOIN policies own ON own.number = k.policy
-- By number, one by one: over a table that looks small, a join would rather read all of it for each key. (CASE and not
-- coalesce: under row-level security only what is known not to leak may use an index, and coalesce isn't.)
CROSS JOIN LATERAL (
    SELECT number, terms FROM policies
    WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
    LIMIT 1
) AS p;

CREATE TABLE idempotency (
    tenant     uuid NOT NULL,
    -- The key that called, and the Idempotency-Key that it gave.
    caller     uuid NOT NULL,
    key        text NOT NULL,
    -- SHA-256 of what was asked.
    request    bytea NOT NULL,
    index      bigint NOT NULL,
    -- The 16 bytes that, with the credential's row and its signing key, give the raw key again; sealed.
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, caller, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE feed_state (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch        bigint NOT NULL,
    seq          bigint NOT NULL,
    -- The first policy number and the first status index of this epoch.
    first_policy bigint NOT NULL,
    first_index  bigint NOT NULL,
    -- Why nothing may change until `keyward recover` has been run; null: all is well.
    recovery     text
);

-- One row for each transaction that changed something, in commit order.
CREATE TABLE feed_log (
    epoch      bigint NOT NULL,
    seq        bigint NOT NULL,
    change     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (epoch, seq)
);

CREATE TABLE shards (
    shard bigint PRIMARY KEY
);

-- Positions up to the end of a reserved gap, or without a row after a restore: INVALID for ever.
CREATE TABLE invalid_ranges (
    first_position bigint PRIMARY KEY,
    last_position  bigint NOT NULL CHECK (last_position >= first_position)
);

CREATE TABLE snapshots (
    epoch      bigint NOT NULL,
    seq        bigint NOT NULL,
    jws        text NOT NULL,
    -- The feed key that signed it and its parts.
    kid        text NOT NULL,
    -- Digests of its parts: [[shard, digest]] and [[first index, digest]].
    parts      jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (epoch, seq)
);

CREATE TABLE snapshot_parts (
    digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
    body       text NOT NULL,
    created_at timestamptz NOT NULL
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['policies', 'api_keys', 'credentials', 'idempotency'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO keyward_app USING (tenant = nullif(current_setting(''keyward.tenant'', true), '''')::uuid)', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO keyward_system USING (true)', name);
    END LOOP;
END
$$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenants TO keyward_app USING (id = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON tenants TO keyward_system USING (true);

GRANT SELECT ON tenants, feed_state, shards, key_details TO keyward_app;
GRANT SELECT, INSERT, UPDATE ON policies, api_keys, credentials, idempotency TO keyward_app;
GRANT UPDATE ON feed_state TO keyward_app;
GRANT INSERT ON feed_log, shards TO keyward_app;
GRANT USAGE ON SEQUENCE policy_numbers TO keyward_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO keyward_system;
REVOKE ALL ON TABLE _sqlx_migrations FROM keyward_system;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE policy_numbers, position_blocks TO keyward_system;
