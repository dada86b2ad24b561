-- howdah.parents_ended(first_ids, counts, failed) -> bigint[]
-- Tells the jobs that wait for these runs of jobs that they have ended: those that have nothing else to wait for are let go.
--   failed  they are dead, cancelled or expired: what waits for them is cancelled, let go or held, as it was asked for
-- Returns the jobs that the keeper has to look at again, see look_later: their rows are locked by somebody else, or other
-- parents of theirs are ending in transactions that are not over. Internal.
-- Writes: dependency, failed_parent, and see cancel_dependents and let_go. Locks: rows of dependency, skipping what others have.
-- Waits for nobody. Errors: none.
-- Cost: of what waits for these jobs, however deep the graph below them is.
CREATE OR REPLACE FUNCTION howdah.parents_ended(first_ids bigint[], counts smallint[], failed boolean) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_children bigint[];
  v_last     bigint;
  v_skipped  bigint[];
BEGIN
  IF parents_ended.failed THEN
    PERFORM howdah.cancel_dependents(parents_ended.first_ids, parents_ended.counts);
  END IF;
  WITH gone AS (
    DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
      SELECT u.ctid FROM unnest(parents_ended.first_ids, parents_ended.counts) r(first_id, jobs), LATERAL (
        SELECT x.ctid FROM howdah.dependency x
         WHERE x.parent_id >= r.first_id AND x.parent_id < r.first_id + r.jobs AND (NOT parents_ended.failed OR x.on_failure IN ('run', 'note'))
           FOR UPDATE SKIP LOCKED) u))
    RETURNING d.job_id, d.parent_id, d.on_failure),
  noted AS (
    INSERT INTO howdah.failed_parent (job_id, parent_id)
    SELECT g.job_id, g.parent_id FROM gone g WHERE parents_ended.failed AND g.on_failure = 'note')
  SELECT array_agg(DISTINCT g.job_id), max(g.parent_id) INTO v_children, v_last FROM gone g;
  IF v_children IS NOT NULL THEN
    v_skipped := howdah.let_go(v_children, v_last);
  END IF;
  -- And those whose rows, here or in howdah.deferred, somebody else has locked.
  RETURN coalesce(v_skipped, '{}') || ARRAY(
    SELECT DISTINCT d.job_id FROM unnest(parents_ended.first_ids, parents_ended.counts) r(first_id, jobs) JOIN LATERAL (
      SELECT x.job_id FROM howdah.dependency x
       WHERE x.parent_id >= r.first_id AND x.parent_id < r.first_id + r.jobs AND (NOT parents_ended.failed OR x.on_failure <> 'hold')) d ON true);
END $$;
