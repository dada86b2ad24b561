-- howdah.delete(job_id) -> text
-- Deletes a job without a trace, in the caller's transaction: its payload and failures too, wherever it waits, when it
-- is dead, and when it has ended (a handler that has called complete_in may delete its own job).
-- A unique key that it had is free, whatever its scope.
-- Returns the state that it was in; NULL: there is no such job.
-- Writes: ticket, deferred or dead, unique_key, and see howdah.erase. Locks: that row, or the job's own if it has ended, and waits
-- for whoever has it; if it stands for other jobs too, they wait for this commit: see howdah.isolate.
-- Errors: HD007 the job is running; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.delete(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       record;
  v_state text;
BEGIN
  PERFORM howdah.must_read_committed();
  -- A dead job before its key, and a key before a job that waits, as everywhere.
  PERFORM FROM howdah.dead x WHERE x.job_id = delete.job_id FOR UPDATE;
  DELETE FROM howdah.unique_key u WHERE u.job_id = delete.job_id;
  -- A job moves between rooms while we look. Each round sees the newest state.
  FOR round IN 1..5 LOOP
    w := howdah.single_out(delete.job_id);
    IF w.state IS NOT NULL THEN
      PERFORM howdah.drop_waiting(delete.job_id, w.state, w.queue_id, w.priority), howdah.erase(ARRAY[delete.job_id]);
      RETURN w.state;
    END IF;
    DELETE FROM howdah.dead x WHERE x.job_id = delete.job_id;
    IF FOUND THEN
      PERFORM howdah.erase(ARRAY[delete.job_id]);
      RETURN 'dead';
    END IF;
    IF howdah.is_running(delete.job_id) THEN
      PERFORM howdah.not_waiting(delete.job_id, 'running', 'deleted');
    END IF;
    -- Of several who delete it one has deleted it.
    PERFORM FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((delete.job_id >> 33) & 7) AND j.id = delete.job_id FOR UPDATE;
    PERFORM FROM howdah.job_kept k WHERE k.id = delete.job_id FOR UPDATE;
    v_state := howdah.state(delete.job_id);
    IF v_state IS NULL OR v_state IN ('completed', 'cancelled', 'expired') THEN
      PERFORM howdah.erase(ARRAY[delete.job_id]);
      RETURN v_state;
    END IF;
  END LOOP;
  PERFORM howdah.not_waiting(delete.job_id, 'running', 'deleted');
END $$;
