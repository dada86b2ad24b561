-- howdah.resume_queue(queue) -> boolean
-- Lets claims from a paused queue go on, and wakes its workers. Returns whether it was paused.
-- Writes: queue, command. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.resume_queue(queue text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id  integer;
  v_was timestamptz;
BEGIN
  SELECT q.id, q.paused_at INTO v_id, v_was FROM howdah.queue q WHERE q.name = resume_queue.queue FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(resume_queue.queue);
  END IF;
  UPDATE howdah.queue q SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, resume_at = NULL WHERE q.id = v_id;
  PERFORM howdah.wake(v_id);
  IF v_was IS NOT NULL THEN
    PERFORM howdah.note('resume_queue', jsonb_build_object('queue', resume_queue.queue));
  END IF;
  RETURN v_was IS NOT NULL;
END $$;
