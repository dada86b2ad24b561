-- howdah.is_locked(job_id) -> boolean
-- Whether somebody else has the row locked that a job waits in: for chores that must not wait. Internal.
-- Locks: that row, if nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.is_locked(job_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := is_locked.job_id >> 7 << 7;
  j       record;
BEGIN
  SELECT f.queue_id, f.priority INTO j FROM howdah.find_job(is_locked.job_id) f;
  IF EXISTS (SELECT FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
              AND k.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < k.first_id + k.jobs) THEN
    PERFORM FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
       AND k.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < k.first_id + k.jobs FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND;
  END IF;
  IF EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < d.first_id + d.jobs) THEN
    PERFORM FROM howdah.deferred d
      WHERE d.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < d.first_id + d.jobs FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND;
  END IF;
  RETURN false;
END $$;
