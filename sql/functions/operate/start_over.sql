-- howdah.start_over(job_ids) -> void
-- Makes dead jobs ready again with all their attempts; the caller has taken them out of their room. Those that had an
-- expiry lose it: whoever sends an expired job again wants it to run. Internal. Writes: ticket, job, ordered, cancel_request, and see wait_again.
CREATE OR REPLACE FUNCTION howdah.start_over(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  j howdah.job;
BEGIN
  -- Whoever sends it again does not want it cancelled. One that somebody is asking for just now is left.
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
    SELECT w.job_id FROM howdah.cancel_request w WHERE w.job_id = ANY (start_over.job_ids) FOR UPDATE SKIP LOCKED));
  FOR j IN SELECT f.* FROM howdah.find_jobs(start_over.job_ids) f WHERE f.options ? 'expires_at' LOOP
    j.options := nullif(j.options - 'expires_at', '{}');
    PERFORM howdah.rewrite_job(j);
  END LOOP;
  -- Callbacks of their workflows that still wait, wait for them too.
  PERFORM howdah.wait_again(start_over.job_ids, array_agg(c.job_id))
     FROM (SELECT DISTINCT k.workflow_id FROM howdah.workflow_job k WHERE k.job_id = ANY (start_over.job_ids)) w,
          LATERAL howdah.workflow_callbacks(w.workflow_id) c HAVING count(*) > 0;
  PERFORM howdah.join_orders(start_over.job_ids), howdah.put_back(start_over.job_ids, array_fill(0::smallint, ARRAY[cardinality(start_over.job_ids)]));
END $$;
