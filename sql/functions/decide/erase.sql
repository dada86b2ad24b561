-- howdah.erase(job_ids) -> void
-- Deletes what was written of jobs that are in no room any more: payload, history, wishes. What a receipt says of them
-- is numbers, and goes with the history. Internal. Writes: cancel_request, and see erase_jobs and ended.
CREATE OR REPLACE FUNCTION howdah.erase(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  PERFORM howdah.ended(erase.job_ids, array_fill(1::smallint, ARRAY[cardinality(erase.job_ids)]), failed => true), howdah.erase_jobs(erase.job_ids);
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (erase.job_ids);
END $$;
