-- A key's text goes into its index when the key is made, and the sweeper leaves new keys alone. Putting it there later
-- meant a second version of every row, with an entry in each of its indexes: more than the text costs.
DROP VIEW key_details;
DROP INDEX IF EXISTS api_keys_by_text;
-- With it goes the index of those whose text was still to come.
ALTER TABLE api_keys DROP COLUMN texted, ALTER COLUMN wake_at DROP DEFAULT;
-- A key with the policy that is in force for it, its credentials that aren't INVALID, and its use. As the invoker, so that
-- row-level security holds.
CREATE VIEW key_details WITH (security_invoker = true) AS
SELECT k.*, p.number AS policy_in_force, p.terms, live.credentials,
       used.requests AS used_requests, used.bytes AS used_bytes, used.errors AS used_errors,
       used.rate_limit_hits AS used_rate_limit_hits, used.last_used
FROM api_keys k
JOIN policies own ON own.number = k.policy
-- By number, one by one: over a table that looks small, a join would rather read all of it for each key. (CASE and not
-- coalesce: under row-level security only what is known not to leak may use an index, and coalesce isn't.)
CROSS JOIN LATERAL (
    SELECT number, terms FROM policies
    WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
    LIMIT 1
) AS p
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
        'index', index, 'hint', hint, 'created', created_at,
        'expires', CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END
    ) ORDER BY created_at DESC) AS credentials
    FROM credentials WHERE api_key = k.id AND status <> 1
) AS live
LEFT JOIN LATERAL (
    SELECT requests, bytes, errors, rate_limit_hits, last_used FROM key_usage
    WHERE tenant = k.tenant AND key_usage.api_key = k.id LIMIT 1
) AS used ON true;
GRANT SELECT ON key_details TO keyward_app;
GRANT SELECT ON key_details TO keyward_system;

DO $$
BEGIN
    IF (SELECT count(*) FROM pg_extension WHERE extname IN ('pg_trgm', 'btree_gin')) = 2 THEN
        CREATE INDEX api_keys_by_text ON api_keys USING gin (tenant, search gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
        EXECUTE $function$
            CREATE OR REPLACE FUNCTION keys_with_text(pattern text, most integer) RETURNS uuid[]
            LANGUAGE plpgsql STABLE SECURITY DEFINER
            -- By the index of texts, which is read by bitmaps alone.
            SET search_path = pg_catalog, public SET enable_bitmapscan = on SET enable_seqscan = off SET enable_indexscan = off
            AS $body$
            DECLARE
                ours   uuid := nullif(current_setting('keyward.tenant', true), '')::uuid;
                common bigint;
                found  uuid[];
            BEGIN
                -- What many texts have takes the index long to say: it gathers all of them first. One in 500 of the table's
                -- pages shows that, to within some thousand keys: then the answer is null, here too.
                SELECT count(*) FILTER (WHERE tenant = ours AND search LIKE pattern) INTO common
                FROM (SELECT tenant, search FROM public.api_keys TABLESAMPLE SYSTEM (0.2) LIMIT 2000) AS sample;
                IF common > 40 THEN
                    RETURN NULL;
                END IF;
                -- Planned for this pattern and not for any.
                EXECUTE 'SELECT array_agg(id) FROM (
                             SELECT id FROM public.api_keys WHERE tenant = $1 AND search LIKE $2 LIMIT $3
                         ) AS found'
                INTO found
                USING ours, pattern, most;
                RETURN coalesce(found, '{}');
            END
            $body$
        $function$;
    END IF;
END
$$;
