-- howdah.step_attempt(lease_id, job_id) -> smallint
-- Which attempt at a job a lease holds, which it goes on to hold until the caller's transaction ends: the fence of all
-- that is written of a job's steps. Internal.
-- Locks: the lease row, shared: other jobs of the lease do not wait, a rescue passes it by.
-- Errors: HD010 the job is not this lease's any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.step_attempt(lease_id bigint, job_id bigint) RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  PERFORM howdah.must_read_committed();
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (step_attempt.lease_id & 3) AND l.id = step_attempt.lease_id FOR KEY SHARE;
  v_attempt := howdah.attempt_in(v_lease, step_attempt.job_id);
  IF v_attempt IS NULL THEN
    PERFORM howdah.lease_lost(step_attempt.lease_id, step_attempt.job_id);
  END IF;
  RETURN v_attempt;
END $$;
