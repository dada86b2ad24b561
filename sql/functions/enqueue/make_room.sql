-- howdah.make_room(queue, jobs) -> void
-- Holds a bounded queue to its max_jobs: refuses if so many more jobs would be too many, and else keeps others from
-- enqueueing into it until the caller's transaction ends, so that the bound holds under any number of them.
-- Does nothing for a queue without a bound. Whatever enqueues calls this before it writes. What comes back to the
-- queue, as a dead job that is retried, may go beyond the bound. Internal.
-- Locks: an advisory lock of the queue, until the transaction ends: other enqueuers of this queue wait for it. Of two
-- transactions that enqueue into the same two bounded queues in different order, PostgreSQL ends one (40P01).
-- Errors: HD002 more jobs than would ever fit, HD005 the queue is full (DETAIL: its name and counts as JSON), HD012 the
-- transaction is not READ COMMITTED and would not see what others have enqueued.
-- Cost: see unfinished.
CREATE OR REPLACE FUNCTION howdah.make_room(queue howdah.queue, jobs integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_most integer := (make_room.queue).max_jobs;
  v_name text := (make_room.queue).name;
  v_jobs bigint;
BEGIN
  IF v_most IS NULL THEN
    RETURN;
  END IF;
  IF make_room.jobs > v_most THEN
    RAISE EXCEPTION 'these are % jobs, and queue % takes at most % (max_jobs)', make_room.jobs, v_name, v_most
      USING ERRCODE = 'HD002', COLUMN = 'payloads', HINT = 'Enqueue them in smaller parts.';
  END IF;
  IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
    RAISE EXCEPTION 'queue % is bounded (max_jobs): enqueueing needs a transaction that is READ COMMITTED, not %', v_name,
      upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'HD012', HINT = 'Enqueue in a transaction of its own, or take the bound off the queue.';
  END IF;
  PERFORM pg_advisory_xact_lock('howdah.queue'::regclass::oid::bigint << 32 | (make_room.queue).id);
  v_jobs := howdah.unfinished((make_room.queue).id, v_most);
  IF v_jobs + make_room.jobs > v_most THEN
    RAISE EXCEPTION 'queue % is full: % of max_jobs %', v_name, v_jobs, v_most
      USING ERRCODE = 'HD005', COLUMN = 'queue', DETAIL = jsonb_build_object('queue', v_name, 'jobs', v_jobs, 'max_jobs', v_most),
        HINT = 'Enqueue again when jobs have ended (howdah.wait_for_space), or raise the bound: howdah.set_queue';
  END IF;
END $$;
