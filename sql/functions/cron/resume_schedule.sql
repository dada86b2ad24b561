-- howdah.resume_schedule(schedule) -> boolean
-- Lets a paused schedule go on with the first slot after now. Returns whether it was paused.
-- Writes: schedule, command. Errors: HD002 unknown schedule.
CREATE OR REPLACE FUNCTION howdah.resume_schedule(schedule text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_was  timestamptz;
  v_from timestamptz;
BEGIN
  SELECT s.paused_at, s.every_from INTO v_was, v_from FROM howdah.schedule s WHERE s.name = resume_schedule.schedule FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_schedule(resume_schedule.schedule);
  END IF;
  IF v_was IS NOT NULL THEN
    UPDATE howdah.schedule s SET paused_at = NULL, paused_by = NULL, pause_reason = NULL WHERE s.name = resume_schedule.schedule;
    PERFORM howdah.restart_schedule(resume_schedule.schedule, v_from, howdah.now());
    PERFORM howdah.note('resume_schedule', jsonb_build_object('schedule', resume_schedule.schedule));
  END IF;
  RETURN v_was IS NOT NULL;
END $$;
