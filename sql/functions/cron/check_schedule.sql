-- howdah.check_schedule(schedule) -> void
-- Refuses a schedule that could not be fired, as far as can be told here. Internal to set_schedule.
-- Reads: queue. Errors: HD001 unknown queue, HD002 (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.check_schedule(schedule howdah.schedule) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_most integer;
  -- As a value of its own: what comes from a table may be compressed.
  v_size integer := pg_column_size((check_schedule.schedule).payload #> '{}');
BEGIN
  PERFORM howdah.check_expression((check_schedule.schedule).expression);
  PERFORM howdah.check_timezone((check_schedule.schedule).timezone);
  PERFORM howdah.check_job((check_schedule.schedule).kind, (check_schedule.schedule).priority, NULL, NULL,
    (check_schedule.schedule).max_attempts, (check_schedule.schedule).options);
  IF (check_schedule.schedule).options ?| '{id,expires_at,unique,schedule}' THEN
    PERFORM howdah.option_refused('options', 'of a schedule are for each of its jobs: id, expires_at, unique and schedule make no sense');
  END IF;
  SELECT q.max_payload_bytes INTO v_most FROM howdah.queue q WHERE q.name = (check_schedule.schedule).queue;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue((check_schedule.schedule).queue);
  ELSIF v_size > v_most THEN
    PERFORM howdah.payload_refused((check_schedule.schedule).queue, v_size, v_most);
  END IF;
END $$;
