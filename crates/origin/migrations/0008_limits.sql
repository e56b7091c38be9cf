-- What is given out of keys' limits (docs/limits.md): the authority over permits, a row for each key whose limits were ever
-- asked about. Whatever changes rows holds their locks, taken in the order of the keys.
CREATE TABLE limit_accounts (
    api_key uuid PRIMARY KEY,
    tenant  uuid NOT NULL,
    -- Two for each of the limits by window (requests in an hour, in a day, in a month; cents in a month): the last two windows
    -- with an even and an odd number (hours, days or months since 1970), and the permits of each that were given and not taken
    -- back. A window takes the place of the one before the last: so nothing has to be swept.
    windows integer[] NOT NULL CHECK (array_length(windows, 1) = 8),
    given   bigint[] NOT NULL CHECK (array_length(given, 1) = 8 AND 0 <= ALL (given))
) WITH (fillfactor = 50);

-- What edges were answered, for as long as they may ask again: a return counts once.
CREATE TABLE limit_answers (
    -- A UUIDv7, made by who asked.
    id        uuid NOT NULL,
    api_key   uuid NOT NULL,
    -- 0 to 3, in the order above.
    meter     smallint NOT NULL CHECK (meter BETWEEN 0 AND 3),
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
