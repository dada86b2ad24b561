-- howdah.bury(job_id, queue_id, kind, priority, attempt, reason) -> void
-- Puts a job into the dead-letter room. Internal. Writes: dead, and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.bury(job_id bigint, queue_id integer, kind text, priority integer, attempt integer, reason text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO howdah.dead (job_id, queue_id, priority, attempt, kind, died_at, reason)
    VALUES (bury.job_id, bury.queue_id, bury.priority, bury.attempt, bury.kind, howdah.now(), left(bury.reason, 1000));
  PERFORM howdah.ended(ARRAY[bury.job_id], '{1}', true, true);
END $$;
