-- Who asks for keys to be made or revoked is recognised from memory, and looked at where it is done: a message less for each batch.
DROP FUNCTION create_keys;
DROP FUNCTION revoke_keys;

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

REVOKE ALL ON FUNCTION are_as_known, create_keys, revoke_keys FROM public;
GRANT EXECUTE ON FUNCTION are_as_known, create_keys, revoke_keys TO keyward_app;
