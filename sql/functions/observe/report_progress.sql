-- howdah.report_progress(lease_id, job_id, percent, message, checkpoint) -> void
-- Says how far a running job is, and where its next attempt can go on. NULL leaves what was said before.
--   percent     0 to 100
--   message     for people; cut at 1000 characters
--   checkpoint  for the next attempt: JSON of at most 64 KiB as text; JSON null clears it
-- Inside of the caller's transaction: with its writes, or not at all.
-- Writes: progress. Locks: the progress row of the job; the lease row, shared: other jobs of the lease do not
-- wait, a rescue passes it by.
-- Errors: HD002 invalid argument; HD010 the job is not this lease's any more: stop working on it.
CREATE OR REPLACE FUNCTION howdah.report_progress(lease_id bigint, job_id bigint, percent real DEFAULT NULL, message text DEFAULT NULL,
  checkpoint jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  PERFORM howdah.check_progress(report_progress.percent, report_progress.checkpoint);
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (report_progress.lease_id & 3) AND l.id = report_progress.lease_id FOR KEY SHARE;
  v_attempt := howdah.attempt_in(v_lease, report_progress.job_id);
  IF v_attempt IS NULL THEN
    PERFORM howdah.lease_lost(report_progress.lease_id, report_progress.job_id);
  END IF;
  INSERT INTO howdah.progress AS p (job_id, attempt, at, percent, message, checkpoint)
    VALUES (report_progress.job_id, v_attempt, howdah.now(), report_progress.percent, left(report_progress.message, 1000),
            nullif(report_progress.checkpoint, 'null'))
  ON CONFLICT (job_id) DO UPDATE
    SET attempt = excluded.attempt, at = excluded.at, percent = coalesce(excluded.percent, p.percent),
        message = coalesce(excluded.message, p.message),
        checkpoint = CASE WHEN report_progress.checkpoint IS NULL THEN p.checkpoint ELSE excluded.checkpoint END;
END $$;
