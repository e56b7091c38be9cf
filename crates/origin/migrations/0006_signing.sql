-- The lives of signing keys. Their states change by hand, one transaction each, and a manifest tells of it.
ALTER TABLE signing_keys
    -- When a manifest first told of it; null: none has (the root signs elsewhere, and hasn't yet).
    ADD COLUMN announced_at timestamptz,
    ADD COLUMN activated_at timestamptz,
    -- Since when it is in its state.
    ADD COLUMN state_since  timestamptz NOT NULL DEFAULT now();
UPDATE signing_keys SET announced_at = created_at, activated_at = created_at, state_since = created_at;
ALTER TABLE signing_keys ALTER COLUMN state_since DROP DEFAULT;
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (role) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (role) WHERE state = 'pre-published';

-- SHA-256 of the whole raw key: tells what was issued from what a thief of the signing key has made. Nothing can be
-- presented by it. Null in credentials that are older than this column: those count no more once their signer is frozen.
ALTER TABLE credentials ADD COLUMN digest bytea CHECK (length(digest) = 32);

-- The tenant of whoever runs this: signing keys are its to manage.
ALTER TABLE deployment ADD COLUMN operator uuid;
-- The database's owner may be bound by row-level security too.
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
UPDATE deployment SET operator = (SELECT id FROM tenants ORDER BY created_at, id LIMIT 1);
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
