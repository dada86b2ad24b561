-- howdah.check_job(kind, priority, run_at, delay, max_attempts, options) -> void
-- Refuses what no job may have. Shared by every way to enqueue. Internal.
-- Errors: HD002 (invalid argument), naming the field in COLUMN and the rule in the message.
CREATE OR REPLACE FUNCTION howdah.check_job(kind text, priority integer, run_at timestamptz, delay interval, max_attempts integer,
  options jsonb)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_job.kind IS NULL OR octet_length(check_job.kind) NOT BETWEEN 1 AND 128 OR check_job.kind ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'kind must be 1 to 128 bytes without control characters, not % bytes',
      coalesce(octet_length(check_job.kind)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'kind', HINT = 'A kind names the handler, such as ''send_email''.';
  END IF;
  IF check_job.priority IS NULL OR check_job.priority NOT BETWEEN 0 AND 9 THEN
    RAISE EXCEPTION 'priority must be 0 to 9, not %', coalesce(check_job.priority::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'priority', HINT = '0 runs first; 5 is the default.';
  END IF;
  IF check_job.max_attempts IS NOT NULL AND check_job.max_attempts NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'max_attempts must be 1 to 1000, not %', check_job.max_attempts
      USING ERRCODE = 'HD002', COLUMN = 'max_attempts', HINT = '1 means that the job is never retried.';
  END IF;
  IF check_job.options IS NOT NULL THEN
    PERFORM howdah.check_options(check_job.options);
  END IF;
  IF check_job.delay IS NOT NULL THEN
    IF check_job.run_at IS NOT NULL THEN
      RAISE EXCEPTION 'give run_at or delay, not both'
        USING ERRCODE = 'HD002', COLUMN = 'delay', HINT = 'run_at is a point in time, delay counts from now.';
    END IF;
    IF check_job.delay < interval '0' OR check_job.delay > interval '100 years' THEN
      RAISE EXCEPTION 'delay must be zero to 100 years, not %', check_job.delay
        USING ERRCODE = 'HD002', COLUMN = 'delay', HINT = 'For a job that runs at once, leave delay out.';
    END IF;
  END IF;
  IF check_job.run_at < 'infinity' AND (check_job.run_at = '-infinity' OR check_job.run_at > timestamptz '9999-01-01') THEN
    RAISE EXCEPTION 'run_at must be a point in time before the year 9999 or infinity, not %', check_job.run_at
      USING ERRCODE = 'HD002', COLUMN = 'run_at', HINT = 'For a job that runs at once, leave run_at out; one at infinity waits until it is retried.';
  END IF;
END $$;
