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
  w       record;
  v_queue integer;
  v_state text;
BEGIN
  -- An attempt may fail while we look, or somebody else send the job again: each round sees the newest.
  FOR round IN 1..5 LOOP
    -- The job before its key, as everywhere: else each of two might wait for the other.
    DELETE FROM howdah.dead d WHERE d.job_id = retry.job_id RETURNING d.queue_id INTO v_queue;
    IF FOUND THEN
      IF NOT EXISTS (SELECT FROM howdah.queue q WHERE q.id = v_queue) THEN
        PERFORM howdah.unknown_queue((SELECT d.name FROM howdah.deleted_queue d WHERE d.id = v_queue));
      END IF;
      PERFORM howdah.take_key_again(retry.job_id);
      PERFORM howdah.start_over(ARRAY[retry.job_id]);
      RETURN 'ready';
    END IF;
    IF EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (retry.job_id >> 7 << 7) AND retry.job_id
                  AND retry.job_id < d.first_id + d.jobs AND d.gate IS NULL) THEN
      w := howdah.single_out(retry.job_id);
      -- Whoever had its row may have made it wait for something else.
      IF w.state = 'scheduled' THEN
        PERFORM howdah.drop_waiting(retry.job_id, w.state, w.queue_id, w.priority);
        PERFORM howdah.put_back(ARRAY[retry.job_id], ARRAY[w.attempt]);
        -- Whoever sends it again does not want it cancelled.
        DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
          SELECT r.job_id FROM howdah.cancel_request r WHERE r.job_id = retry.job_id FOR UPDATE SKIP LOCKED));
        RETURN 'ready';
      END IF;
    END IF;
    v_state := howdah.state(retry.job_id);
    EXIT WHEN v_state IS NULL OR v_state NOT IN ('scheduled', 'dead');
  END LOOP;
  RETURN v_state;
END $$;
