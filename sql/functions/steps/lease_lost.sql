-- howdah.lease_lost(lease_id, job_id) -> void
-- Refuses what an attempt asks that has lost its job. Internal to steps and report_progress. Errors: HD010, always.
CREATE OR REPLACE FUNCTION howdah.lease_lost(lease_id bigint, job_id bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'job % is not held by lease % any more', lease_lost.job_id, lease_lost.lease_id
    USING ERRCODE = 'HD010', HINT = 'Stop working on it: another worker has the job, or it has ended.';
END $$;
