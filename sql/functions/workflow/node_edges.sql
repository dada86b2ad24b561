-- howdah.node_edges(workflow_id, jobs) -> (child, parent, parent_id, wrong)
-- What the nodes of a workflow wait for: a row for each pair. child, parent: their n in howdah.flatten_nodes; parent_id: a job
-- that is there already, given by its id, by its name in the workflow, or as the end of another workflow. The name of a group means each job in it; what a
-- group waits for, each job in it waits for. wrong: what was named and is not there, and by which node; then the rest is NULL.
-- Internal to insert_nodes. Writes and errors: see workflow_end. Cost: of the pairs.
CREATE OR REPLACE FUNCTION howdah.node_edges(workflow_id bigint, jobs jsonb) RETURNS TABLE (child bigint, parent bigint, parent_id bigint, wrong text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH node AS MATERIALIZED (SELECT f.* FROM howdah.flatten_nodes(node_edges.jobs) f),
    -- What a name may mean: a job, or each job of a group.
    meant AS MATERIALIZED (
      SELECT c.path, o.n, NULL::bigint AS job_id FROM node o, unnest(o.chain) c(path) WHERE o.leaf
      UNION ALL
      SELECT left(w.name, g.at), NULL, w.job_id
        FROM howdah.workflow_job w, LATERAL (
          SELECT length(w.name) UNION ALL SELECT s - 1 FROM generate_series(1, length(w.name)) s WHERE substr(w.name, s, 1) = '/') g(at)
       WHERE w.workflow_id = node_edges.workflow_id AND NOT w.callback),
    wish AS MATERIALIZED (SELECT o.path, o.scopes, r.value AS ref FROM node o, jsonb_array_elements(o.spec -> 'depends_on') r),
    -- The innermost scope in which there is such a name.
    found AS MATERIALIZED (
      SELECT DISTINCT ON (s.path, s.ref) s.path, s.ref, s.full_name
        FROM (SELECT w.path, w.ref, x.scope || (w.ref #>> '{}') AS full_name, x.at FROM wish w, unnest(w.scopes) WITH ORDINALITY x(scope, at)
               WHERE jsonb_typeof(w.ref) = 'string') s
       WHERE s.full_name IN (SELECT m.path FROM meant m) ORDER BY s.path, s.ref, s.at),
    target AS MATERIALIZED (
      SELECT u.path, u.ref, m.n, m.job_id FROM found u JOIN meant m ON m.path = u.full_name
      UNION ALL
      SELECT w.path, w.ref, NULL, CASE WHEN (w.ref #>> '{}')::numeric BETWEEN 128 AND 9007199254740991 AND (w.ref #>> '{}')::numeric % 1 = 0 THEN (w.ref #>> '{}')::numeric::bigint END
        FROM wish w WHERE jsonb_typeof(w.ref) = 'number'
      UNION ALL
      SELECT w.path, w.ref, NULL, howdah.workflow_end((w.ref ->> 'workflow')::bigint) FROM wish w WHERE jsonb_typeof(w.ref) = 'object' AND howdah.is_workflow(w.ref))
    SELECT DISTINCT o.n, t.n, t.job_id, NULL::text FROM node o, unnest(o.chain) c(path) JOIN target t ON t.path = c.path WHERE o.leaf
    UNION ALL
    SELECT NULL, NULL, NULL, format('%s waits for %s, and there is no such node', w.path, left(w.ref::text, 200))
      FROM wish w LEFT JOIN target t ON t.path = w.path AND t.ref = w.ref WHERE t.n IS NULL AND t.job_id IS NULL;
END $$;
