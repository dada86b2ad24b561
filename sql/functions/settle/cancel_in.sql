-- howdah.cancel_in(lease_id, job_id, run_ms) -> void
-- Cancels one running job inside the transaction of its own handler, together with that one's writes: all or none. It
-- ends as cancelled, and whatever the handler says afterwards changes nothing.
-- Writes: receipt, cancel_request, and lease or settled. Locks: as howdah.complete_in.
-- Errors: HD010 the job is not this lease's any more; roll back, and let go of it.
CREATE OR REPLACE FUNCTION howdah.cancel_in(lease_id bigint, job_id bigint, run_ms integer DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.settle_in(cancel_in.lease_id, cancel_in.job_id, 2, cancel_in.run_ms);
  DELETE FROM howdah.cancel_request c WHERE c.job_id = cancel_in.job_id;
END $$;
