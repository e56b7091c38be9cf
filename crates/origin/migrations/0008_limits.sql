-- What is given out of keys' limits (docs/limits.md): the authority over permits. Whatever changes a row holds its lock, and
-- takes locks in the order of the primary key.
CREATE TABLE limit_accounts (
    tenant      uuid NOT NULL,
    api_key     uuid NOT NULL,
    -- 0 requests in an hour, 1 in a day, 2 in a month, 3 cents in a month.
    meter       smallint NOT NULL CHECK (meter BETWEEN 0 AND 3),
    -- The last two windows, by the parity of their numbers (hours, days or months since 1970), and the permits that were given
    -- and not taken back. A window takes the place of the one before the last: so nothing has to be swept.
    even_window integer NOT NULL,
    even_given  bigint NOT NULL CHECK (even_given >= 0),
    odd_window  integer NOT NULL,
    odd_given   bigint NOT NULL CHECK (odd_given >= 0),
    PRIMARY KEY (api_key, meter)
) WITH (fillfactor = 50);

-- What edges were answered, for as long as they may ask again: a return counts once.
CREATE TABLE limit_answers (
    -- A UUIDv7, made by who asked.
    id        uuid NOT NULL,
    api_key   uuid NOT NULL,
    meter     smallint NOT NULL,
    -- Permits given, and left after that (null: there is no limit). A return has given none.
    amount    bigint NOT NULL,
    remaining bigint,
    PRIMARY KEY (id, api_key, meter)
);

ALTER TABLE limit_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE limit_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON limit_accounts TO keyward_app USING (tenant = nullif(current_setting('keyward.tenant', true), '')::uuid);
CREATE POLICY every_tenant ON limit_accounts TO keyward_system USING (true);
GRANT SELECT ON limit_accounts TO keyward_app;
GRANT SELECT, INSERT, UPDATE ON limit_accounts TO keyward_system;
GRANT SELECT, INSERT, DELETE ON limit_answers TO keyward_system;
