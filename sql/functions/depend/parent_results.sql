-- howdah.parent_results(job_id) -> (name, parent_id, state, result)
-- The jobs that a job waits for or has waited for, in the order of depends_on, each with what it is now and what its handler
-- returned; name: in the workflow of the job; of the end of another workflow, its name; else NULL. Of a parent of which no history is left, state and result are NULL.
-- Locks: none. Errors: none; no rows for a job that is not there. Cost: see states_of.
CREATE OR REPLACE FUNCTION howdah.parent_results(job_id bigint)
RETURNS TABLE (name text, parent_id bigint, state text, result jsonb) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[] := ARRAY(SELECT p.id::bigint FROM howdah.find_job(parent_results.job_id) j,
                                     jsonb_array_elements_text(j.options -> 'depends_on') WITH ORDINALITY p(id, n) ORDER BY p.n);
BEGIN
  RETURN QUERY
    SELECT coalesce((SELECT w.name::text FROM howdah.workflow_job me JOIN howdah.workflow_job w ON w.workflow_id = me.workflow_id
                      WHERE me.job_id = parent_results.job_id AND w.job_id = p.id),
                    (SELECT w.name::text FROM howdah.workflow w WHERE w.end_id = p.id)),
           p.id, s.state, (SELECT r.result FROM howdah.result r WHERE r.job_id = p.id AND s.state = 'completed' LIMIT 1)
      FROM unnest(v_parents) WITH ORDINALITY p(id, n) LEFT JOIN howdah.states_of(v_parents) s ON s.job_id = p.id
     ORDER BY p.n;
END $$;
