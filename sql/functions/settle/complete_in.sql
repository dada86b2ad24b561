-- howdah.complete_in(lease_id, job_id, run_ms, result) -> void
-- Completes one job inside the caller's transaction, together with the caller's own writes: all or none.
--   result  what is kept for those who wait for the job; may be NULL
-- Writes: receipt, result, and lease or settled. Locks: the lease row, shared: other jobs of the lease do not wait,
-- a rescue passes it by. Errors: HD010 the job is not this lease's any more; roll back, and let go of it.
CREATE OR REPLACE FUNCTION howdah.complete_in(lease_id bigint, job_id bigint, run_ms integer DEFAULT NULL, result jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.settle_in(complete_in.lease_id, complete_in.job_id, 1, complete_in.run_ms);
  IF complete_in.result IS NOT NULL THEN
    PERFORM howdah.keep_results(ARRAY[complete_in.job_id], ARRAY[complete_in.result], ARRAY[complete_in.job_id]);
  END IF;
END $$;
