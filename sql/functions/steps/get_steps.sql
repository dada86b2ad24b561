-- howdah.get_steps(job_id) -> (n, name, kind, state, attempt, at, wakes_at, result)
-- The steps of a job that has not ended well, in their order: what an attempt reads once, before its first step. No row
-- if there are none. The view howdah.steps has those of jobs that have ended too. Reads: step. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.get_steps(job_id bigint)
RETURNS TABLE (n integer, name text, kind text, state text, attempt smallint, at timestamptz, wakes_at timestamptz, result jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT s.n, s.name::text, s.kind, s.state, s.attempt, s.at, s.wakes_at, s.result
    FROM howdah.step s WHERE s.job_id = get_steps.job_id ORDER BY s.n;
END $$;
