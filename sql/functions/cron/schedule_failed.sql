-- howdah.schedule_failed(worker_id, term, schedule, turn, message) -> boolean
-- Notes that a schedule could not be worked out or fired, where people see it, and lets the keeper try again: after a
-- second, two, four ... half a minute. Its slot is not lost. Returns whether it was noted: not if the schedule was changed
-- meanwhile, or somebody is changing it.
-- Writes: schedule. Locks: its row, if nobody else has it. Errors: HD011 another keeper was elected.
CREATE OR REPLACE FUNCTION howdah.schedule_failed(worker_id bigint, term bigint, schedule text, turn bigint, message text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM howdah.must_be_keeper(schedule_failed.worker_id, schedule_failed.term);
  PERFORM FROM howdah.schedule s WHERE s.name = schedule_failed.schedule AND s.turn = schedule_failed.turn FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE howdah.schedule s
     SET failures = s.failures + 1, error = left(schedule_failed.message, 1000), error_at = howdah.now(),
         look_at = howdah.now() + make_interval(secs => least(30, 2 ^ least(s.failures, 5)))
   WHERE s.name = schedule_failed.schedule;
  RETURN true;
END $$;
