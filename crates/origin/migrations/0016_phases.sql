-- A key's phase has a table of its own, for lists by status. As a member of an index of api_keys it made each revocation
-- a row with an entry anew in all of them, that of texts with its dozens included; now no index has what a revocation, a
-- suspension or the sweeper changes, and the row's new version stands beside the old one, in its page.
CREATE TABLE key_phases (
    tenant uuid NOT NULL,
    phase  text NOT NULL,
    id     uuid NOT NULL,
    PRIMARY KEY (tenant, phase, id)
);
-- The database's owner may be bound by row-level security too.
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
INSERT INTO key_phases (tenant, phase, id) SELECT tenant, phase, id FROM api_keys;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
DROP INDEX api_keys_by_phase;
-- Room for those versions, of many keys of a page in one transaction.
ALTER TABLE api_keys SET (fillfactor = 70);

ALTER TABLE key_phases ENABLE ROW LEVEL SECURITY;
ALTER TABLE key_phases FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON key_phases TO keyward_app USING (tenant = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON key_phases TO keyward_system USING (true);
GRANT SELECT, INSERT, UPDATE ON key_phases TO keyward_app, keyward_system;

-- Whatever changes keys, once for each statement. By row addresses, each found through the whole of the index, whatever is
-- known of the table: a join, or a choice of phases, may be planned to read all of a tenant's.
CREATE FUNCTION keys_change_phase() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE key_phases AS p SET phase = (SELECT phase FROM api_keys AS key WHERE key.id = p.id)
    WHERE ctid = ANY(ARRAY(
        SELECT coalesce(
            (SELECT ctid FROM key_phases WHERE tenant = key.tenant AND phase = 'active' AND id = key.id AND key.phase <> 'active'),
            (SELECT ctid FROM key_phases WHERE tenant = key.tenant AND phase = 'suspended' AND id = key.id AND key.phase <> 'suspended'),
            (SELECT ctid FROM key_phases WHERE tenant = key.tenant AND phase = 'expired' AND id = key.id AND key.phase <> 'expired'),
            (SELECT ctid FROM key_phases WHERE tenant = key.tenant AND phase = 'revoked' AND id = key.id AND key.phase <> 'revoked')
        ) FROM changed AS key
    ));
    RETURN NULL;
END
$$;
CREATE TRIGGER changes_phase AFTER UPDATE ON api_keys
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION keys_change_phase();

-- As before, and with the phase that a new key is in.
CREATE OR REPLACE FUNCTION store_keys(
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
    ), phase AS (
        INSERT INTO key_phases (tenant, phase, id) SELECT ours, 'active', id FROM given
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

-- As before, but for the keys' rows, which are no longer locked before they are changed: that was a write more for each.
CREATE OR REPLACE FUNCTION revoke_keys(
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
    SELECT count(*) INTO held
    FROM unnest(ids, sought_owners) AS given (id, owner)
    CROSS JOIN LATERAL (
        SELECT FROM api_keys AS key
        WHERE key.tenant = ours AND key.id = given.id AND key.state = 'active' AND (given.owner IS NULL OR given.owner = key.owner)
        LIMIT 1
    ) AS found;
    IF held < cardinality(ids) THEN
        RETURN;
    END IF;
    -- In one order by all, so that nobody waits in a circle.
    UPDATE api_keys AS key
    SET state = 'revoked', lapsed = false, revoked_at = revoked, revocation_reason = given.reason, updated_at = revoked,
        version = version + 1
    FROM (SELECT id, owner, reason FROM unnest(ids, sought_owners, reasons) AS given (id, owner, reason) ORDER BY id) AS given
    WHERE key.id = given.id AND key.state = 'active' AND (given.owner IS NULL OR given.owner = key.owner);
    GET DIAGNOSTICS held = ROW_COUNT;
    IF held < cardinality(ids) THEN
        -- Somebody else has just changed one of them.
        RAISE EXCEPTION 'changed' USING ERRCODE = 'KW001';
    END IF;
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
