-- howdah.get_steps(job_id, lease_id) -> (n, name, kind, state, attempt, at, wakes_at, result)
-- The steps of a job that has not ended well, in their order: what an attempt reads once, before its first step. No row
-- if there are none. The view howdah.steps has those of jobs that have ended too.
--   lease_id  that of the attempt. Without it a stale one is told that nothing was done, once the job has ended elsewhere, and
--             does it all again; NULL: whoever looks at the job from outside
-- Reads: step, and see holds. Locks: none. Errors: HD010 the job is not this lease's any more.
CREATE OR REPLACE FUNCTION howdah.get_steps(job_id bigint, lease_id bigint DEFAULT NULL)
RETURNS TABLE (n integer, name text, kind text, state text, attempt smallint, at timestamptz, wakes_at timestamptz, result jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  IF get_steps.lease_id IS NOT NULL AND NOT howdah.holds(get_steps.lease_id, get_steps.job_id) THEN
    PERFORM howdah.lease_lost(get_steps.lease_id, get_steps.job_id);
  END IF;
  RETURN QUERY SELECT s.n, s.name::text, s.kind, s.state, s.attempt, s.at, s.wakes_at, s.result
    FROM howdah.step s WHERE s.job_id = get_steps.job_id ORDER BY s.n;
END $$;
