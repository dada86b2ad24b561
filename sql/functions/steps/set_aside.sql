-- howdah.set_aside(job_id, queue_id, kind, priority, attempt) -> text
-- Puts a job that was taken from its lease aside until the first of what its steps wait for: the verdict `wait` of
-- howdah.fail. If that has come meanwhile, it is ready at once. Returns which: scheduled or ready. Internal.
--   attempt  how many attempts were made
-- This looks for signals in a statement that begins after the waiting step was committed. So of a signal and a wait that
-- happen at once, one sees the other, unless the signal is committed later than this looks: see howdah.deliver_signals.
-- Writes: step, and deferred or ticket.
CREATE OR REPLACE FUNCTION howdah.set_aside(job_id bigint, queue_id integer, kind text, priority integer, attempt integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_due    timestamptz;
  v_result jsonb;
  s        record;
BEGIN
  FOR s IN SELECT k.name, k.kind, k.wakes_at FROM howdah.step k WHERE k.job_id = set_aside.job_id AND k.state = 'waiting' LOOP
    v_result := CASE WHEN s.kind = 'signal' THEN howdah.find_signal(s.name, set_aside.job_id) END;
    IF v_result IS NOT NULL THEN
      UPDATE howdah.step k SET state = 'done', result = v_result, at = v_now WHERE k.job_id = set_aside.job_id AND k.name = s.name;
      v_due := v_now;
    -- What is over is not waited for: the handler may not even have that step any more.
    ELSIF s.wakes_at > v_now THEN
      v_due := least(v_due, s.wakes_at);
    END IF;
  END LOOP;
  IF v_due > v_now THEN
    PERFORM howdah.defer(v_due, set_aside.job_id, 1, set_aside.queue_id, set_aside.kind, set_aside.priority, set_aside.attempt,
      (SELECT howdah.gates_of(j.options) FROM howdah.find_job(set_aside.job_id) j));
    RETURN 'scheduled';
  END IF;
  PERFORM howdah.put_back(ARRAY[set_aside.job_id], ARRAY[set_aside.attempt::smallint]);
  RETURN 'ready';
END $$;
