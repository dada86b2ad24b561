-- howdah.pause_schedule(schedule, by, reason) -> boolean
-- Fires no slot until resume_schedule, over restarts and whatever programs declare. Slots that pass meanwhile are not
-- missed, they are left out. Returns whether it was running before.
-- Writes: schedule, command. Errors: HD002 unknown schedule; by (256 bytes) or reason (1024) is too long.
CREATE OR REPLACE FUNCTION howdah.pause_schedule(schedule text, by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_was timestamptz;
BEGIN
  PERFORM howdah.check_pause(pause_schedule.by, pause_schedule.reason);
  SELECT s.paused_at INTO v_was FROM howdah.schedule s WHERE s.name = pause_schedule.schedule FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_schedule(pause_schedule.schedule);
  END IF;
  UPDATE howdah.schedule s
     SET paused_at = coalesce(s.paused_at, howdah.now()), paused_by = howdah.who_acts(pause_schedule.by),
         pause_reason = pause_schedule.reason, turn = s.turn + 1, next_at = NULL, look_at = 'infinity'
   WHERE s.name = pause_schedule.schedule;
  PERFORM howdah.note('pause_schedule', jsonb_build_object('schedule', pause_schedule.schedule), pause_schedule.by, pause_schedule.reason);
  RETURN v_was IS NULL;
END $$;
