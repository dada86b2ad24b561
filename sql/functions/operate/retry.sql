-- howdah.retry(job_id) -> text
-- Runs a job again, or sooner. A dead one starts over with all its attempts; one that is scheduled (a retry
-- too) is due at once. Returns 'ready'; or the state that it is in, if nothing was changed; or NULL, if
-- there is no such job.
-- A dead job that had a unique key as long as it lived takes it again.
-- Writes: dead or deferred, and ticket; unique_key; cancel_request. Errors: HD001 a dead job's queue was deleted, HD003 another job has
-- the unique key now; nothing was changed.
CREATE OR REPLACE FUNCTION howdah.retry(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_attempt smallint;
  v_queue   integer;
  v_state   text;
BEGIN
  -- An attempt may fail while we look, or somebody else send the job again: each round sees the newest.
  FOR round IN 1..5 LOOP
    SELECT d.queue_id INTO v_queue FROM howdah.dead d WHERE d.job_id = retry.job_id;
    IF FOUND THEN
      IF NOT EXISTS (SELECT FROM howdah.queue q WHERE q.id = v_queue) THEN
        PERFORM howdah.unknown_queue((SELECT d.name FROM howdah.deleted_queue d WHERE d.id = v_queue));
      END IF;
      -- The key before the job, as everywhere: else each of two might wait for the other.
      PERFORM howdah.take_key_again(retry.job_id);
      DELETE FROM howdah.dead d WHERE d.job_id = retry.job_id;
      IF FOUND THEN
        PERFORM howdah.start_over(ARRAY[retry.job_id]);
        RETURN 'ready';
      END IF;
    END IF;
    IF EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (retry.job_id >> 7 << 7) AND retry.job_id
                  AND retry.job_id < d.first_id + d.jobs AND d.gate IS NULL) THEN
      SELECT t.attempt INTO v_attempt FROM howdah.take_waiting(retry.job_id) t;
      IF FOUND THEN
        PERFORM howdah.put_back(ARRAY[retry.job_id], ARRAY[v_attempt]);
        -- Whoever sends it again does not want it cancelled.
        DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
          SELECT w.job_id FROM howdah.cancel_request w WHERE w.job_id = retry.job_id FOR UPDATE SKIP LOCKED));
        RETURN 'ready';
      END IF;
    END IF;
    v_state := howdah.state(retry.job_id);
    EXIT WHEN v_state IS NULL OR v_state NOT IN ('scheduled', 'dead');
  END LOOP;
  RETURN v_state;
END $$;
