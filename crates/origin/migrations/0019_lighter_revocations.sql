-- What a revocation costs the database, once more (decision 0112).

-- No index has a credential's status any more either, so that its row's new version stands beside the old one, in its page, and no index
-- has an entry more. Lists are built from all credentials of their shard; amendments, which are few, are found by themselves.
DROP INDEX credentials_marked;
CREATE INDEX credentials_amended ON credentials (index) WHERE amended_policy IS NOT NULL;
ALTER TABLE credentials SET (fillfactor = 70);

-- Whoever keeps the phases of the keys that it changes says so.
DROP TRIGGER changes_phase ON api_keys;
CREATE TRIGGER changes_phase AFTER UPDATE ON api_keys
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
    WHEN (current_setting('keyward.phases', true) IS DISTINCT FROM 'kept') EXECUTE FUNCTION keys_change_phase();

-- As before, but that it keeps the phases itself, and finds out by changing the keys whether all of them can be: what speaks against
-- that is rare, and undone. A key that has expired is looked at by itself, since to revoke it makes no room under the ceiling (0113).
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
    PERFORM set_config('keyward.tenant', ours::text, true), set_config('keyward.phases', 'kept', true);
    IF NOT are_as_known(known_indices, known_owners, known_statuses, known_amended, known_ends, known_in_force) THEN
        RETURN;
    END IF;
    -- In one order by all, so that nobody waits in a circle.
    UPDATE api_keys AS key
    SET state = 'revoked', lapsed = false, revoked_at = revoked, revocation_reason = given.reason, updated_at = revoked,
        version = version + 1
    FROM (SELECT id, owner, reason FROM unnest(ids, sought_owners, reasons) AS given (id, owner, reason) ORDER BY id) AS given
    WHERE key.id = given.id AND key.state = 'active' AND (given.owner IS NULL OR given.owner = key.owner)
      AND (key.expires_at IS NULL OR key.expires_at > revoked);
    GET DIAGNOSTICS held = ROW_COUNT;
    IF held < cardinality(ids) THEN
        -- One of them isn't active, has expired or isn't theirs; each has to be looked at by itself.
        RAISE EXCEPTION 'changed' USING ERRCODE = 'KW001';
    END IF;
    -- By row addresses, as the trigger does it, which is spared.
    UPDATE key_phases SET phase = 'revoked' WHERE ctid = ANY(ARRAY(
        SELECT coalesce(
            (SELECT ctid FROM key_phases WHERE tenant = ours AND phase = 'active' AND id = given),
            (SELECT ctid FROM key_phases WHERE tenant = ours AND phase = 'expired' AND id = given)
        ) FROM unnest(ids) AS given
    ));
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
