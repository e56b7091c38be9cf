-- What many requests wait for goes to the database in one message, and is committed by it: every message more is a round trip
-- for which the end of the audit trail is held. The functions are the invoker's: row-level security holds in them as outside. Who asks
-- is recognised from memory, and looked at where it is done: a message less for each batch.

-- A credential comes with its key or after it, and no key is ever deleted, which from now on no role may: the check would cost
-- a lock of the key's row for each.
ALTER TABLE credentials DROP CONSTRAINT credentials_api_key_fkey;
REVOKE DELETE, TRUNCATE ON api_keys FROM keyward_app, keyward_system;

-- Appends records to a tenant's trail (docs/formats.md, Audit record), of which `said` has what doesn't depend on their place,
-- and counts what they use up of the tenant's ceilings. The end of the chain is held from here to the commit. Null, or the code
-- of the reason why not; then the transaction has to be undone.
CREATE FUNCTION append_to_trail(
    ours uuid, times bigint[], actions text[], actor_tenants uuid[], actor_keys uuid[], actor_owners text[], addresses text[],
    user_agents text[], requests uuid[], target_kinds text[], targets text[], befores text[], afters text[], notes text[],
    said bytea[],
    -- Owners for whom keys come into use: none of them may be disabled.
    made_for text[],
    -- What is counted, and when; changes that may be refused are some of those that changed something.
    made bigint, ended bigint, changed bigint, refusable bigint, new_policies bigint, now_ms bigint
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    head     record;
    this_hour CONSTANT bigint := now_ms / 3600000;
    moments  bigint[] := '{}';
    prevs    bytea[] := '{}';
    hashes   bytea[] := '{}';
    last     bytea;
    moment   bigint;
BEGIN
    LOOP
        -- The counts and the end are of the row as it is once it is held; the ceilings may be those of a moment before.
        SELECT h.seq, h.at_ms, h.hash, h.live_keys, h.policies, h.creates, h.changes, h.hour,
               t.max_live_keys, t.max_creates_per_hour, t.max_policies, t.max_changes_per_hour
        INTO head
        FROM audit_heads AS h LEFT JOIN tenants AS t ON t.id = h.tenant
        WHERE h.tenant = ours FOR NO KEY UPDATE OF h;
        EXIT WHEN FOUND;
        -- The first record of all.
        INSERT INTO audit_heads (tenant, seq, at_ms, hash) VALUES (ours, 0, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    END LOOP;

    IF head.hour <> this_hour THEN
        head.creates := 0;
        head.changes := 0;
    END IF;
    head.creates := head.creates + made;
    head.changes := head.changes + changed;
    -- Null stays null: that isn't counted yet.
    head.live_keys := CASE WHEN head.live_keys + made < ended THEN 0 ELSE head.live_keys + made - ended END;
    head.policies := head.policies + new_policies;
    -- A count that is taken now sees what this transaction has stored.
    IF head.live_keys IS NULL AND made + ended > 0 THEN
        SELECT count(*) INTO head.live_keys FROM api_keys
        WHERE tenant = ours AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > to_timestamp(now_ms / 1000.0));
    END IF;
    IF head.policies IS NULL AND new_policies > 0 THEN
        SELECT count(*) INTO head.policies FROM policies WHERE tenant = ours;
    END IF;
    IF made > 0 AND head.live_keys > head.max_live_keys OR new_policies > 0 AND head.policies > head.max_policies THEN
        RETURN 'ceiling_reached';
    END IF;
    IF made > 0 AND head.creates > head.max_creates_per_hour OR refusable > 0 AND head.changes > head.max_changes_per_hour THEN
        RETURN 'rate_limited';
    END IF;

    last := head.hash;
    moment := head.at_ms;
    FOR at IN 1 .. cardinality(said) LOOP
        -- Servers' clocks differ a little; the chain has one order.
        moment := greatest(moment, times[at]);
        moments[at] := moment;
        prevs[at] := last;
        last := sha256('keyward/audit/v1\000'::bytea || last || uuid_send(ours) || int8send(head.seq + at) || int8send(moment) || said[at]);
        hashes[at] := last;
    END LOOP;
    INSERT INTO audit_log (tenant, seq, at_ms, action, actor_tenant, actor_key, actor_owner, address, user_agent, request_id,
                           target_kind, target, before, after, details, prev, hash)
    SELECT ours, head.seq + given.at, given.moment, given.action, given.actor_tenant, given.actor_key, given.actor_owner, given.address,
           given.user_agent, given.request, given.target_kind, given.target, given.before, given.after, given.note, given.prev, given.hash
    FROM unnest(moments, actions, actor_tenants, actor_keys, actor_owners, addresses, user_agents, requests, target_kinds, targets,
                befores, afters, notes, prevs, hashes) WITH ORDINALITY
         AS given (moment, action, actor_tenant, actor_key, actor_owner, address, user_agent, request, target_kind, target,
                   before, after, note, prev, hash, at);
    UPDATE audit_heads
    SET seq = head.seq + cardinality(said), at_ms = moment, hash = last, live_keys = head.live_keys, policies = head.policies,
        hour = this_hour, creates = head.creates, changes = head.changes
    WHERE tenant = ours;
    IF EXISTS (SELECT FROM owners WHERE tenant = ours AND id = ANY(made_for) AND disabled) THEN
        RETURN 'owner_disabled';
    END IF;
    RETURN NULL;
END
$$;

-- Stores new keys of a tenant with their credentials, all of them or none; false where a policy has been superseded or isn't the
-- tenant's.
CREATE FUNCTION store_keys(
    ours uuid, ids uuid[], policy_numbers bigint[], key_owners text[], names text[], descriptions text[], scopes smallint[],
    environments text[], exchanges boolean[], expiries timestamptz[], indices bigint[], positions bigint[], hints text[],
    creators uuid[], creations timestamptz[], signers bytea[], prefixes text[], periods integer[], digests bytea[],
    wakes timestamptz[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    wanted CONSTANT bigint[] := ARRAY(SELECT DISTINCT unnest(policy_numbers));
BEGIN
    IF (SELECT count(*) FROM policies WHERE number = ANY(wanted) AND tenant = ours AND superseded_by IS NULL) < cardinality(wanted) THEN
        RETURN false;
    END IF;
    WITH given AS (
        SELECT *
        FROM unnest(ids, policy_numbers, key_owners, names, descriptions, scopes, environments, exchanges, expiries, indices, positions,
                    hints, creators, creations, signers, prefixes, periods, digests, wakes)
             AS given (id, policy, owner, name, description, scope, environment, exchange, expires_at, index, position, hint,
                       created_by, created_at, signing_key, prefix, rotation_period_days, digest, wake_at)
    ), key AS (
        INSERT INTO api_keys (id, tenant, owner, name, description, scope, environment, exchange, state, policy, expires_at,
                              current_index, hint, created_by, created_at, updated_at, rotation_period_days, wake_at)
        SELECT id, ours, owner, name, description, scope, environment, exchange, 'active', policy, expires_at,
               index, hint, created_by, created_at, created_at, rotation_period_days, wake_at FROM given
    ), owner AS (
        -- In one order, so that two batches with the same new owners don't wait for each other.
        INSERT INTO owners (tenant, id, kind, name, created_at, updated_at)
        SELECT ours, owner, 'person', owner, min(created_at), min(created_at) FROM given GROUP BY owner ORDER BY owner
        ON CONFLICT DO NOTHING
    )
    INSERT INTO credentials (index, position, tenant, api_key, signing_key, prefix, policy, expires_at, created_at, hint, digest)
    SELECT index, position, ours, id, signing_key, prefix, policy, expires_at, created_at, hint, digest FROM given;
    RETURN true;
END
$$;

-- Whether the tenant's credentials at these indices are as a server took them to be: whose, in what state, and under which policy.
CREATE FUNCTION are_as_known(indices bigint[], key_owners text[], statuses smallint[], amended bigint[], ends timestamptz[], in_force bigint[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN cardinality(indices) = (
        SELECT count(*)
        FROM unnest(indices, key_owners, statuses, amended, ends, in_force) AS known (index, owner, status, amended, ends, in_force)
        -- One by one through the indexes.
        CROSS JOIN LATERAL (
            SELECT FROM credentials c
            JOIN api_keys k ON k.id = c.api_key
            JOIN policies p ON p.number = CASE WHEN c.amended_policy IS NULL THEN c.policy ELSE c.amended_policy END
            WHERE c.index = known.index AND k.owner = known.owner AND c.status = known.status
              AND c.amended_policy IS NOT DISTINCT FROM known.amended AND c.amended_expires IS NOT DISTINCT FROM known.ends
              AND CASE WHEN p.superseded_by IS NULL THEN p.number ELSE p.superseded_by END = known.in_force
            LIMIT 1
        ) AS found
    );
END
$$;

-- A whole transaction: new keys of a tenant, all of them or none, and what the trail says of them; whether that is done.
-- Not where somebody who asks for it isn't as known.
CREATE FUNCTION create_keys(
    ours uuid, ids uuid[], policy_numbers bigint[], key_owners text[], names text[], descriptions text[], scopes smallint[],
    environments text[], exchanges boolean[], expiries timestamptz[], indices bigint[], positions bigint[], hints text[],
    creators uuid[], creations timestamptz[], signers bytea[], prefixes text[], periods integer[], digests bytea[],
    wakes timestamptz[],
    known_indices bigint[], known_owners text[], known_statuses smallint[], known_amended bigint[], known_ends timestamptz[],
    known_in_force bigint[],
    times bigint[], actions text[], actor_tenants uuid[], actor_keys uuid[], actor_owners text[], addresses text[],
    user_agents text[], requests uuid[], target_kinds text[], targets text[], befores text[], afters text[], notes text[],
    said bytea[], made_for text[], made bigint, ended bigint, changed bigint, refusable bigint, new_policies bigint, now_ms bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE refused text;
BEGIN
    PERFORM set_config('keyward.tenant', ours::text, true);
    IF NOT are_as_known(known_indices, known_owners, known_statuses, known_amended, known_ends, known_in_force) THEN
        RETURN false;
    END IF;
    IF NOT store_keys(ours, ids, policy_numbers, key_owners, names, descriptions, scopes, environments, exchanges, expiries, indices,
                      positions, hints, creators, creations, signers, prefixes, periods, digests, wakes) THEN
        RETURN false;
    END IF;
    refused := append_to_trail(ours, times, actions, actor_tenants, actor_keys, actor_owners, addresses, user_agents, requests,
                               target_kinds, targets, befores, afters, notes, said, made_for, made, ended, changed, refusable,
                               new_policies, now_ms);
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION '%', refused USING ERRCODE = 'KW001';
    END IF;
    RETURN true;
END
$$;

-- A whole transaction: keys of a tenant revoked for ever, all of them or none, with what the trail says of them and what the feed
-- tells. All of them have to be active, and each its owner's who is named for it (null: whoever's), and who asks
-- for it as known: else all is null. The position
-- of what the feed tells, and the status indices that it is about.
CREATE FUNCTION revoke_keys(
    ours uuid, ids uuid[], sought_owners text[], reasons text[], revoked timestamptz, channel text,
    known_indices bigint[], known_owners text[], known_statuses smallint[], known_amended bigint[], known_ends timestamptz[],
    known_in_force bigint[],
    times bigint[], actions text[], actor_tenants uuid[], actor_keys uuid[], actor_owners text[], addresses text[],
    user_agents text[], requests uuid[], target_kinds text[], targets text[], befores text[], afters text[], notes text[],
    said bytea[], made_for text[], made bigint, ended bigint, changed bigint, refusable bigint, new_policies bigint, now_ms bigint,
    OUT epoch bigint, OUT seq bigint, OUT indices bigint[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    held    bigint;
    refused text;
BEGIN
    PERFORM set_config('keyward.tenant', ours::text, true);
    IF NOT are_as_known(known_indices, known_owners, known_statuses, known_amended, known_ends, known_in_force) THEN
        RETURN;
    END IF;
    -- In one order by all, so that nobody waits in a circle.
    SELECT count(*) INTO held FROM (
        SELECT FROM api_keys AS key JOIN unnest(ids, sought_owners) AS given (id, owner) ON given.id = key.id
        WHERE key.tenant = ours AND key.state = 'active' AND (given.owner IS NULL OR given.owner = key.owner)
        ORDER BY key.id FOR NO KEY UPDATE OF key
    ) AS found;
    IF held < cardinality(ids) THEN
        RETURN;
    END IF;
    UPDATE api_keys AS key
    SET state = 'revoked', lapsed = false, revoked_at = revoked, revocation_reason = given.reason, updated_at = revoked,
        version = version + 1
    FROM unnest(ids, reasons) AS given (id, reason)
    WHERE key.id = given.id;
    WITH ended AS (
        UPDATE credentials SET status = 1 WHERE api_key = ANY(ids) AND status <> 1 RETURNING index
    )
    SELECT coalesce(array_agg(index), '{}') INTO indices FROM ended;
    refused := append_to_trail(ours, times, actions, actor_tenants, actor_keys, actor_owners, addresses, user_agents, requests,
                               target_kinds, targets, befores, afters, notes, said, made_for, made, ended, changed, refusable,
                               new_policies, now_ms);
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION '%', refused USING ERRCODE = 'KW001';
    END IF;
    -- The last statement: the number's lock is held until the commit.
    UPDATE feed_state AS state SET seq = state.seq + 1 WHERE recovery IS NULL RETURNING state.epoch, state.seq INTO epoch, seq;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'recovery_required' USING ERRCODE = 'KW001';
    END IF;
    INSERT INTO feed_log (epoch, seq, change)
    SELECT revoke_keys.epoch, revoke_keys.seq, jsonb_build_object('changes', coalesce(jsonb_agg(jsonb_build_array(number, 1)), '[]'))
    FROM unnest(indices) AS number;
    PERFORM pg_notify(channel, '');
END
$$;

REVOKE ALL ON FUNCTION append_to_trail, store_keys, are_as_known, create_keys, revoke_keys FROM public;
GRANT EXECUTE ON FUNCTION append_to_trail, store_keys, are_as_known, create_keys, revoke_keys TO keyward_app;
GRANT EXECUTE ON FUNCTION append_to_trail, store_keys TO keyward_system;
