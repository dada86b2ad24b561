-- howdah.pause_queue(queue, by, reason, lasts) -> boolean
-- Stops claims from a queue until resume_queue, over restarts. What runs goes on, and a claim that has begun may still take what it saw.
-- Of one that is paused, who, why and for how long are replaced. Returns whether it was running before.
--   lasts  the keeper resumes it after so long, within some seconds, a second to 10 years; NULL: nobody but resume_queue does
-- Writes: queue, command. Errors: HD001 unknown queue, HD002 by or reason is too long, or lasts out of range.
CREATE OR REPLACE FUNCTION howdah.pause_queue(queue text, by text DEFAULT NULL, reason text DEFAULT NULL, lasts interval DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was timestamptz;
BEGIN
  PERFORM howdah.check_pause(pause_queue.by, pause_queue.reason);
  IF pause_queue.lasts NOT BETWEEN '1 second' AND '10 years' THEN
    PERFORM howdah.option_refused('lasts', 'must be 1 second to 10 years');
  END IF;
  SELECT q.paused_at INTO v_was FROM howdah.queue q WHERE q.name = pause_queue.queue FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(pause_queue.queue);
  END IF;
  UPDATE howdah.queue q SET paused_at = coalesce(q.paused_at, howdah.now()), paused_by = howdah.who_acts(pause_queue.by),
    pause_reason = pause_queue.reason, resume_at = howdah.now() + pause_queue.lasts WHERE q.name = pause_queue.queue;
  PERFORM howdah.note('pause_queue', jsonb_build_object('queue', pause_queue.queue), pause_queue.by, pause_queue.reason,
    jsonb_strip_nulls(jsonb_build_object('lasts', pause_queue.lasts::text)));
  RETURN v_was IS NULL;
END $$;
