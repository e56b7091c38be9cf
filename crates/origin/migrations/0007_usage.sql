-- What keys are used for: sums, never single requests. All of it is added to by the usage writer (src/usage/ingest.rs),
-- one transaction at a time over all servers, and never read by a decision.

-- Batches that were added. A batch is added once, however often it is sent; its id is a UUIDv7, so that one which is too
-- old to stand here still is known by its id, and refused.
CREATE TABLE usage_batches (
    id           uuid PRIMARY KEY,
    -- The key with which it was sent.
    edge         uuid NOT NULL,
    received_at  timestamptz NOT NULL,
    -- As it was answered: requests that no key of ours could be named for, and requests whose time was moved.
    unattributed bigint NOT NULL,
    clamped      bigint NOT NULL
);

-- By hour. The key of all zeros has the sums of its whole tenant: so no question about a tenant reads its keys one by one.
CREATE TABLE usage_hours (
    tenant    uuid NOT NULL,
    api_key   uuid NOT NULL,
    hour      timestamptz NOT NULL,
    -- `[METHOD ]/pattern`, `(none)`, or `(other)` beyond the bound on different ones in a day.
    endpoint  text NOT NULL,
    -- `passed`, or the code of the reason why not.
    outcome   text NOT NULL,
    -- The first digit of the answer's status; 0: it isn't known.
    status    smallint NOT NULL CHECK (status BETWEEN 0 AND 5),
    requests  bigint NOT NULL,
    bytes_in  bigint NOT NULL,
    bytes_out bigint NOT NULL,
    cost      bigint NOT NULL,
    -- Requests by how long the upstream took: up to 1, 5, 25, 100, 250, 1000, 5000 ms, and longer.
    latency_1 bigint NOT NULL,
    latency_2 bigint NOT NULL,
    latency_3 bigint NOT NULL,
    latency_4 bigint NOT NULL,
    latency_5 bigint NOT NULL,
    latency_6 bigint NOT NULL,
    latency_7 bigint NOT NULL,
    latency_8 bigint NOT NULL,
    PRIMARY KEY (tenant, api_key, hour, endpoint, outcome, status)
) PARTITION BY RANGE (hour);

-- The same by day (UTC), for questions about many of them.
CREATE TABLE usage_days (
    tenant    uuid NOT NULL,
    api_key   uuid NOT NULL,
    day       date NOT NULL,
    endpoint  text NOT NULL,
    outcome   text NOT NULL,
    status    smallint NOT NULL CHECK (status BETWEEN 0 AND 5),
    requests  bigint NOT NULL,
    bytes_in  bigint NOT NULL,
    bytes_out bigint NOT NULL,
    cost      bigint NOT NULL,
    latency_1 bigint NOT NULL,
    latency_2 bigint NOT NULL,
    latency_3 bigint NOT NULL,
    latency_4 bigint NOT NULL,
    latency_5 bigint NOT NULL,
    latency_6 bigint NOT NULL,
    latency_7 bigint NOT NULL,
    latency_8 bigint NOT NULL,
    PRIMARY KEY (tenant, api_key, day, endpoint, outcome, status)
) PARTITION BY RANGE (day);

-- From where, by day: an address, the /64 of an IPv6 address, or `(other)` beyond the bound on different ones.
CREATE TABLE usage_addresses (
    tenant   uuid NOT NULL,
    api_key  uuid NOT NULL,
    day      date NOT NULL,
    address  text NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (tenant, api_key, day, address)
) PARTITION BY RANGE (day);

-- Since a key was made. Apart from the key itself: nothing that counts can change a key, nor its entity tag.
CREATE TABLE key_usage (
    tenant          uuid NOT NULL,
    api_key         uuid NOT NULL,
    requests        bigint NOT NULL,
    bytes           bigint NOT NULL,
    errors          bigint NOT NULL,
    rate_limit_hits bigint NOT NULL,
    last_used       timestamptz NOT NULL,
    -- The day of that: an index over the moment itself would have to be written with every update.
    last_day        date NOT NULL,
    PRIMARY KEY (tenant, api_key)
) WITH (fillfactor = 50);
CREATE INDEX key_usage_by_day ON key_usage (tenant, last_day);

-- What named no key, or none of ours: nobody's.
CREATE TABLE usage_unattributed (
    hour     timestamptz NOT NULL,
    outcome  text NOT NULL,
    status   smallint NOT NULL CHECK (status BETWEEN 0 AND 5),
    requests bigint NOT NULL,
    PRIMARY KEY (hour, outcome, status)
);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['usage_hours', 'usage_days', 'usage_addresses', 'key_usage'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO keyward_app USING (tenant = nullif(current_setting(''keyward.tenant'', true), '''')::uuid)', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO keyward_system USING (true)', name);
    END LOOP;
END
$$;
GRANT SELECT ON usage_hours, usage_days, usage_addresses, key_usage TO keyward_app;
GRANT SELECT, INSERT, UPDATE ON usage_hours, usage_days, usage_addresses, key_usage TO keyward_system;
GRANT SELECT, INSERT, DELETE ON usage_batches TO keyward_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_unattributed TO keyward_system;

-- Makes the partitions of all months from the one to the other, and drops those before `keep`. With the rights of the
-- owner, since none of the application's roles may make or drop tables. Partitions are read through their parents alone:
-- nobody is granted anything on them.
CREATE FUNCTION usage_partitions(first_month date, last_month date, keep date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET lock_timeout = '2s' AS $$
DECLARE
    parent text;
    part   text;
    month  date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('keyward usage partitions'));
    FOREACH parent IN ARRAY ARRAY['usage_hours', 'usage_days', 'usage_addresses'] LOOP
        month := date_trunc('month', first_month)::date;
        WHILE month <= last_month LOOP
            part := parent || to_char(month, '"_"YYYY"_"MM');
            IF to_regclass('public.' || part) IS NULL THEN
                -- Attached and not made as a partition: that would lock out all readers of the parent.
                EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL) WITH (fillfactor = 70)', part, parent);
                EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
                EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
                EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, part,
                    to_char(month, 'YYYY-MM-DD" 00:00:00+00"'), to_char(month + interval '1 month', 'YYYY-MM-DD" 00:00:00+00"'));
            END IF;
            month := (month + interval '1 month')::date;
        END LOOP;
        FOR part IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = ('public.' || parent)::regclass AND c.relname < parent || to_char(keep, '"_"YYYY"_"MM')
        LOOP
            EXECUTE format('DROP TABLE public.%I', part);
        END LOOP;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION usage_partitions FROM public;
GRANT EXECUTE ON FUNCTION usage_partitions TO keyward_system;

DROP VIEW key_details;
-- A key with the policy that is in force for it, its credentials that aren't INVALID, and its use. As the invoker, so that
-- row-level security holds.
CREATE VIEW key_details WITH (security_invoker = true) AS
SELECT k.*, p.number AS policy_in_force, p.terms, live.credentials,
       used.requests AS used_requests, used.bytes AS used_bytes, used.errors AS used_errors,
       used.rate_limit_hits AS used_rate_limit_hits, used.last_used
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
) AS live
LEFT JOIN LATERAL (
    SELECT requests, bytes, errors, rate_limit_hits, last_used FROM key_usage
    WHERE tenant = k.tenant AND key_usage.api_key = k.id LIMIT 1
) AS used ON true;
GRANT SELECT ON key_details TO keyward_app;
GRANT SELECT ON key_details TO keyward_system;
