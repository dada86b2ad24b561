-- howdah.wait_for_space(queue, timeout) -> boolean
-- Waits until a bounded queue takes at least one more job. Returns whether it does; at once for a queue without a
-- bound. It promises nothing: somebody else may be faster, so enqueue and be ready to wait again.
--   timeout  zero to an hour
-- Meant for psql and scripts: while it waits it keeps its connection and a snapshot. Call it outside of your transaction.
-- Reads: queue, and see unfinished. Locks: none. Errors: HD001 unknown queue, HD002 invalid timeout, HD012 the
-- transaction is not READ COMMITTED and would never see room.
CREATE OR REPLACE FUNCTION howdah.wait_for_space(queue text, timeout interval DEFAULT '1 minute') RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queue howdah.queue;
  v_left  float8 := extract(epoch FROM wait_for_space.timeout);
  v_pause float8 := 0.01;
BEGIN
  IF v_left IS NULL OR v_left NOT BETWEEN 0 AND 3600 THEN
    RAISE EXCEPTION 'timeout must be zero to an hour, not %', coalesce(wait_for_space.timeout::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'timeout';
  END IF;
  IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
    RAISE EXCEPTION 'waiting for space needs a transaction that is READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'HD012', HINT = 'Call it outside of your transaction.';
  END IF;
  LOOP
    SELECT * INTO v_queue FROM howdah.queue q WHERE q.name = wait_for_space.queue;
    IF NOT FOUND THEN
      PERFORM howdah.unknown_queue(wait_for_space.queue);
    END IF;
    IF v_queue.max_jobs IS NULL OR howdah.unfinished(v_queue.id, v_queue.max_jobs) < v_queue.max_jobs THEN
      RETURN true;
    END IF;
    IF v_left <= 0 THEN
      RETURN false;
    END IF;
    -- Not all at once, and less often the longer it takes.
    v_pause := least(v_left, 0.25, v_pause * (1 + random()));
    PERFORM pg_sleep(v_pause);
    v_left := v_left - v_pause;
  END LOOP;
END $$;
