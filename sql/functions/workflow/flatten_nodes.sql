-- howdah.flatten_nodes(jobs) -> (n, path, chain, scopes, spec, leaf, on_failure)
-- The nodes of a workflow as they were given, in order, with those inside of groups (nodes with `jobs` of their own).
--   path    its name, behind those of the groups that it is in: group/name
--   chain   the paths of those groups and its own
--   scopes  what may stand before a name in its depends_on, the innermost first: group/, then nothing
--   leaf    it is a job, and no group
--   on_failure  its on_parent_failure, or that of the innermost group that has one, or cancel
-- Internal to insert_nodes. Reads nothing. Errors: none.
CREATE OR REPLACE FUNCTION howdah.flatten_nodes(jobs jsonb)
RETURNS TABLE (n bigint, path text, chain text[], scopes text[], spec jsonb, leaf boolean, on_failure text) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH RECURSIVE node(place, path, chain, scopes, spec, on_failure) AS (
      SELECT ARRAY[e.n], e.spec ->> 'name', ARRAY[e.spec ->> 'name'], '{""}'::text[], e.spec, coalesce(e.spec ->> 'on_parent_failure', 'cancel')
        FROM jsonb_array_elements(flatten_nodes.jobs) WITH ORDINALITY e(spec, n)
      UNION ALL
      SELECT p.place || e.n, p.path || '/' || (e.spec ->> 'name'), p.chain || (p.path || '/' || (e.spec ->> 'name')), (p.path || '/') || p.scopes, e.spec,
             coalesce(e.spec ->> 'on_parent_failure', p.on_failure)
        FROM node p, jsonb_array_elements(p.spec -> 'jobs') WITH ORDINALITY e(spec, n)
       WHERE jsonb_typeof(p.spec -> 'jobs') = 'array' AND cardinality(p.place) < 20)
    SELECT row_number() OVER (ORDER BY d.spec ? 'jobs', d.place), d.path, d.chain, d.scopes, d.spec, NOT d.spec ? 'jobs', d.on_failure FROM node d ORDER BY 1;
END $$;
