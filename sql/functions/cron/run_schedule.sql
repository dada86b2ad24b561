-- howdah.run_schedule(schedule) -> (job_id, hit)
-- Enqueues the job of a schedule now, also if it is paused, and changes nothing about when it is due.
--   job_id  the job
--   hit     the schedule has a unique key, which that job has had before: none was enqueued
-- Writes: firing, command, and see enqueue_many and enqueue_unique. Locks: the schedule cannot be deleted until the caller's
-- transaction ends; it is fired meanwhile.
-- Errors: HD001 unknown queue, HD002 unknown schedule, HD005 the queue is full.
CREATE OR REPLACE FUNCTION howdah.run_schedule(schedule text, OUT job_id bigint, OUT hit boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_schedule howdah.schedule;
BEGIN
  SELECT * INTO v_schedule FROM howdah.schedule s WHERE s.name = run_schedule.schedule FOR KEY SHARE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_schedule(run_schedule.schedule);
  END IF;
  SELECT f.job_id, f.hit INTO run_schedule.job_id, run_schedule.hit FROM howdah.fire_slot(v_schedule, howdah.now(), 'by hand') f;
  PERFORM howdah.prune_firings(run_schedule.schedule),
    howdah.note('run_schedule', jsonb_build_object('schedule', run_schedule.schedule, 'job', run_schedule.job_id));
END $$;
