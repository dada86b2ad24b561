-- howdah.selected_queues(queue) -> integer[]
-- The id of a queue, or of all of them for NULL. Internal. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.selected_queues(queue text) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues integer[] := ARRAY(SELECT q.id FROM howdah.queue q WHERE selected_queues.queue IS NULL OR q.name = selected_queues.queue);
BEGIN
  IF v_queues = '{}' THEN
    PERFORM howdah.unknown_queue(selected_queues.queue);
  END IF;
  RETURN v_queues;
END $$;
