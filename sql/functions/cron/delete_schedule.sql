-- howdah.delete_schedule(schedule) -> boolean
-- Deletes a schedule and the history of its firings; the jobs that it has enqueued stay. Returns false if there is none.
-- A program that declares it makes it again when it starts: to stop one for good, pause it.
-- Writes: schedule, firing, command. Locks: its row. Errors: none.
CREATE OR REPLACE FUNCTION howdah.delete_schedule(schedule text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  DELETE FROM howdah.schedule s WHERE s.name = delete_schedule.schedule;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM howdah.firing f WHERE f.schedule = delete_schedule.schedule;
  PERFORM howdah.note('delete_schedule', jsonb_build_object('schedule', delete_schedule.schedule));
  RETURN true;
END $$;
