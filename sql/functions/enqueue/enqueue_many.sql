-- howdah.enqueue_many(kind, payloads, queue, priority, run_at, delay, max_attempts, options) -> (first_id, jobs)
-- Enqueues any number of jobs that differ only in their payloads, in the caller's transaction, in order.
-- Arguments as for howdah.enqueue; payloads: a thousand to ten thousand per call is best, 100,000 the most.
-- Returns the ids as runs of consecutive ids, in order: first_id, first_id + 1, ... jobs of them.
-- Writes: job, one ticket (or deferred row) for each 128 jobs, and expiry for jobs that have one. Locks: as howdah.enqueue.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field), HD005 the queue is full. All jobs or none.
-- Cost: one index entry a job.
CREATE OR REPLACE FUNCTION howdah.enqueue_many(
  kind text, payloads jsonb[], queue text DEFAULT 'default', priority integer DEFAULT 5,
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, max_attempts integer DEFAULT NULL,
  options jsonb DEFAULT NULL)
RETURNS TABLE (first_id bigint, jobs integer) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_count  integer := cardinality(enqueue_many.payloads);
  v_blocks bigint[];
  v_queue  howdah.queue;
  v_fit    integer;
  v_now    timestamptz := howdah.now();
  v_due    timestamptz;
  v_options jsonb := enqueue_many.options;
  v_gates  text[];
BEGIN
  PERFORM howdah.check_job(enqueue_many.kind, enqueue_many.priority, enqueue_many.run_at, enqueue_many.delay, enqueue_many.max_attempts,
    enqueue_many.options);
  v_due := coalesce(enqueue_many.run_at, v_now + enqueue_many.delay);
  IF v_count IS NULL OR v_count > 100000 OR array_ndims(enqueue_many.payloads) > 1 THEN
    RAISE EXCEPTION 'payloads must be a flat array of at most 100000, not %', coalesce(v_count::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'payloads', HINT = 'Call it several times in one transaction.';
  END IF;
  SELECT * INTO v_queue FROM howdah.queue q WHERE q.name = enqueue_many.queue;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(enqueue_many.queue);
  END IF;
  IF v_count = 0 THEN
    RETURN;
  END IF;
  IF array_position(enqueue_many.payloads, NULL) IS NOT NULL THEN
    PERFORM howdah.payload_refused(enqueue_many.queue, NULL, NULL);
  END IF;
  IF v_options IS NOT NULL THEN
    v_options := howdah.stored_options(v_options, v_now);
    v_gates := howdah.gates_of(v_options);
    IF v_options ? 'depends_on' THEN
      v_options := v_options || jsonb_build_object('depends_on', howdah.resolve_parents(v_options -> 'depends_on'))
        || CASE WHEN v_due > v_now THEN jsonb_build_object('due_at', v_due) ELSE '{}' END;
    END IF;
  END IF;
  -- After resolve_parents, which may lock a workflow: add_to_workflow locks the workflow first.
  IF v_queue.max_jobs IS NOT NULL THEN
    PERFORM howdah.make_room(v_queue, v_count);
  END IF;
  IF enqueue_many.options ? 'id' THEN
    v_blocks := ARRAY[howdah.reserved_id((enqueue_many.options ->> 'id')::bigint, v_count)];
  ELSE
    SELECT array_agg(nextval('howdah.block_seq') << 7) INTO v_blocks FROM generate_series(1, (v_count + 127) / 128);
  END IF;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
  SELECT v_blocks[((u.n - 1) >> 7) + 1] + ((u.n - 1) & 127), v_now, v_queue.id, enqueue_many.priority,
         coalesce(enqueue_many.max_attempts, v_queue.max_attempts), enqueue_many.kind, u.payload, v_options
    FROM unnest(enqueue_many.payloads) WITH ORDINALITY u(payload, n)
   WHERE pg_column_size(u.payload) <= v_queue.max_payload_bytes;
  GET DIAGNOSTICS v_fit = ROW_COUNT;
  IF v_fit < v_count THEN
    PERFORM howdah.payload_refused(enqueue_many.queue, max(pg_column_size(u)), v_queue.max_payload_bytes) FROM unnest(enqueue_many.payloads) u;
  END IF;
  IF v_options ? 'depends_on' THEN
    PERFORM howdah.enqueue_blocked(ARRAY(SELECT v_blocks[(n >> 7) + 1] + (n & 127) FROM generate_series(0, v_count - 1) n),
      v_queue.id, enqueue_many.kind, enqueue_many.priority, v_gates, v_options);
  ELSIF v_due > v_now THEN
    PERFORM howdah.defer(v_due, b.first_id, least(128, v_count - (b.n - 1)::integer * 128), v_queue.id, enqueue_many.kind, enqueue_many.priority, 0, v_gates)
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
  ELSIF v_options ? 'fair_key' THEN
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
    SELECT 'infinity', b.first_id, v_queue.id, enqueue_many.priority, least(128, v_count - (b.n - 1) * 128), 0, enqueue_many.kind, v_gates,
           howdah.lane_of(v_queue.id, v_options ->> 'fair_key')
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
    PERFORM howdah.wake(v_queue.id);
  ELSE
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates)
    SELECT b.first_id, v_queue.id, v_queue.fresh_slot, enqueue_many.priority, least(128, v_count - (b.n - 1) * 128), 0, enqueue_many.kind, v_gates
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
    PERFORM howdah.wake(v_queue.id);
  END IF;
  IF v_options ? 'order_key' THEN
    INSERT INTO howdah.ordered (key, job_id, passed_by)
    SELECT v_options ->> 'order_key', v_blocks[(n >> 7) + 1] + (n & 127), v_options ? 'depends_on' FROM generate_series(0, v_count - 1) n;
  END IF;
  IF v_options ? 'expires_at' THEN
    PERFORM howdah.expire_at((v_options ->> 'expires_at')::timestamptz, v_blocks, v_count);
  END IF;
  RETURN QUERY SELECT b.first_id, least(128, v_count - (b.n - 1)::integer * 128)
    FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
END $$;
