-- howdah.forget_steps(job_id, from_step) -> integer
-- Forgets steps of a job that waits or is dead, so that its next attempt does them again: this one and all that were
-- kept after it; NULL: all. A job that waits for one of them (a sleep, a signal) is ready at once.
-- Returns how many there were; NULL: there is no such job.
-- Writes: step, and deferred or ticket. Locks: the job's row, and waits for whoever has it.
-- Errors: HD002 the job has no such step; HD007 the job runs or has ended; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.forget_steps(job_id bigint, from_step text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w           record;
  v_state     text;
  v_from      integer := 0;
  v_forgotten integer;
  v_awaited   boolean;
BEGIN
  PERFORM howdah.must_read_committed();
  w := howdah.single_out(forget_steps.job_id);
  IF w.state IS NULL THEN
    PERFORM FROM howdah.dead d WHERE d.job_id = forget_steps.job_id FOR UPDATE;
    IF NOT FOUND THEN
      v_state := howdah.state(forget_steps.job_id);
      IF v_state IS NOT NULL THEN
        PERFORM howdah.not_waiting(forget_steps.job_id, v_state, 'made to forget its steps');
      END IF;
      RETURN NULL;
    END IF;
  END IF;
  IF forget_steps.from_step IS NOT NULL THEN
    SELECT s.n INTO v_from FROM howdah.step s WHERE s.job_id = forget_steps.job_id AND s.name = forget_steps.from_step;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'job % has no step %', forget_steps.job_id, quote_literal(left(forget_steps.from_step, 128))
        USING ERRCODE = 'HD002', COLUMN = 'from_step', HINT = coalesce((
          SELECT format('It has, in this order: %s.', left(string_agg(s.name, ', ' ORDER BY s.n), 2000))
            FROM howdah.step s WHERE s.job_id = forget_steps.job_id), 'It has none.');
    END IF;
  END IF;
  WITH gone AS (
    DELETE FROM howdah.step s WHERE s.job_id = forget_steps.job_id
       -- Those that were kept at the same moment have the same number, and were not kept after it.
       AND (s.n > v_from OR s.name = forget_steps.from_step) RETURNING s.*)
  SELECT count(*), coalesce(bool_or(g.state = 'waiting' AND g.wakes_at = w.due_at), false) INTO v_forgotten, v_awaited FROM gone g;
  IF v_awaited AND w.state = 'scheduled' THEN
    PERFORM howdah.drop_waiting(forget_steps.job_id, w.state, w.queue_id, w.priority);
    PERFORM howdah.put_back(ARRAY[forget_steps.job_id], ARRAY[w.attempt]);
  END IF;
  RETURN v_forgotten;
END $$;
