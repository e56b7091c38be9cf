-- Whoever a key was given to is an owner, also where that was done by changing the key: else nobody could be disabled.
-- The database's owner may be bound by row-level security too.
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
ALTER TABLE owners NO FORCE ROW LEVEL SECURITY;
INSERT INTO owners (tenant, id, kind, name, created_at, updated_at)
SELECT tenant, owner, 'person', owner, min(created_at), min(created_at) FROM api_keys GROUP BY tenant, owner
ON CONFLICT DO NOTHING;
ALTER TABLE owners FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
