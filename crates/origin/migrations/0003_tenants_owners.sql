-- What a tenant may use up of what all share. Generous: they stop accidents and attacks, they sell nothing.
ALTER TABLE tenants
    ADD COLUMN updated_at timestamptz,
    ADD COLUMN max_live_keys bigint NOT NULL DEFAULT 10000000 CHECK (max_live_keys >= 0),
    ADD COLUMN max_creates_per_hour bigint NOT NULL DEFAULT 100000000 CHECK (max_creates_per_hour >= 0),
    ADD COLUMN max_policies bigint NOT NULL DEFAULT 100000 CHECK (max_policies >= 0),
    ADD COLUMN max_changes_per_hour bigint NOT NULL DEFAULT 10000000 CHECK (max_changes_per_hour >= 0);

-- Counted where the end of the tenant's audit trail is: whoever changes something holds this row anyway, so that
-- counting is exact and costs no lock of its own. Null: to be counted when next needed.
ALTER TABLE audit_heads
    ADD COLUMN live_keys bigint,
    ADD COLUMN policies bigint,
    -- The hour (since 1970, UTC) that the next two are of.
    ADD COLUMN hour bigint NOT NULL DEFAULT 0,
    ADD COLUMN creates bigint NOT NULL DEFAULT 0,
    ADD COLUMN changes bigint NOT NULL DEFAULT 0;

-- Counting anew leaves the trail where it is.
CREATE OR REPLACE FUNCTION audit_head_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant <> OLD.tenant OR NEW.seq < OLD.seq OR NEW.at_ms < OLD.at_ms OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash) THEN
        RAISE EXCEPTION 'an audit trail only goes on' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

-- Whose keys they are: people, and services that act by themselves. Made when a key first names one.
CREATE TABLE owners (
    tenant     uuid NOT NULL,
    id         text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('person', 'service')),
    name       text NOT NULL,
    email      text,
    disabled   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);
-- The database's owner may be bound by row-level security too.
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
INSERT INTO owners (tenant, id, kind, name, created_at, updated_at)
SELECT tenant, owner, 'person', owner, min(created_at), min(created_at) FROM api_keys GROUP BY tenant, owner;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;

-- What a tenant adds to the catalogue of capabilities.
CREATE TABLE capabilities (
    tenant     uuid NOT NULL,
    value      text NOT NULL,
    label      text NOT NULL,
    category   text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, value)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['owners', 'capabilities'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO keyward_app USING (tenant = nullif(current_setting(''keyward.tenant'', true), '''')::uuid)', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO keyward_system USING (true)', name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON owners TO keyward_app, keyward_system;
GRANT SELECT, INSERT ON capabilities TO keyward_app;
GRANT SELECT ON capabilities TO keyward_system;
-- A transaction in a tenant's name can make that tenant, and no other.
GRANT INSERT ON tenants TO keyward_app;
GRANT UPDATE (name, key_prefix, updated_at, max_live_keys, max_creates_per_hour, max_policies, max_changes_per_hour) ON tenants TO keyward_app;
