-- howdah.enqueue_unique(kind, payload, key, scope, period, on_hit, queue, ...) -> (id, hit)
-- Enqueues a job unless one of its kind has the same key.
--   key      1 to 512 bytes; NULL: made of the payload, so that equal arguments are the same job
--   scope    live: until the job has ended (completed, cancelled, expired or dead)
--            period: for `period` after it was enqueued, whatever becomes of it        forever: for good
--   on_hit   keep: nothing is written, and the id of the job that has the key is returned
--            replace: that job, if it still waits, gets what is given here: payload, due time, priority, options; its
--            attempts start over. replace_payload, replace_time: only that
--            error: HD003
--   the rest as for howdah.enqueue
-- A job that runs is not changed: with the three kinds of replace a new job is enqueued then, which takes the key over.
-- One that has ended and keeps its key (period, forever) is kept.
-- Returns the job's id, and whether it was there before.
-- Writes: unique_key, and see howdah.enqueue; on a hit: ticket or deferred, job.
-- Locks: another transaction that uses the same key waits for the end of this one.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field), HD003 another job has the key.
CREATE OR REPLACE FUNCTION howdah.enqueue_unique(
  kind text, payload jsonb DEFAULT '{}', key text DEFAULT NULL, scope text DEFAULT 'live', period interval DEFAULT NULL,
  on_hit text DEFAULT 'keep', queue text DEFAULT 'default', priority integer DEFAULT 5, run_at timestamptz DEFAULT NULL,
  delay interval DEFAULT NULL, max_attempts integer DEFAULT NULL, options jsonb DEFAULT NULL)
RETURNS TABLE (id bigint, hit boolean) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_key     text := coalesce(enqueue_unique.key, howdah.payload_key(enqueue_unique.payload));
  v_id      bigint;
  v_options jsonb;
  v_until   timestamptz;
  v_holder  bigint;
  v_state   text;
  v_replaced boolean;
BEGIN
  IF enqueue_unique.payload IS NULL THEN
    PERFORM howdah.payload_refused(enqueue_unique.queue, NULL, NULL);
  END IF;
  PERFORM howdah.check_unique(v_key, enqueue_unique.scope, enqueue_unique.period, enqueue_unique.on_hit);
  PERFORM howdah.check_job(enqueue_unique.kind, enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay,
    enqueue_unique.max_attempts, enqueue_unique.options);
  v_id := coalesce((enqueue_unique.options ->> 'id')::bigint, howdah.reserve_id());
  v_until := v_now + enqueue_unique.period;
  v_options := coalesce(enqueue_unique.options, '{}') || jsonb_build_object('id', v_id, 'unique', jsonb_build_object('key', v_key, 'scope', enqueue_unique.scope));
  -- The bound's lock before the key's, as everywhere: else of two enqueuers each might wait for the other.
  PERFORM pg_advisory_xact_lock('howdah.queue'::regclass::oid::bigint << 32 | q.id)
     FROM howdah.queue q WHERE q.name = enqueue_unique.queue AND q.max_jobs IS NOT NULL;
  v_holder := howdah.take_key(enqueue_unique.kind, v_key, v_id, enqueue_unique.scope, v_until, enqueue_unique.on_hit LIKE 'replace%');
  IF v_holder IS NULL THEN
    RETURN QUERY SELECT m.first_id, false FROM howdah.enqueue_many(enqueue_unique.kind, ARRAY[enqueue_unique.payload], enqueue_unique.queue,
      enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay, enqueue_unique.max_attempts, v_options) m;
    RETURN;
  END IF;
  IF enqueue_unique.on_hit = 'error' THEN
    PERFORM howdah.key_held(enqueue_unique.kind, v_holder);
  END IF;
  IF enqueue_unique.on_hit LIKE 'replace%' THEN
    -- An attempt may fail while we look: each round sees the newest.
    FOR round IN 1..5 LOOP
      v_replaced := howdah.replace_job(v_holder, enqueue_unique.on_hit, enqueue_unique.payload, enqueue_unique.queue, enqueue_unique.priority,
        coalesce(enqueue_unique.run_at, v_now + enqueue_unique.delay), enqueue_unique.max_attempts, v_options);
      EXIT WHEN v_replaced;
      v_state := howdah.state(v_holder);
      IF v_state = 'running' THEN
        -- From here on whoever asks for the key waits for us. If the attempt has failed by now, somebody may have asked before that, and
        -- was told of the job: it waits again, and is the one to replace.
        UPDATE howdah.unique_key u SET job_id = v_id WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
        v_state := howdah.state(v_holder);
        EXIT WHEN v_state = 'running';
        UPDATE howdah.unique_key u SET job_id = v_holder WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
      END IF;
      EXIT WHEN v_state IS NULL OR v_state NOT IN ('ready', 'scheduled', 'blocked');
    END LOOP;
    IF v_replaced THEN
      IF enqueue_unique.on_hit = 'replace' THEN
        UPDATE howdah.unique_key u SET scope = enqueue_unique.scope, expires_at = v_until
         WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
      END IF;
      RETURN QUERY SELECT v_holder, true;
      RETURN;
    -- It runs; or it has ended since we looked.
    ELSIF v_state = 'running'
       OR EXISTS (SELECT FROM howdah.unique_key u WHERE u.kind = enqueue_unique.kind AND u.key = v_key AND u.scope = 'live') THEN
      UPDATE howdah.unique_key u SET job_id = v_id, scope = enqueue_unique.scope, expires_at = v_until
       WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
      RETURN QUERY SELECT m.first_id, false FROM howdah.enqueue_many(enqueue_unique.kind, ARRAY[enqueue_unique.payload], enqueue_unique.queue,
        enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay, enqueue_unique.max_attempts, v_options) m;
      RETURN;
    END IF;
  END IF;
  RETURN QUERY SELECT v_holder, true;
END $$;
