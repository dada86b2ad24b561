-- howdah.complete_in(lease_id, job_id, run_ms, result) -> void
-- Completes one job inside the caller's transaction, together with the caller's own writes: all or none.
--   result  what is kept for those who wait for the job; may be NULL
-- Writes: receipt, result, and lease or settled. Locks: the lease row, shared: other jobs of the lease do not wait,
-- a rescue passes it by. Errors: HD010 the job is not this lease's any more; roll back, and let go of it.
CREATE OR REPLACE FUNCTION howdah.complete_in(lease_id bigint, job_id bigint, run_ms integer DEFAULT NULL, result jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (complete_in.lease_id & 3) AND l.id = complete_in.lease_id FOR KEY SHARE;
  SELECT r.attempt INTO v_attempt FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt)
   WHERE complete_in.job_id >= r.first_id AND complete_in.job_id < r.first_id + r.jobs;
  IF FOUND THEN
    INSERT INTO howdah.settled (lease_id, job_id) VALUES (complete_in.lease_id, complete_in.job_id) ON CONFLICT DO NOTHING;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % is not held by lease % any more', complete_in.job_id, complete_in.lease_id
      USING ERRCODE = 'HD010', HINT = 'Roll back: another worker has the job, or it has ended.';
  END IF;
  PERFORM howdah.write_receipt(1, v_lease.queue_id, v_lease.worker_id, v_lease.claimed_at,
    ARRAY[complete_in.job_id], ARRAY[v_attempt], ARRAY[complete_in.run_ms]);
  IF complete_in.result IS NOT NULL THEN
    PERFORM howdah.keep_results(ARRAY[complete_in.job_id], ARRAY[complete_in.result], ARRAY[complete_in.job_id]);
  END IF;
  -- A lease of one job has nobody else to disturb, and a caller without a worker's flush needs it gone.
  IF v_lease.counts = '{1}' THEN
    DELETE FROM howdah.lease l WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
    DELETE FROM howdah.settled s WHERE s.lease_id = v_lease.id;
  END IF;
END $$;
