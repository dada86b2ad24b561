-- howdah.retry_from(job_id, from_step) -> text
-- Runs a job again, as howdah.retry does, but has it forget this step and all that were kept after it; NULL: all, so that
-- it begins from the start. Returns 'ready'; NULL: there is no such job.
-- Writes: see forget_steps and retry. Errors: those of both.
CREATE OR REPLACE FUNCTION howdah.retry_from(job_id bigint, from_step text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF howdah.forget_steps(retry_from.job_id, retry_from.from_step) IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN howdah.retry(retry_from.job_id);
END $$;
