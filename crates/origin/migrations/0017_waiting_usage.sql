-- What servers have counted and isn't in the sums yet, a row for each batch. Adding a batch costs a few rows for each of its keys, writing
-- it down next to nothing; what is written down can't get lost any more, and is added together with what comes after it.
CREATE TABLE usage_waiting (
    -- The batch's own, a UUIDv7.
    id     uuid PRIMARY KEY,
    -- Whose keys it can be about.
    tenant uuid NOT NULL,
    -- JSON, read once: neither compressed nor looked into.
    batch  text NOT NULL
);
ALTER TABLE usage_waiting ALTER COLUMN batch SET STORAGE EXTERNAL;
ALTER TABLE usage_waiting ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_waiting FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON usage_waiting TO keyward_system USING (true);
GRANT SELECT, INSERT, DELETE ON usage_waiting TO keyward_system;
