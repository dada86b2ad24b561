-- howdah.enqueue(kind, payload, queue, priority, run_at, delay, max_attempts, options) -> bigint
-- Enqueues one job in the caller's transaction: it exists if and only if that transaction commits.
--   kind          what is to be done: the name of a handler, 1 to 128 bytes
--   payload       any JSON; at most the queue's max_payload_bytes
--   queue         must exist
--   priority      0 (first) to 9 (last)
--   run_at, delay when it is due, by the server's clock; at most one of them; the past means at once
--   max_attempts  how often it is tried before it is dead; NULL: as the queue says
--   options       rarely used settings; NULL or an object
-- Returns the job's id.
-- Writes: job and ticket, or job and deferred. Notifies at commit only if a worker of the queue sleeps.
-- Locks: row-exclusive on those tables; no row or key that another enqueuer needs.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field).
-- Cost: two inserts with one index entry each; about 380 bytes of WAL.
CREATE OR REPLACE FUNCTION howdah.enqueue(
  kind text, payload jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 5,
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, max_attempts integer DEFAULT NULL,
  options jsonb DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_id       bigint;
  v_queue    integer;
  v_attempts smallint;
  v_bytes    integer;
  v_slot     smallint;
  v_asleep   boolean;
  v_now      timestamptz := howdah.now();
BEGIN
  IF enqueue.kind IS NULL OR octet_length(enqueue.kind) NOT BETWEEN 1 AND 128 OR enqueue.kind ~ '[[:cntrl:]]'
     OR enqueue.priority IS NULL OR enqueue.priority NOT BETWEEN 0 AND 9
     OR coalesce(enqueue.run_at::text, enqueue.delay::text, enqueue.max_attempts::text) IS NOT NULL THEN
    PERFORM howdah.check_job(enqueue.kind, enqueue.priority, enqueue.run_at, enqueue.delay, enqueue.max_attempts);
  END IF;
  SELECT q.id, q.max_attempts, q.max_payload_bytes, r.slot, EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id)
    INTO v_queue, v_attempts, v_bytes, v_slot, v_asleep
    FROM howdah.queue q, howdah.ring r WHERE q.name = enqueue.queue AND r.name = 'ticket';
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(enqueue.queue);
  END IF;
  IF enqueue.payload IS NULL OR pg_column_size(enqueue.payload) > v_bytes THEN
    PERFORM howdah.payload_refused(enqueue.queue, pg_column_size(enqueue.payload), v_bytes);
  END IF;
  v_id := nextval('howdah.block_seq') << 7;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    VALUES (v_id, v_now, v_queue, enqueue.priority, coalesce(enqueue.max_attempts, v_attempts), enqueue.kind, enqueue.payload, enqueue.options);
  IF coalesce(enqueue.run_at, v_now + enqueue.delay) > v_now THEN
    PERFORM howdah.defer(coalesce(enqueue.run_at, v_now + enqueue.delay), v_id, 1, v_queue, enqueue.kind, enqueue.priority, 0);
  ELSE
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
      VALUES (v_id, v_queue, v_slot, enqueue.priority, 1, 0, enqueue.kind);
    IF v_asleep THEN
      PERFORM pg_notify('howdah.wake', v_queue::text);
    END IF;
  END IF;
  RETURN v_id;
END $$;
