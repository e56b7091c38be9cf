-- Many keys of one tenant, as a history of years leaves them: owners with many and with few, half of them over, some
-- revoked, few suspended, one in a thousand with a word of its own. Whoever runs it puts in TENANT, PLAIN and RARE (numbers
-- of policies) and COUNT. The index of texts comes last, as it would on a restore: entry by entry it takes minutes.
DO $$ DECLARE texts text; BEGIN
SELECT indexdef INTO texts FROM pg_indexes WHERE indexname = 'api_keys_by_text';
DROP INDEX api_keys_by_text;
INSERT INTO api_keys (id, tenant, owner, name, description, scope, environment, exchange, state, policy, expires_at, current_index,
                      hint, created_at, updated_at, lapsed, wake_at)
SELECT (lpad(to_hex(1700000000000 + n::bigint * 60000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, 'TENANT',
       CASE WHEN n % 2 = 0 THEN 'platform' ELSE 'person-' || n % 5000 END, 'service ' || md5(n::text),
       CASE WHEN n % 1000 = 7 THEN 'the billing exporter of ' || n END, n % 2, 'live', true,
       CASE WHEN n % 10 = 0 THEN 'revoked' WHEN n % 500 = 1 THEN 'suspended' ELSE 'active' END,
       CASE WHEN n % 400 = 3 THEN RARE ELSE PLAIN END,
       CASE WHEN n % 20 <> 5 THEN now() + (n - COUNT / 2) * interval '1 minute' END,
       1048576 + n, 'kwd_live_…' || substr(md5('hint' || n), 1, 4), to_timestamp(1700000000 + n * 60), now(),
       n < COUNT / 2 AND n % 10 <> 0 AND n % 500 <> 1 AND n % 20 <> 5, NULL
FROM generate_series(1, COUNT) AS n;
INSERT INTO credentials (index, position, tenant, api_key, signing_key, prefix, policy, expires_at, status, created_at, hint)
SELECT current_index, current_index, tenant, id, '\x000000', 'kwd', policy, expires_at,
       CASE state WHEN 'revoked' THEN 1 WHEN 'suspended' THEN 2 ELSE 0 END, created_at, hint
FROM api_keys WHERE current_index > 1048576;
INSERT INTO key_phases (tenant, phase, id) SELECT tenant, phase, id FROM api_keys WHERE current_index > 1048576;
EXECUTE texts;
END $$;
