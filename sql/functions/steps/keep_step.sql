-- howdah.keep_step(lease_id, job_id, name, result) -> void
-- Keeps what a step of a running job has given, so that it is not done again: later attempts read it (howdah.get_steps).
-- Inside of the caller's transaction: with its writes, or not at all, which makes the step's effects exactly once.
--   name    1 to 128 bytes; once for each job
--   result  JSON of at most 256 KiB as text. A job has at most 10,000 steps and 64 MiB of results.
-- Writes: step. Locks: the lease row, shared: other jobs of the lease do not wait, a rescue passes it by.
-- Errors: HD002 invalid argument, or the step is kept already; HD010 the job is not this lease's any more: roll back, and
-- stop working on it; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.keep_step(lease_id bigint, job_id bigint, name text, result jsonb DEFAULT 'null') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.check_step(keep_step.name, keep_step.result);
  PERFORM howdah.add_step(keep_step.job_id, howdah.step_attempt(keep_step.lease_id, keep_step.job_id), keep_step.name, 'step', 'done', NULL,
    coalesce(keep_step.result, 'null'));
END $$;
