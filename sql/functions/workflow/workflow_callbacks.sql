-- howdah.workflow_callbacks(workflow_id) -> (job_id, name)
-- The jobs that wait for all the others of a workflow: its callbacks, and its end if somebody waits for that. Internal. Locks: none.
CREATE OR REPLACE FUNCTION howdah.workflow_callbacks(workflow_id bigint) RETURNS TABLE (job_id bigint, name text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT k.job_id, k.name::text FROM howdah.workflow_job k WHERE k.workflow_id = workflow_callbacks.workflow_id AND k.callback
    UNION ALL
    SELECT w.end_id, 'end' FROM howdah.workflow w WHERE w.id = workflow_callbacks.workflow_id AND w.end_id IS NOT NULL
    ORDER BY 1;
END $$;
