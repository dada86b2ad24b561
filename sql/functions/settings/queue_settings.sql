-- howdah.queue_settings(queue) -> jsonb
-- All settings of a queue as an object, null where there is none. Reads: queue. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.queue_settings(queue text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_settings jsonb := howdah.settings_of('queue', queue_settings.queue);
BEGIN
  IF v_settings IS NULL THEN
    PERFORM howdah.unknown_queue(queue_settings.queue);
  END IF;
  RETURN v_settings;
END $$;
