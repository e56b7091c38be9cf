-- Whoever a key was given to is an owner, also where that was done by changing the key: else nobody could be disabled.
-- The database's owner may be bound by row-level security too.
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
ALTER TABLE owners NO FORCE ROW LEVEL SECURITY;
INSERT INTO owners (tenant, id, kind, name, created_at, updated_at)
SELECT tenant, owner, 'person', owner, min(created_at), min(created_at) FROM api_keys GROUP BY tenant, owner
ON CONFLICT DO NOTHING;
ALTER TABLE owners FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;

-- As before, but for live keys (decision 0113): one that lives again counts as a new one does, and a key is among those that are
-- counted until a minute after its end.
CREATE OR REPLACE FUNCTION append_to_trail(
    ours uuid, times bigint[], actions text[], actor_tenants uuid[], actor_keys uuid[], actor_owners text[], addresses text[],
    user_agents text[], requests uuid[], target_kinds text[], targets text[], befores text[], afters text[], notes text[],
    said bytea[],
    -- Owners for whom keys come into use: none of them may be disabled.
    made_for text[],
    -- What is counted, and when; keys that live again are taken off those that ended, and changes that may be refused are some of
    -- those that changed something.
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
    IF head.live_keys IS NULL AND (made <> 0 OR ended <> 0) THEN
        SELECT count(*) INTO head.live_keys FROM api_keys
        WHERE tenant = ours AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > to_timestamp(now_ms / 1000.0 - 60));
    END IF;
    IF head.policies IS NULL AND new_policies > 0 THEN
        SELECT count(*) INTO head.policies FROM policies WHERE tenant = ours;
    END IF;
    IF made > ended AND head.live_keys > head.max_live_keys OR new_policies > 0 AND head.policies > head.max_policies THEN
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

-- What may be asked for again within a day is also a tenant, with its first key or without.
ALTER TABLE idempotency
    ALTER COLUMN index DROP NOT NULL,
    ALTER COLUMN sealed DROP NOT NULL,
    -- The tenant that was made; the row is the caller's own tenant's.
    ADD COLUMN made uuid,
    ADD CHECK ((index IS NULL) = (sealed IS NULL) AND (index IS NOT NULL OR made IS NOT NULL));

-- INVALID is for ever, whatever a statement says: a credential that is, is there to be read and not to be changed. A rule for rows,
-- since a trigger before each change would lock the row first, which is a write more for each that is revoked.
CREATE POLICY invalid_is_final ON credentials AS RESTRICTIVE FOR UPDATE TO keyward_app, keyward_system
    USING (status <> 1) WITH CHECK (true);

-- A key that is suspended is called that also when it has expired, as where requests are decided.
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
ALTER TABLE key_phases NO FORCE ROW LEVEL SECURITY;
UPDATE api_keys SET lapsed = false WHERE lapsed AND state = 'suspended';
ALTER TABLE key_phases FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
