-- howdah.begin_sleep(lease_id, job_id, name, delay_ms) -> bigint
-- A durable sleep of a running job. The first call fixes when it is over; the later ones, of whichever attempt, leave that.
-- Returns the milliseconds that are left; 0: it is over, go on. Otherwise end the attempt with the verdict `wait`
-- (howdah.fail): the job runs again when the time has come, the attempt is not counted, and nothing is held meanwhile.
--   name      as of any step: 1 to 128 bytes, once for each job
--   delay_ms  0 to 100 years
-- Writes: step. Locks: the lease row, shared, until the transaction ends: call it in one of its own.
-- Errors: HD002 invalid argument; HD010 the job is not this lease's any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.begin_sleep(lease_id bigint, job_id bigint, name text, delay_ms bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_attempt smallint;
  s         howdah.step;
BEGIN
  PERFORM howdah.check_step(begin_sleep.name);
  IF begin_sleep.delay_ms IS NULL OR begin_sleep.delay_ms NOT BETWEEN 0 AND 3155760000000 THEN
    PERFORM howdah.option_refused('delay_ms', 'must be 0 to 100 years');
  END IF;
  v_attempt := howdah.step_attempt(begin_sleep.lease_id, begin_sleep.job_id);
  SELECT * INTO s FROM howdah.step k WHERE k.job_id = begin_sleep.job_id AND k.name = begin_sleep.name FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    s.state := CASE begin_sleep.delay_ms WHEN 0 THEN 'done' ELSE 'waiting' END;
    s.wakes_at := v_now + make_interval(secs => begin_sleep.delay_ms / 1000.0);
    PERFORM howdah.add_step(begin_sleep.job_id, v_attempt, begin_sleep.name, 'sleep', s.state, s.wakes_at, NULL);
  ELSIF s.kind <> 'sleep' THEN
    PERFORM howdah.option_refused('name', format('%L is a %s of this job, and no sleep', s.name, s.kind));
  ELSIF s.state = 'waiting' AND s.wakes_at <= v_now THEN
    UPDATE howdah.step k SET state = 'done' WHERE k.job_id = s.job_id AND k.name = s.name;
    s.state := 'done';
  END IF;
  RETURN CASE s.state WHEN 'done' THEN 0 ELSE greatest(1, ceil(extract(epoch FROM s.wakes_at - v_now) * 1000)) END;
END $$;
