-- howdah.meet_parents(job_ids, parent_ids) -> void
-- Deals with those of these parents that have ended before the jobs began to wait for them: what has nothing else to wait for
-- is let go at once, or cancelled, as was asked for. Internal; the rows of howdah.dependency are written.
-- Who ends a parent at this moment does not see those rows, and is not seen here: then it is the keeper who lets go.
-- Writes: second_look, and see parents_ended. Locks: none that others need.
-- Errors: HD002 (invalid argument) with COLUMN depends_on: a parent is unknown, or is one of the jobs.
CREATE OR REPLACE FUNCTION howdah.meet_parents(job_ids bigint[], parent_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_unknown bigint;
  v_done    bigint[];
  v_failed  bigint[];
  v_live    boolean;
BEGIN
  SELECT array_agg(s.job_id) FILTER (WHERE s.state = 'completed'),
         array_agg(s.job_id) FILTER (WHERE s.state IN ('cancelled', 'expired', 'dead')),
         bool_or(s.state IN ('scheduled', 'blocked', 'ready', 'running')), min(u.id) FILTER (WHERE s.state IS NULL)
    INTO v_done, v_failed, v_live, v_unknown
    FROM unnest(meet_parents.parent_ids) u(id) LEFT JOIN howdah.states_of(meet_parents.parent_ids) s ON s.job_id = u.id;
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'depends_on names the job %, and there is no such job, or it ended longer ago than history is kept', v_unknown
      USING ERRCODE = 'HD002', COLUMN = 'depends_on', HINT = 'If what it stood for is done for good, leave that id out.';
  END IF;
  IF v_done IS NOT NULL THEN
    PERFORM howdah.look_later(howdah.parents_ended(v_done, array_fill(1::smallint, ARRAY[cardinality(v_done)]), false));
  END IF;
  IF v_failed IS NOT NULL THEN
    PERFORM howdah.look_later(howdah.parents_ended(v_failed, array_fill(1::smallint, ARRAY[cardinality(v_failed)]), true));
  END IF;
  IF v_live THEN
    PERFORM howdah.look_later(meet_parents.job_ids);
  ELSIF v_failed IS NOT NULL THEN
    -- One that is held by what has failed: that may be sent again, and end, before anybody sees who waits for it.
    PERFORM howdah.look_later(ARRAY(
      SELECT DISTINCT d.job_id FROM howdah.dependency d WHERE d.job_id = ANY (meet_parents.job_ids) AND d.parent_id = ANY (v_failed)));
  END IF;
END $$;
