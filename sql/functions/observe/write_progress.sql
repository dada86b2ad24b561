-- howdah.write_progress(job_id, attempt, percent, message) -> boolean
-- Writes the progress of a job that the caller has found to be held. Returns false, and writes nothing, when
-- another transaction has the row. Writes: progress. Internal to note_progress.
CREATE OR REPLACE FUNCTION howdah.write_progress(job_id bigint, attempt smallint, percent real, message text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM howdah.progress p WHERE p.job_id = write_progress.job_id FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE howdah.progress p
       SET attempt = write_progress.attempt, at = howdah.now(), percent = coalesce(write_progress.percent, p.percent),
           message = coalesce(left(write_progress.message, 1000), p.message)
     WHERE p.job_id = write_progress.job_id;
    RETURN true;
  END IF;
  IF EXISTS (SELECT FROM howdah.progress p WHERE p.job_id = write_progress.job_id) THEN
    RETURN false;
  END IF;
  INSERT INTO howdah.progress (job_id, attempt, at, percent, message)
    VALUES (write_progress.job_id, write_progress.attempt, howdah.now(), write_progress.percent, left(write_progress.message, 1000))
  ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;
