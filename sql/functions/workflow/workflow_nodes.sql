-- howdah.workflow_nodes(workflow_id) -> (name, job_id, kind, queue, state, ended_at, depends_on, waits_for)
-- The jobs of a workflow in the order of their ids. depends_on: what each was asked to wait for, and waits_for: what of that it
-- still waits for, by their names in the workflow, or by id. state NULL: it ended longer ago than history is kept.
-- Locks: none. Errors: none. Cost: see states_of. People use the view howdah.workflow_jobs.
CREATE OR REPLACE FUNCTION howdah.workflow_nodes(workflow_id bigint)
RETURNS TABLE (name text, job_id bigint, kind text, queue text, state text, ended_at timestamptz, depends_on text[], waits_for text[]) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[] := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = workflow_nodes.workflow_id);
BEGIN
  RETURN QUERY
    WITH member AS MATERIALIZED (SELECT k.name::text AS name, k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = workflow_nodes.workflow_id),
    asked AS (
      SELECT f.id, array_agg(coalesce(m.name, p.id) ORDER BY p.n) AS names
        FROM howdah.find_jobs(v_ids) f
        CROSS JOIN LATERAL jsonb_array_elements_text(f.options -> 'depends_on') WITH ORDINALITY p(id, n) LEFT JOIN member m ON m.job_id = p.id::bigint GROUP BY f.id),
    open AS (
      SELECT d.job_id, array_agg(coalesce(m.name, d.parent_id::text) ORDER BY d.parent_id) AS names
        FROM unnest(v_ids) u(id) JOIN howdah.dependency d ON d.job_id = u.id LEFT JOIN member m ON m.job_id = d.parent_id GROUP BY d.job_id)
    SELECT k.name, k.job_id, f.kind::text, q.name::text, s.state, s.ended_at, coalesce(a.names, '{}'), coalesce(o.names, '{}')
      FROM member k LEFT JOIN howdah.find_jobs(v_ids) f ON f.id = k.job_id LEFT JOIN howdah.all_queues q ON q.id = f.queue_id
      LEFT JOIN howdah.states_of(v_ids) s ON s.job_id = k.job_id LEFT JOIN asked a ON a.id = k.job_id LEFT JOIN open o ON o.job_id = k.job_id
     ORDER BY k.job_id;
END $$;
