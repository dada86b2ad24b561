-- howdah.fire_slot(schedule, due_at, how) -> (job_id, hit)
-- Enqueues the job of one slot, and notes that it is fired: both or neither. The job knows the slot by its option
-- `schedule`. Internal to fire_schedule and run_schedule.
-- Writes: firing, and see enqueue_many and enqueue_unique. Errors: theirs; 23505 the slot was fired before.
CREATE OR REPLACE FUNCTION howdah.fire_slot(schedule howdah.schedule, due_at timestamptz, how text, OUT job_id bigint, OUT hit boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  s         howdah.schedule := fire_slot.schedule;
  v_options jsonb := coalesce(s.options, '{}') || jsonb_build_object('schedule', jsonb_build_object('name', s.name, 'due_at', fire_slot.due_at));
BEGIN
  IF s.unique_key IS NULL THEN
    SELECT m.first_id, false INTO fire_slot.job_id, fire_slot.hit
      FROM howdah.enqueue_many(s.kind, ARRAY[s.payload], s.queue, s.priority, NULL, NULL, s.max_attempts, v_options) m;
  ELSE
    SELECT u.id, u.hit INTO fire_slot.job_id, fire_slot.hit
      FROM howdah.enqueue_unique(s.kind, s.payload, s.unique_key, 'live', NULL, 'keep', s.queue, s.priority, NULL, NULL, s.max_attempts, v_options) u;
  END IF;
  INSERT INTO howdah.firing (schedule, due_at, fired_at, how, job_id, hit)
    VALUES (s.name, fire_slot.due_at, howdah.now(), fire_slot.how, fire_slot.job_id, fire_slot.hit);
END $$;
