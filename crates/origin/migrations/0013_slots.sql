-- Who has a key's slots for requests at one time (docs/limits.md): an array of {"holder", "serial", "slots", "until_ms"}, null
-- where nobody ever had any. A lease ends by itself; who renews one takes out those that have ended.
ALTER TABLE limit_accounts ADD COLUMN leases jsonb;
