-- howdah.fire_schedule(worker_id, term, schedule, turn, due, missed, through, next_at) -> bigint[]
-- Enqueues the jobs of slots of a schedule and moves it on to its next slot, in one transaction: a keeper that is killed
-- has done all of it or nothing. Called by the keeper, with what it has worked out from howdah.due_schedules.
--   turn     of the schedule when it was read. If it is another one by now, another keeper was faster or somebody has
--            changed the schedule, and nothing is done
--   due      the slots to fire, in order; at most 1000
--   missed   how many of the first of them are fired too late
--   through  slots until here, included, are dealt with, whether they are in `due` or not
--   next_at  the first slot after that
-- Returns the jobs; NULL if nothing was done.
-- Writes: schedule, firing, and see fire_slot. Locks: the schedule's row; if somebody else has it, nothing is done.
-- Errors: HD002 what was worked out makes no sense, HD011 another keeper was elected, and those of enqueueing.
CREATE OR REPLACE FUNCTION howdah.fire_schedule(
  worker_id bigint, term bigint, schedule text, turn bigint, due timestamptz[], missed integer, through timestamptz, next_at timestamptz)
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_schedule howdah.schedule;
  v_jobs     bigint[] := '{}';
  v_last     timestamptz;
  v_at       timestamptz;
BEGIN
  PERFORM howdah.must_be_keeper(fire_schedule.worker_id, fire_schedule.term);
  SELECT * INTO v_schedule FROM howdah.schedule s
   WHERE s.name = fire_schedule.schedule AND s.turn = fire_schedule.turn AND s.paused_at IS NULL FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  v_last := v_schedule.after_at;
  IF fire_schedule.due IS NULL OR cardinality(fire_schedule.due) > 1000 OR fire_schedule.through IS NULL OR fire_schedule.through < v_last
     OR fire_schedule.next_at IS NULL OR fire_schedule.next_at <= fire_schedule.through OR fire_schedule.through > greatest(v_last, howdah.now()) THEN
    PERFORM howdah.option_refused('next_at', 'must be after the slots that are dealt with, and those after the ones before and not later than now');
  END IF;
  FOREACH v_at IN ARRAY fire_schedule.due LOOP
    IF v_at IS NULL OR v_at <= v_last OR v_at > fire_schedule.through THEN
      PERFORM howdah.option_refused('due', 'must be slots in order, after those that are dealt with');
    END IF;
    v_jobs := v_jobs || (SELECT f.job_id FROM howdah.fire_slot(v_schedule, v_at,
      CASE WHEN cardinality(v_jobs) < fire_schedule.missed THEN 'missed' ELSE 'due' END) f);
    v_last := v_at;
  END LOOP;
  UPDATE howdah.schedule s
     SET turn = s.turn + 1, after_at = fire_schedule.through, next_at = fire_schedule.next_at, look_at = fire_schedule.next_at,
         failures = 0, error = NULL, error_at = NULL
   WHERE s.name = fire_schedule.schedule;
  IF cardinality(v_jobs) > 1 OR v_schedule.turn % 32 = 0 THEN
    PERFORM howdah.prune_firings(fire_schedule.schedule);
  END IF;
  RETURN v_jobs;
END $$;
