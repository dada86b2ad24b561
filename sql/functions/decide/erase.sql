-- howdah.erase(job_ids) -> void
-- Deletes what was written of jobs that are in no room any more: payload, failures, wishes. What a receipt says of them
-- is numbers, and goes with the history. Internal. Writes: job, job_kept, failure, cancel_request.
CREATE OR REPLACE FUNCTION howdah.erase(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  DELETE FROM howdah.job j WHERE j.id = ANY (erase.job_ids);
  DELETE FROM howdah.job_kept k WHERE k.id = ANY (erase.job_ids);
  DELETE FROM howdah.failure f WHERE f.job_id = ANY (erase.job_ids);
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (erase.job_ids);
END $$;
