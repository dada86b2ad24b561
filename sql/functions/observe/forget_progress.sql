-- howdah.forget_progress(first_ids, counts) -> void
-- Deletes what these runs of jobs have said of their progress: they have ended, and not as dead. Internal.
-- Writes: progress. Locks: its rows. Cost: one look at the index for all of them while there is nothing between
-- the first id and the last, else one for each run.
CREATE OR REPLACE FUNCTION howdah.forget_progress(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_first bigint := forget_progress.first_ids[1];
  v_last  bigint := forget_progress.first_ids[1] + 127;
BEGIN
  IF cardinality(forget_progress.first_ids) > 1 THEN
    SELECT min(f), max(f) + 127 INTO v_first, v_last FROM unnest(forget_progress.first_ids) f;
  END IF;
  IF NOT EXISTS (SELECT FROM howdah.progress p WHERE p.job_id BETWEEN v_first AND v_last) THEN
    RETURN;
  END IF;
  DELETE FROM howdah.progress p USING unnest(forget_progress.first_ids, forget_progress.counts) r(first_id, jobs)
   WHERE p.job_id >= r.first_id AND p.job_id < r.first_id + r.jobs;
END $$;
