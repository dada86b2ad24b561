-- howdah.deliver(name, job_id, payload, also_ready) -> integer
-- Gives a signal to the jobs that wait for it, and makes those ready that were set aside for it. Returns how many could
-- not be given it now: somebody has them locked, or they are on their way from a worker to where they wait. Internal.
--   job_id      only this job; 0: all
--   also_ready  also to those that are ready (somebody has sent them on), which locks tickets: for short transactions
-- Writes: step, deferred, ticket. Locks: rows of jobs that wait, passing by what others have locked; never waits.
CREATE OR REPLACE FUNCTION howdah.deliver(name text, job_id bigint, payload jsonb, also_ready boolean DEFAULT false) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_left     integer := 0;
  v_ids      bigint[] := '{}';
  v_attempts smallint[] := '{}';
  v_job      bigint;
  d          howdah.deferred;
BEGIN
  FOR v_job IN SELECT s.job_id FROM howdah.step s WHERE s.name = deliver.name AND s.kind = 'signal' AND s.state = 'waiting'
                  AND (deliver.job_id = 0 OR s.job_id = deliver.job_id) ORDER BY s.job_id LOOP
    -- Whoever has the row in which a job waits may write to its steps.
    d := howdah.lock_deferred(v_job, true);
    IF d.jobs = 1 THEN
      -- One that is scheduled for something else, such as a retry, or waits for other jobs, is left so.
      IF d.gate IS NULL AND EXISTS (SELECT FROM howdah.step s WHERE s.job_id = v_job AND s.state = 'waiting' AND s.wakes_at = d.due_at) THEN
        DELETE FROM howdah.deferred k WHERE k.first_id = v_job;
        v_ids := v_ids || v_job;
        v_attempts := v_attempts || d.attempt;
      END IF;
    ELSIF NOT deliver.also_ready OR (SELECT w.state IS NULL FROM howdah.single_out(v_job, true) w) THEN
      v_left := v_left + 1;
      CONTINUE;
    END IF;
    UPDATE howdah.step s SET state = 'done', result = deliver.payload, at = howdah.now()
     WHERE s.job_id = v_job AND s.name = deliver.name AND s.kind = 'signal' AND s.state = 'waiting';
  END LOOP;
  IF v_ids <> '{}' THEN
    PERFORM howdah.put_back(v_ids, v_attempts);
  END IF;
  RETURN v_left;
END $$;
