-- howdah.set_queue(queue, settings) -> jsonb
-- Changes settings of a queue, over restarts: SELECT howdah.set_queue('mail', '{"max_attempts": 5, "max_jobs": null}').
--   settings  an object with the settings to change; the others stay. null: back to the default. Each is a column of
--             howdah.queue: times in milliseconds where the name says so, spans of time as '7 days'.
-- Running workers and clients go by it within a second or two. Returns all settings after the change.
-- Writes: queue, command. Locks: its row; nobody who enqueues or claims needs it.
-- Errors: HD001 unknown queue, HD002 no such setting or a value that it may not have (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.set_queue(queue text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was jsonb := howdah.queue_settings(set_queue.queue);
  v_now jsonb;
BEGIN
  PERFORM howdah.change_settings('queue', set_queue.queue, set_queue.settings);
  v_now := howdah.queue_settings(set_queue.queue);
  PERFORM howdah.note_changes('set_queue', jsonb_build_object('queue', set_queue.queue), v_was, v_now);
  RETURN v_now;
END $$;
