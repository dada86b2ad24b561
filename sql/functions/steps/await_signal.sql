-- howdah.await_signal(lease_id, job_id, name, timeout_ms) -> (state, result)
-- A running job waits for a signal (howdah.send_signal) of this name: one that is sent to it or to everybody, before or
-- after. What it has got is kept as a step, and told to every later attempt. Which time out it has is fixed by the first call.
--   name        of the signal, and of the step: 1 to 128 bytes, once for each job
--   timeout_ms  0 to 100 years; NULL: for ever
--   state       done: `result` is the signal's payload; timed out; or waiting: end the attempt with the verdict `wait`
--               (howdah.fail): the job runs again when the signal has come or its time is over, the attempt is not counted,
--               and nothing is held meanwhile
-- Writes: step. Locks: the lease row, shared, until the transaction ends: call it in one of its own.
-- Errors: HD002 invalid argument; HD010 the job is not this lease's any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.await_signal(lease_id bigint, job_id bigint, name text, timeout_ms bigint DEFAULT NULL,
  OUT state text, OUT result jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_attempt smallint;
  v_known   boolean;
  s         howdah.step;
BEGIN
  PERFORM howdah.check_step(await_signal.name);
  IF await_signal.timeout_ms NOT BETWEEN 0 AND 3155760000000 THEN
    PERFORM howdah.option_refused('timeout_ms', 'must be 0 to 100 years, or NULL for ever');
  END IF;
  v_attempt := howdah.step_attempt(await_signal.lease_id, await_signal.job_id);
  SELECT * INTO s FROM howdah.step k WHERE k.job_id = await_signal.job_id AND k.name = await_signal.name FOR NO KEY UPDATE;
  v_known := FOUND;
  IF v_known AND s.kind <> 'signal' THEN
    PERFORM howdah.option_refused('name', format('%L is a %s of this job, and no signal', s.name, s.kind));
  ELSIF NOT v_known THEN
    s.wakes_at := coalesce(v_now + make_interval(secs => await_signal.timeout_ms / 1000.0), 'infinity');
  END IF;
  state := coalesce(s.state, 'waiting');
  result := s.result;
  IF state = 'waiting' THEN
    result := howdah.find_signal(await_signal.name, await_signal.job_id);
    state := CASE WHEN result IS NOT NULL THEN 'done' WHEN s.wakes_at <= v_now THEN 'timed out' ELSE 'waiting' END;
    IF NOT v_known THEN
      PERFORM howdah.add_step(await_signal.job_id, v_attempt, await_signal.name, 'signal', state, s.wakes_at, result);
    ELSIF state <> 'waiting' THEN
      UPDATE howdah.step k SET state = await_signal.state, result = await_signal.result, at = v_now, attempt = v_attempt
       WHERE k.job_id = s.job_id AND k.name = s.name;
    END IF;
  END IF;
END $$;
