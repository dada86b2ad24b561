-- howdah.end_steps(first_ids, counts, died) -> void
-- What becomes of the steps of jobs that have ended. Of those that ended well they go to the history. Dead jobs keep them
-- for when they are sent again, but for waits that are not over, which begin anew then. Internal to howdah.ended.
-- Writes: step, past_step. Cost: one probe of an index if none of them has any.
CREATE OR REPLACE FUNCTION howdah.end_steps(first_ids bigint[], counts smallint[], died boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_first bigint := (SELECT min(f) FROM unnest(end_steps.first_ids) f);
  v_last  bigint := (SELECT max(f) + 127 FROM unnest(end_steps.first_ids) f);
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.step s WHERE s.job_id BETWEEN v_first AND v_last) THEN
    RETURN;
  END IF;
  IF end_steps.died THEN
    DELETE FROM howdah.step s USING unnest(end_steps.first_ids, end_steps.counts) r(first_id, jobs)
     WHERE s.job_id >= r.first_id AND s.job_id < r.first_id + r.jobs AND s.state = 'waiting';
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM howdah.step s USING unnest(end_steps.first_ids, end_steps.counts) r(first_id, jobs)
     WHERE s.job_id >= r.first_id AND s.job_id < r.first_id + r.jobs
    RETURNING s.*)
  INSERT INTO howdah.past_step (slot, job_id, n, attempt, kind, state, at, wakes_at, name, result)
  SELECT r.slot, g.job_id, g.n, g.attempt, g.kind, g.state, g.at, g.wakes_at, g.name, g.result
    FROM gone g, howdah.ring r WHERE r.name = 'history';
END $$;
