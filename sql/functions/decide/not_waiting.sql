-- howdah.not_waiting(job_id, state, what) -> never returns
-- Says that something cannot be done to a job in this state. Internal. Errors: HD007.
CREATE OR REPLACE FUNCTION howdah.not_waiting(job_id bigint, state text, what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'job % is % and cannot be %', not_waiting.job_id, not_waiting.state, not_waiting.what
    USING ERRCODE = 'HD007', COLUMN = 'job_id',
      HINT = CASE not_waiting.state WHEN 'running' THEN 'Cancel it: SELECT howdah.cancel(id)' WHEN 'dead' THEN 'Run it again: SELECT howdah.retry(id)'
             ELSE 'It has ended.' END;
END $$;
