-- howdah.fail(lease_id, job_ids, verdicts, error_kinds, messages, delay_ms, run_ms, causes, retries)
--   -> (job_id, state)
-- Settles jobs of a lease that did not succeed. The arrays run in parallel; NULL in place of one: its default.
--   verdicts  retry (default): again after a delay, or dead if that was the last attempt
--             discard: dead at once        cancel: cancelled
--             snooze: again after the delay, the attempt not counted
--             wait: again when what a step of it waits for has come (howdah.begin_sleep, await_signal), not counted
--   error_kinds, messages  kept in howdah.failure; messages are cut at 8192 characters, kinds at 256
--   causes    what was behind each error, outermost first: JSON arrays of strings; left out if larger than 64 KiB
--   retries   what the worker's program declares for the kind of each: JSON as in the option retry of a job
--   delay_ms  0 to 100 years; NULL: as howdah.retry_delay says
-- A job that somebody has asked to cancel meanwhile is not run again: instead of retry, snooze and wait it is cancelled.
-- Returns each job that was settled with its new state. A missing one was not this lease's any more.
-- Writes: lease, failure, and deferred, ticket, dead or receipt. Locks: the lease row.
-- Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.fail(lease_id bigint, job_ids bigint[], verdicts text[] DEFAULT NULL, error_kinds text[] DEFAULT NULL,
  messages text[] DEFAULT NULL, delay_ms bigint[] DEFAULT NULL, run_ms integer[] DEFAULT NULL, causes jsonb[] DEFAULT NULL,
  retries jsonb[] DEFAULT NULL)
RETURNS TABLE (job_id bigint, state text) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_lease howdah.lease;
  f       record;
BEGIN
  PERFORM howdah.check_verdicts(fail.job_ids, fail.verdicts, fail.delay_ms);
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (fail.lease_id & 3) AND l.id = fail.lease_id;
  FOR f IN
    SELECT t.job_id, t.attempt, coalesce(v.verdict, 'retry') AS verdict, v.delay_ms, v.run_ms,
           left(coalesce(v.error_kind, 'error'), 256) AS error_kind, left(coalesce(v.message, ''), 8192) AS message,
           j.kind, j.priority, j.max_attempts, j.queue_id, j.options,
           CASE WHEN octet_length(v.causes::text) <= 65536 THEN v.causes END AS causes, v.declared
      FROM howdah.take_from_lease(fail.lease_id, fail.job_ids) t
      JOIN unnest(fail.job_ids, fail.verdicts, fail.error_kinds, fail.messages, fail.delay_ms, fail.run_ms, fail.causes,
                  fail.retries) v(job_id, verdict, error_kind, message, delay_ms, run_ms, causes, declared) ON v.job_id = t.job_id
      JOIN LATERAL howdah.find_job(t.job_id) j ON true
  LOOP
    job_id := f.job_id;
    IF f.verdict NOT IN ('snooze', 'wait') THEN
      INSERT INTO howdah.failure (slot, job_id, attempt, at, worker_id, run_ms, error_kind, message, causes)
      SELECT r.slot, f.job_id, f.attempt, v_now, v_lease.worker_id, f.run_ms, f.error_kind, f.message, f.causes
        FROM howdah.ring r WHERE r.name = 'history';
    END IF;
    -- Asked here, with the lease locked, and not in the statement that waited for that.
    IF f.verdict = 'cancel' OR (f.verdict <> 'discard'
       AND EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = f.job_id AND c.lease_id = fail.lease_id)) THEN
      PERFORM howdah.write_receipt(2, f.queue_id, v_lease.worker_id, v_lease.claimed_at, ARRAY[f.job_id], ARRAY[f.attempt], ARRAY[f.run_ms]);
      -- One that somebody is asking again just now is left to prune.
      DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
        SELECT w.job_id FROM howdah.cancel_request w WHERE w.job_id = f.job_id FOR UPDATE SKIP LOCKED));
      state := 'cancelled';
    ELSIF f.verdict = 'discard' OR (f.verdict = 'retry' AND f.attempt >= f.max_attempts) THEN
      PERFORM howdah.bury(f.job_id, f.queue_id, f.kind, f.priority, f.attempt, f.error_kind || ': ' || f.message);
      state := 'dead';
    ELSIF f.verdict = 'wait' THEN
      state := howdah.set_aside(f.job_id, f.queue_id, f.kind, f.priority, f.attempt - 1);
    ELSE
      PERFORM howdah.defer(v_now + coalesce(make_interval(secs => f.delay_ms / 1000.0), howdah.retry_delay(f.queue_id, f.kind, f.attempt, f.options, f.declared)),
        f.job_id, 1, f.queue_id, f.kind, f.priority, f.attempt - (f.verdict = 'snooze')::integer, howdah.gates_of(f.options));
      IF f.options ->> 'order_on_failure' = 'pass' THEN
        PERFORM howdah.let_pass(f.job_id);
      END IF;
      state := 'scheduled';
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
