-- Recent decisions of edges, sampled: for people who ask what goes on and why. Added by src/decisions/ingest.rs, kept for
-- hours, and never read by a decision.

-- Batches that were added. A batch is added once, however often it is sent; its id is a UUIDv7, so that one which is too old to
-- stand here still is known by its id, and refused.
CREATE TABLE decision_batches (
    id   uuid PRIMARY KEY,
    -- The key with which it was sent.
    edge uuid NOT NULL
);

-- What a tenant has of them: the number of the last one, how many more may be kept now (refilled by the hour), and how many
-- requests those stood for that weren't, which the next ones do. Locked by whoever adds, so that numbers are in the order of
-- commits: who has seen one has seen all before it.
CREATE TABLE decision_meters (
    tenant uuid PRIMARY KEY,
    seq    bigint NOT NULL,
    room   double precision NOT NULL,
    owed   bigint NOT NULL,
    at     timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE decisions (
    tenant      uuid NOT NULL,
    -- 1, 2, … within the tenant: what another has isn't to be guessed from gaps.
    seq         bigint NOT NULL,
    received    timestamptz NOT NULL,
    made_at     timestamptz NOT NULL,
    api_key     uuid NOT NULL,
    -- How many requests it stands for.
    weight      bigint NOT NULL,
    -- The policy in force; null where it didn't come to that.
    policy      bigint,
    -- The position of the state that it was made on.
    epoch       bigint NOT NULL,
    state_seq   bigint NOT NULL,
    method      text NOT NULL,
    path        text NOT NULL,
    path_cut    boolean NOT NULL,
    address     text,
    domain      text,
    tls         boolean NOT NULL,
    -- Whether a capability token was presented.
    token       boolean NOT NULL,
    -- `[METHOD ]/pattern`, and what it asks for; null: no route; any key.
    route       text,
    capability  text,
    -- `passed`, or the code of the reason why not.
    outcome     text NOT NULL,
    -- 0: it isn't known.
    status      smallint NOT NULL,
    cost        bigint NOT NULL,
    duration_ms bigint,
    PRIMARY KEY (tenant, seq, received)
) PARTITION BY RANGE (received);
CREATE INDEX decisions_by_key ON decisions (tenant, api_key, seq);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['decisions', 'decision_meters'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO keyward_app USING (tenant = nullif(current_setting(''keyward.tenant'', true), '''')::uuid)', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO keyward_system USING (true)', name);
    END LOOP;
END
$$;
GRANT SELECT ON decisions, decision_meters TO keyward_app;
GRANT SELECT, INSERT ON decisions TO keyward_system;
GRANT SELECT, INSERT, UPDATE ON decision_meters TO keyward_system;
GRANT SELECT, INSERT, DELETE ON decision_batches TO keyward_system;

-- Makes the partitions, of six hours each, from the one moment to the other, and drops those that end before `keep`. With the
-- rights of the owner, as usage_partitions.
CREATE FUNCTION decision_partitions(first_moment timestamptz, last_moment timestamptz, keep timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET lock_timeout = '2s' SET timezone = 'UTC' AS $$
DECLARE
    span  CONSTANT interval := '6 hours';
    begin_at timestamptz := date_bin(span, first_moment, '2000-01-01 00:00:00+00');
    part  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('keyward decision partitions'));
    WHILE begin_at <= last_moment LOOP
        part := 'decisions_' || to_char(begin_at, 'YYYY_MM_DD_HH24');
        IF to_regclass('public.' || part) IS NULL THEN
            -- Attached and not made as a partition: that would lock out all readers of the parent.
            EXECUTE format('CREATE TABLE public.%I (LIKE public.decisions INCLUDING ALL)', part);
            EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
            EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
            EXECUTE format('ALTER TABLE public.decisions ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', part,
                begin_at, begin_at + span);
        END IF;
        begin_at := begin_at + span;
    END LOOP;
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.decisions'::regclass AND c.relname < 'decisions_' || to_char(date_bin(span, keep, '2000-01-01 00:00:00+00'), 'YYYY_MM_DD_HH24')
    LOOP
        EXECUTE format('DROP TABLE public.%I', part);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION decision_partitions FROM public;
GRANT EXECUTE ON FUNCTION decision_partitions TO keyward_system;
