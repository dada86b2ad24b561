-- howdah.reschedule(job_id, run_at, delay) -> text
-- Sets when a job that waits is due, in the caller's transaction; exactly one of run_at and delay. Attempts that were
-- made stay counted. Returns the state that it is in then, 'scheduled', or 'ready' if that time is past, or 'blocked' if
-- it waits for other jobs first; NULL: there is no such job.
-- Writes: ticket, deferred. Locks: its row, and waits for whoever has it; if it stands for other jobs too, they wait for
-- this commit: see howdah.isolate.
-- Errors: HD002 invalid argument; HD007 the job does not wait; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.reschedule(job_id bigint, run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_due   timestamptz := coalesce(reschedule.run_at, v_now + reschedule.delay);
  w       record;
  v_state text;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_job('any', 0, reschedule.run_at, reschedule.delay, NULL, NULL);
  IF v_due IS NULL THEN
    RAISE EXCEPTION 'give run_at or delay' USING ERRCODE = 'HD002', COLUMN = 'run_at';
  END IF;
  -- An attempt may fail while we look, and its job wait: each round sees the newest.
  FOR round IN 1..5 LOOP
    w := howdah.single_out(reschedule.job_id);
    EXIT WHEN w.state IS NOT NULL;
    v_state := howdah.state(reschedule.job_id);
    IF v_state IS NULL THEN
      RETURN NULL;
    END IF;
    IF round = 5 OR v_state NOT IN ('ready', 'scheduled', 'blocked') THEN
      PERFORM howdah.not_waiting(reschedule.job_id, v_state, 'rescheduled');
    END IF;
  END LOOP;
  IF w.gate = 'dependencies' THEN
    PERFORM howdah.set_due(reschedule.job_id, v_due);
    RETURN 'blocked';
  END IF;
  PERFORM howdah.drop_waiting(reschedule.job_id, w.state, w.queue_id, w.priority);
  IF v_due > v_now THEN
    PERFORM howdah.defer(v_due, reschedule.job_id, 1, w.queue_id, w.kind, w.priority, w.attempt, w.gates);
    RETURN 'scheduled';
  END IF;
  PERFORM howdah.put_back(ARRAY[reschedule.job_id], ARRAY[w.attempt]);
  RETURN 'ready';
END $$;
