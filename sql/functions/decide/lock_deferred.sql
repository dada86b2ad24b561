-- howdah.lock_deferred(job_id, skip) -> deferred
-- Locks the deferred row that holds a job and returns it; NULLs if there is none. skip: not if somebody else has locked
-- it. Internal. Locks: that row.
CREATE OR REPLACE FUNCTION howdah.lock_deferred(job_id bigint, skip boolean) RETURNS howdah.deferred
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := lock_deferred.job_id >> 7 << 7;
  d       howdah.deferred;
BEGIN
  IF lock_deferred.skip THEN
    SELECT k.* INTO d FROM howdah.deferred k WHERE k.first_id BETWEEN v_block AND lock_deferred.job_id
       AND lock_deferred.job_id < k.first_id + k.jobs FOR UPDATE SKIP LOCKED;
  ELSE
    SELECT k.* INTO d FROM howdah.deferred k WHERE k.first_id BETWEEN v_block AND lock_deferred.job_id
       AND lock_deferred.job_id < k.first_id + k.jobs FOR UPDATE;
  END IF;
  RETURN d;
END $$;
