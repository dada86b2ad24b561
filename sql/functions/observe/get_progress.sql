-- howdah.get_progress(job_id) -> (attempt, at, percent, message, checkpoint)
-- What a job has last said of itself, whichever attempt said it: no row if nothing, or if it has ended well.
-- Reads: progress. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.get_progress(job_id bigint)
RETURNS TABLE (attempt smallint, at timestamptz, percent real, message text, checkpoint jsonb) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT p.attempt, p.at, p.percent, p.message, p.checkpoint FROM howdah.progress p WHERE p.job_id = get_progress.job_id;
END $$;
