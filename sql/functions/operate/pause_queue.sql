-- howdah.pause_queue(queue, by, reason) -> boolean
-- Stops claims from a queue until resume_queue, over restarts. What runs goes on. Returns whether it was
-- running before. Writes: queue. Errors: HD001 unknown queue, HD002 by or reason is too long.
CREATE OR REPLACE FUNCTION howdah.pause_queue(queue text, by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was timestamptz;
BEGIN
  PERFORM howdah.check_pause(pause_queue.by, pause_queue.reason);
  SELECT q.paused_at INTO v_was FROM howdah.queue q WHERE q.name = pause_queue.queue FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(pause_queue.queue);
  END IF;
  UPDATE howdah.queue q SET paused_at = coalesce(q.paused_at, howdah.now()), paused_by = coalesce(pause_queue.by, session_user),
    pause_reason = pause_queue.reason WHERE q.name = pause_queue.queue;
  RETURN v_was IS NULL;
END $$;
