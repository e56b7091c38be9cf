-- What has happened to a key and what is about to: for its owner, for lists, and for the sweeper.
ALTER TABLE api_keys
    -- Counts changes: what If-Match is held against.
    ADD COLUMN version              bigint NOT NULL DEFAULT 1,
    ADD COLUMN revoked_at           timestamptz,
    ADD COLUMN revocation_reason    text CHECK (length(revocation_reason) <= 256),
    ADD COLUMN rotation_period_days integer CHECK (rotation_period_days BETWEEN 1 AND 3650),
    -- The sweeper has seen its expiry pass. An aid for indexes alone: whoever asks about expiry asks the time.
    ADD COLUMN lapsed               boolean NOT NULL DEFAULT false,
    -- The sweeper has put it into the index of texts. (That index is too costly for the moment of creation.)
    ADD COLUMN texted               boolean NOT NULL DEFAULT false,
    -- When the sweeper has to look at it next; null: never. A new key is looked at soon.
    ADD COLUMN wake_at              timestamptz DEFAULT 'epoch',
    -- The expiry in an order that never ends: null has no place in a range. (All ones mean none, as in the key itself.)
    ADD COLUMN ends                 timestamptz NOT NULL
        GENERATED ALWAYS AS (coalesce(expires_at, timestamptz '2106-02-07T06:28:15Z')) STORED,
    ADD COLUMN phase                text NOT NULL
        GENERATED ALWAYS AS (CASE WHEN state = 'revoked' THEN 'revoked' WHEN lapsed THEN 'expired' ELSE state END) STORED;

CREATE INDEX api_keys_by_phase ON api_keys (tenant, phase, id);
CREATE INDEX api_keys_by_name ON api_keys (tenant, name COLLATE "C", id);
CREATE INDEX api_keys_by_end ON api_keys (tenant, ends, id);
CREATE INDEX api_keys_by_wake ON api_keys (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX api_keys_untexted ON api_keys (tenant) WHERE NOT texted;

-- What is searched in: lower case, a line for each part. Where the database has ICU, letters of all scripts have a
-- lower case, whatever the locale that it was made with.
DO $$
DECLARE parts text := 'name || E''\n'' || owner || E''\n'' || hint || E''\n'' || coalesce(description, '''')';
BEGIN
    IF EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') THEN
        parts := format('(%s) COLLATE "und-x-icu"', parts);
    END IF;
    EXECUTE format('ALTER TABLE api_keys ADD COLUMN search text NOT NULL GENERATED ALWAYS AS (lower(%s)) STORED', parts);
END
$$;

-- Row-level security comes before every operator that might leak what it is given, and those of text search might: as
-- keyward_app they can't use an index. So one function searches, with the rights of keyward_system and with the one
-- tenant of the transaction built in; the ids that come out of it are read under row-level security as all others are.
-- pg_trgm and btree_gin are trusted since Postgres 13: a database's owner may create them. Where they don't exist the
-- answer is null, which says nothing, and lists walk instead.
DO $$
BEGIN
    IF (SELECT count(*) FROM pg_available_extensions WHERE name IN ('pg_trgm', 'btree_gin')) = 2 THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE EXTENSION IF NOT EXISTS btree_gin;
        EXECUTE 'CREATE INDEX api_keys_by_text ON api_keys USING gin (tenant, search gin_trgm_ops) WITH (gin_pending_list_limit = 1024) WHERE texted';
        EXECUTE $function$
            CREATE FUNCTION keys_with_text(pattern text, most integer) RETURNS uuid[]
            LANGUAGE plpgsql STABLE SECURITY DEFINER
            -- By the index of texts, which is read by bitmaps alone.
            SET search_path = pg_catalog, public SET enable_bitmapscan = on SET enable_seqscan = off SET enable_indexscan = off
            AS $body$
            DECLARE
                ours   uuid := nullif(current_setting('keyward.tenant', true), '')::uuid;
                common bigint;
                found  uuid[];
            BEGIN
                -- What many texts have takes the index long to say: it gathers all of them first. One in 500 of the table's
                -- pages shows that, to within some thousand keys: then the answer is null, here too.
                SELECT count(*) FILTER (WHERE tenant = ours AND search LIKE pattern) INTO common
                FROM (SELECT tenant, search FROM public.api_keys TABLESAMPLE SYSTEM (0.2) LIMIT 2000) AS sample;
                IF common > 40 THEN
                    RETURN NULL;
                END IF;
                -- Planned for this pattern and not for any.
                EXECUTE 'SELECT array_agg(id) FROM (
                             SELECT id FROM public.api_keys WHERE texted AND tenant = $1 AND search LIKE $2 LIMIT $3
                         ) AS found'
                INTO found
                USING ours, pattern, most;
                RETURN coalesce(found, '{}');
            END
            $body$
        $function$;
    ELSE
        EXECUTE $function$
            CREATE FUNCTION keys_with_text(pattern text, most integer) RETURNS uuid[] LANGUAGE sql STABLE AS 'SELECT NULL::uuid[]'
        $function$;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION keys_with_text FROM public;
-- To own something in a schema one needs this right in it, at that moment.
GRANT CREATE ON SCHEMA public TO keyward_system;
ALTER FUNCTION keys_with_text OWNER TO keyward_system;
REVOKE CREATE ON SCHEMA public FROM keyward_system;
GRANT EXECUTE ON FUNCTION keys_with_text TO keyward_app;

ALTER TABLE credentials
    -- How it begins and ends; null in those that are older than this column and not current any more.
    ADD COLUMN hint         text,
    -- While it overlaps with its successor: when that ends, and to which expiry (null: none) a cancelled rotation
    -- returns it.
    ADD COLUMN overlap_ends timestamptz,
    ADD COLUMN own_expires  timestamptz,
    -- When the rotation that made it was cancelled.
    ADD COLUMN cancelled_at timestamptz;
UPDATE credentials SET hint = k.hint FROM api_keys k WHERE k.current_index = credentials.index;

DROP VIEW key_details;
-- A key with the policy that is in force for it, and its credentials that aren't INVALID. As the invoker, so that
-- row-level security holds.
CREATE VIEW key_details WITH (security_invoker = true) AS
SELECT k.*, p.number AS policy_in_force, p.terms, live.credentials
FROM api_keys k
JOIN policies own ON own.number = k.policy
-- By number, one by one: over a table that looks small, a join would rather read all of it for each key. (CASE and not
-- coalesce: under row-level security only what is known not to leak may use an index, and coalesce isn't.)
CROSS JOIN LATERAL (
    SELECT number, terms FROM policies
    WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
    LIMIT 1
) AS p
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
        'index', index, 'hint', hint, 'created', created_at,
        'expires', CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END
    ) ORDER BY created_at DESC) AS credentials
    FROM credentials WHERE api_key = k.id AND status <> 1
) AS live;
GRANT SELECT ON key_details TO keyward_app;
GRANT SELECT ON key_details TO keyward_system;

-- What time alone does to keys. Written by the sweeper, which is one at a time, so that ids are in the order of commits.
CREATE TABLE events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     uuid NOT NULL,
    api_key    uuid NOT NULL,
    owner      text NOT NULL,
    name       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('key.expiring', 'key.expired', 'key.rotation_due')),
    -- The moment that it is about: once for each.
    due_at     timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT events_once UNIQUE (api_key, kind, due_at)
);
CREATE INDEX events_by_tenant ON events (tenant, id);
CREATE INDEX events_by_owner ON events (tenant, owner, id);
CREATE INDEX events_by_age ON events (created_at);
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON events TO keyward_app USING (tenant = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON events TO keyward_system USING (true);
GRANT SELECT ON events TO keyward_app;
GRANT SELECT, INSERT, DELETE ON events TO keyward_system;
