-- howdah.search_known(search) -> bigint[]
-- The only ids that a search can mean, newest first, if something in it leads to them: ids, unique keys, workflows, or
-- rare attributes with an index. NULL: nothing does. Internal. Reads: unique_key, workflow, workflow_job, job.
CREATE OR REPLACE FUNCTION howdah.search_known(search jsonb) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_ids bigint[];
BEGIN
  IF search_known.search ? 'ids' THEN
    -- A number that is too large for an id is none.
    RETURN ARRAY(SELECT DISTINCT i::bigint FROM jsonb_array_elements_text(search_known.search -> 'ids') i
                  WHERE i::numeric BETWEEN 0 AND 9223372036854775807 ORDER BY 1 DESC);
  ELSIF search_known.search ? 'keys' THEN
    -- The keys of a kind lie together: without a kind, a probe for each that has any.
    RETURN ARRAY(
      WITH RECURSIVE every AS (
        (SELECT x.kind FROM howdah.unique_key x ORDER BY x.kind LIMIT 1)
        UNION ALL
        SELECT (SELECT x.kind FROM howdah.unique_key x WHERE x.kind > e.kind ORDER BY x.kind LIMIT 1) FROM every e WHERE e.kind IS NOT NULL),
      kinds AS (
        SELECT k FROM jsonb_array_elements_text(search_known.search -> 'kinds') k
        UNION ALL
        SELECT e.kind FROM every e WHERE NOT search_known.search ? 'kinds')
      SELECT DISTINCT u.job_id FROM kinds, jsonb_array_elements_text(search_known.search -> 'keys') n,
             LATERAL (SELECT x.job_id FROM howdah.unique_key x WHERE x.kind = kinds.k AND x.key = n) u ORDER BY 1 DESC);
  ELSIF search_known.search ? 'workflows' THEN
    RETURN ARRAY(SELECT j.job_id FROM howdah.workflow w JOIN howdah.workflow_job j ON j.workflow_id = w.id
                  WHERE w.name = ANY (ARRAY(SELECT jsonb_array_elements_text(search_known.search -> 'workflows')))
                     OR w.id::text = ANY (ARRAY(SELECT jsonb_array_elements_text(search_known.search -> 'workflows'))) ORDER BY 1 DESC);
  ELSIF search_known.search ? 'attr' THEN
    v_ids := howdah.rare_matches((search_known.search ->> 'attr')::jsonpath);
    RETURN CASE WHEN v_ids IS NOT NULL THEN ARRAY(SELECT DISTINCT i FROM unnest(v_ids) i ORDER BY 1 DESC) END;
  END IF;
  RETURN NULL;
END $$;
