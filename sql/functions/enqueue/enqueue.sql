-- howdah.enqueue(kind, payload, queue, priority, run_at, delay, max_attempts, options) -> bigint
-- Enqueues one job in the caller's transaction: it exists if and only if that transaction commits.
--   kind          what is to be done: the name of a handler, 1 to 128 bytes
--   payload       any JSON; at most the queue's max_payload_bytes
--   queue         must exist
--   priority      0 (first) to 9 (last)
--   run_at, delay when it is due, by the server's clock; at most one of them; the past means at once, infinity
--                 that it is parked: it waits until howdah.retry
--   max_attempts  how often it is tried before it is dead; NULL: as the queue says
--   options       what few jobs have: attributes, expires_at or ttl_ms, timeout_ms, retry, version, traceparent, id;
--                 see howdah.check_options
-- Returns the job's id.
-- Writes: job and ticket, or job and deferred. Notifies at commit only if a worker of the queue sleeps.
-- Locks: row-exclusive on those tables; no row or key that another enqueuer needs.
--   A queue with a bound (max_jobs) is the exception: see make_room.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field), HD005 the queue is full.
-- Cost: two inserts with one index entry each; about 380 bytes of WAL.
-- Written for speed: a statement or an expression more is felt here, so one lookup decides whether all is
-- well and common, and whatever is not (options, a delay) goes to howdah.enqueue_slowly.
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
  v_slot     smallint;
  v_asleep   boolean;
BEGIN
  SELECT nextval('howdah.block_seq') << 7, q.id, coalesce(enqueue.max_attempts, q.max_attempts), q.fresh_slot,
         EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id)
    INTO v_id, v_queue, v_attempts, v_slot, v_asleep
    FROM howdah.queue q
   WHERE q.name = enqueue.queue AND enqueue.priority BETWEEN 0 AND 9 AND enqueue.run_at IS NULL AND enqueue.delay IS NULL
     AND octet_length(enqueue.kind) BETWEEN 1 AND 128 AND enqueue.kind !~ '[[:cntrl:]]'
     AND pg_column_size(enqueue.payload) <= q.max_payload_bytes AND coalesce(enqueue.max_attempts, 1) BETWEEN 1 AND 1000
     AND enqueue.options IS NULL AND q.max_jobs IS NULL;
  IF v_id IS NULL THEN
    RETURN howdah.enqueue_slowly(enqueue.kind, enqueue.payload, enqueue.queue, enqueue.priority, enqueue.run_at, enqueue.delay,
      enqueue.max_attempts, enqueue.options);
  END IF;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    VALUES (v_id, howdah.now(), v_queue, enqueue.priority, v_attempts, enqueue.kind, enqueue.payload, NULL);
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
    VALUES (v_id, v_queue, v_slot, enqueue.priority, 1, 0, enqueue.kind);
  IF v_asleep THEN
    PERFORM pg_notify('howdah.wake', v_queue::text);
  END IF;
  RETURN v_id;
END $$;
