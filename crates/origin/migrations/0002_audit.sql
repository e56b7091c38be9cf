-- The audit trail: a hash chain for each tenant (docs/formats.md, Audit record). Nobody changes or removes a record: the
-- application's roles may not, and the triggers stop the owner too, who has to take them away first. What the owner
-- does nevertheless, a checkpoint shows.
CREATE TABLE audit_log (
    tenant       uuid NOT NULL,
    seq          bigint NOT NULL CHECK (seq > 0),
    -- Unix milliseconds: never earlier than in the record before.
    at_ms        bigint NOT NULL,
    action       text NOT NULL,
    actor_tenant uuid,
    actor_key    uuid,
    actor_owner  text,
    address      text,
    user_agent   text,
    request_id   uuid,
    target_kind  text,
    target       text,
    -- JSON as it was hashed, and so no jsonb.
    before       text,
    after        text,
    details      text,
    prev         bytea NOT NULL CHECK (length(prev) = 32),
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant, seq)
);
-- Each of them grows at its end, for one value of its middle column at least.
CREATE INDEX audit_log_by_time ON audit_log (tenant, at_ms, seq);
CREATE INDEX audit_log_by_action ON audit_log (tenant, action, seq);
CREATE INDEX audit_log_by_actor ON audit_log (tenant, actor_key, seq);
CREATE INDEX audit_log_by_target ON audit_log (tenant, target, seq);

-- The end of each tenant's chain. Whoever appends holds its row until the commit, so that the chain is in the order of
-- commits and without gaps. Room in each page for the versions that follow each other fast.
CREATE TABLE audit_heads (
    tenant uuid PRIMARY KEY,
    seq    bigint NOT NULL,
    at_ms  bigint NOT NULL,
    hash   bytea NOT NULL CHECK (length(hash) = 32)
) WITH (fillfactor = 10);

CREATE TABLE audit_checkpoints (
    tenant     uuid NOT NULL,
    seq        bigint NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    jws        text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE FUNCTION audit_head_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant <> OLD.tenant OR NEW.seq <= OLD.seq OR NEW.at_ms < OLD.at_ms THEN
        RAISE EXCEPTION 'an audit trail only goes on' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_log', 'audit_checkpoints'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['audit_log', 'audit_checkpoints', 'audit_heads'] LOOP
        EXECUTE format('CREATE TRIGGER never_emptied BEFORE TRUNCATE ON %I EXECUTE FUNCTION audit_is_append_only()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_tenant ON %I TO keyward_app USING (tenant = nullif(current_setting(''keyward.tenant'', true), '''')::uuid)', name);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO keyward_system USING (true)', name);
    END LOOP;
END
$$;
CREATE TRIGGER goes_on BEFORE UPDATE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_head_goes_on();
CREATE TRIGGER stays BEFORE DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();

GRANT SELECT, INSERT ON audit_log, audit_checkpoints TO keyward_app, keyward_system;
GRANT SELECT, INSERT, UPDATE ON audit_heads TO keyward_app, keyward_system;
