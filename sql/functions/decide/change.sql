-- howdah.change(job_id, payload, priority, queue, max_attempts) -> text
-- Changes a job that waits or is dead, in the caller's transaction; NULL leaves a value as it is. The one place where a
-- job is written a second time.
-- Returns the state that it is in; NULL: there is no such job.
-- Writes: job, and ticket, deferred or dead. Locks: its row, and waits for whoever has it; if it stands for other jobs
-- too, they wait for this commit: see howdah.isolate. Partitions of jobs do not turn until this commit.
-- Errors: HD001 unknown queue, HD002 invalid argument; HD005 the queue that it should move to is full; HD007 the job runs or has ended; HD012 the transaction is not
-- READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.change(job_id bigint, payload jsonb DEFAULT NULL, priority integer DEFAULT NULL, queue text DEFAULT NULL,
  max_attempts integer DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       record;
  v_queue howdah.queue;
  v_state text;
  v_size  integer;
  j       howdah.job;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_job('any', coalesce(change.priority, 5), NULL, NULL, change.max_attempts, NULL);
  IF change.queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = change.queue) THEN
    PERFORM howdah.unknown_queue(change.queue);
  END IF;
  -- An attempt may fail while we look, and its job wait or be dead: each round sees the newest.
  FOR round IN 1..5 LOOP
    w := howdah.single_out(change.job_id);
    v_state := w.state;
    EXIT WHEN v_state IS NOT NULL;
    PERFORM FROM howdah.dead x WHERE x.job_id = change.job_id FOR UPDATE;
    IF FOUND THEN
      v_state := 'dead';
      EXIT;
    END IF;
    v_state := howdah.state(change.job_id);
    IF v_state IS NULL THEN
      RETURN NULL;
    END IF;
    IF round = 5 OR v_state NOT IN ('ready', 'scheduled', 'blocked', 'dead') THEN
      PERFORM howdah.not_waiting(change.job_id, v_state, 'changed');
    END IF;
  END LOOP;
  -- Looked at with the job in hand: while we waited for it somebody may have moved it to another queue.
  SELECT * INTO j FROM howdah.find_job(change.job_id);
  SELECT q.* INTO v_queue FROM howdah.queue q
   WHERE CASE WHEN change.queue IS NULL THEN q.id = j.queue_id ELSE q.name = change.queue END;
  IF NOT FOUND THEN
    -- The one that is named, or the job's own, which was deleted.
    PERFORM howdah.unknown_queue(coalesce(change.queue, (SELECT d.name FROM howdah.deleted_queue d WHERE d.id = j.queue_id)));
  END IF;
  -- Out of an array, where it has its full size, however a table of the caller's has compressed it.
  v_size := (SELECT pg_column_size(u) FROM unnest(ARRAY[change.payload]) u);
  IF v_size > v_queue.max_payload_bytes THEN
    PERFORM howdah.payload_refused(v_queue.name, v_size, v_queue.max_payload_bytes);
  END IF;
  IF j.queue_id <> v_queue.id AND v_state <> 'dead' THEN
    PERFORM howdah.make_room(v_queue, 1);
  END IF;
  j.payload := coalesce(change.payload, j.payload);
  j.priority := coalesce(change.priority, j.priority);
  j.queue_id := v_queue.id;
  j.max_attempts := coalesce(change.max_attempts, j.max_attempts);
  PERFORM howdah.rewrite_job(j);
  IF v_state = 'dead' THEN
    UPDATE howdah.dead x SET queue_id = v_queue.id, priority = coalesce(change.priority, x.priority) WHERE x.job_id = change.job_id;
  ELSIF v_state IN ('scheduled', 'blocked') THEN
    UPDATE howdah.deferred d SET queue_id = v_queue.id, priority = coalesce(change.priority, d.priority) WHERE d.first_id = change.job_id;
  ELSIF v_state = 'ready' AND (v_queue.id <> w.queue_id OR coalesce(change.priority, w.priority) <> w.priority) THEN
    PERFORM howdah.drop_waiting(change.job_id, v_state, w.queue_id, w.priority);
    PERFORM howdah.put_back(ARRAY[change.job_id], ARRAY[w.attempt]);
  END IF;
  RETURN v_state;
END $$;
