-- howdah.replace_job(job_id, what, payload, queue, priority, due_at, max_attempts, options) -> boolean
-- Gives a job that waits another payload (what: replace_payload), another time (replace_time), or all of what is given
-- (replace), which also makes its attempts start over. Returns whether it waited. Internal to howdah.enqueue_unique.
-- Writes: job, ticket or deferred, expiry, ordered, gate_look, progress, step. Locks: the row that it
-- waits in; waits for a claim of it that is under way. Errors: HD001, HD002.
CREATE OR REPLACE FUNCTION howdah.replace_job(job_id bigint, what text, payload jsonb, queue text, priority integer, due_at timestamptz,
  max_attempts integer, options jsonb)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_queue   howdah.queue;
  v_options jsonb := howdah.stored_options(replace_job.options, v_now);
  v_due     timestamptz := replace_job.due_at;
  v_attempt integer := 0;
  v_gate    text;
  v_left    text;
  w         record;
  v_size    integer;
  j         howdah.job;
BEGIN
  IF replace_job.what = 'replace_payload' THEN
    v_due := NULL;
  END IF;
  w := howdah.single_out(replace_job.job_id);
  IF w.state IS NULL THEN
    RETURN false;
  END IF;
  PERFORM howdah.drop_waiting(replace_job.job_id, w.state, w.queue_id, w.priority);
  v_attempt := w.attempt;
  -- A job that waits for others goes on to; one that waits at another gate comes to its gates anew.
  v_gate := CASE WHEN w.gate = 'dependencies' THEN w.gate END;
  IF replace_job.what = 'replace_payload' AND w.gate IS NULL THEN
    v_due := w.due_at;
  END IF;
  SELECT * INTO v_queue FROM howdah.queue q WHERE q.name = replace_job.queue;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(replace_job.queue);
  END IF;
  -- Out of an array, where it has its full size, however a table of the caller's has compressed it.
  v_size := (SELECT pg_column_size(u) FROM unnest(ARRAY[replace_job.payload]) u);
  IF v_size > v_queue.max_payload_bytes THEN
    PERFORM howdah.payload_refused(replace_job.queue, v_size, v_queue.max_payload_bytes);
  END IF;
  SELECT * INTO j FROM howdah.find_job(replace_job.job_id);
  IF replace_job.what <> 'replace_time' THEN
    j.payload := replace_job.payload;
    -- How far the old payload had come is nothing to go on from.
    DELETE FROM howdah.progress p WHERE p.job_id = j.id;
    DELETE FROM howdah.step s WHERE s.job_id = j.id;
  END IF;
  IF replace_job.what = 'replace' THEN
    IF j.queue_id <> v_queue.id THEN
      PERFORM howdah.make_room(v_queue, 1);
    END IF;
    j.queue_id := v_queue.id;
    j.priority := replace_job.priority;
    j.max_attempts := coalesce(replace_job.max_attempts, v_queue.max_attempts);
    -- What it waits for stays as it was.
    j.options := howdah.with_dependencies(v_options, CASE WHEN v_gate = 'dependencies' THEN j.options END);
    v_attempt := 0;
    DELETE FROM howdah.expiry e WHERE e.job_id = j.id;
    DELETE FROM howdah.ordered o WHERE o.job_id = j.id AND o.key IS DISTINCT FROM v_options ->> 'order_key' RETURNING o.key INTO v_left;
    IF FOUND THEN
      -- Another one may be the first of that order now.
      PERFORM howdah.watch_gate('order:' || v_left);
    END IF;
    IF v_options ? 'expires_at' THEN
      PERFORM howdah.expire_at((v_options ->> 'expires_at')::timestamptz, ARRAY[j.id], 1);
    END IF;
  END IF;
  IF v_gate = 'dependencies' AND replace_job.what <> 'replace_payload' THEN
    j.options := (j.options - 'due_at') || CASE WHEN v_due > v_now THEN jsonb_build_object('due_at', v_due) ELSE '{}' END;
  END IF;
  PERFORM howdah.rewrite_job(j), howdah.join_orders(ARRAY[j.id]);
  IF v_due > v_now OR v_gate IS NOT NULL THEN
    PERFORM howdah.defer(CASE WHEN v_gate IS NOT NULL THEN 'infinity' ELSE v_due END, j.id, 1, j.queue_id, j.kind, j.priority, v_attempt,
      howdah.gates_of(j.options), v_gate);
  ELSE
    PERFORM howdah.put_back(ARRAY[j.id], ARRAY[v_attempt]::smallint[]);
  END IF;
  RETURN true;
END $$;
