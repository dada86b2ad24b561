-- howdah.selected_queues(queue) -> integer[]
-- The ids of a queue (also of those of that name that were deleted and have a history), or of all for NULL. Internal. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.selected_queues(queue text) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues integer[] := ARRAY(SELECT q.id FROM howdah.all_queues q WHERE selected_queues.queue IS NULL OR q.name = selected_queues.queue);
BEGIN
  IF v_queues = '{}' THEN
    PERFORM howdah.unknown_queue(selected_queues.queue);
  END IF;
  RETURN v_queues;
END $$;
