-- howdah.end_failed(job_ids) -> void
-- Ends those of these jobs that are the ends of workflows of which something has failed and nothing is left to wait for. Internal to
-- look_at_parents: what fails with them is the keeper's work, or a chain of workflows would go as deep as it is long.
-- Writes: failed_parent, dependency, deferred, and see end_workflows. Locks: rows of deferred, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.end_failed(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[] := ARRAY(
    SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (end_failed.job_ids) AND k.gate = 'dependencies'
       AND EXISTS (SELECT FROM howdah.failed_parent p WHERE p.job_id = k.first_id) FOR UPDATE SKIP LOCKED);
BEGIN
  IF v_ids = '{}' THEN
    RETURN;
  END IF;
  -- What has failed may have been sent again by somebody who did not see that this waits for it.
  WITH again AS (
    DELETE FROM howdah.failed_parent p USING howdah.states_of(ARRAY(SELECT x.parent_id FROM howdah.failed_parent x WHERE x.job_id = ANY (v_ids))) s
     WHERE p.job_id = ANY (v_ids) AND s.job_id = p.parent_id AND s.state NOT IN ('dead', 'cancelled', 'expired')
    RETURNING p.job_id, p.parent_id, s.state)
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT a.parent_id, a.job_id, 'note' FROM again a WHERE a.state <> 'completed' ON CONFLICT DO NOTHING;
  -- Whoever had them before may have given them more to wait for: a statement that begins now sees it.
  WITH gone AS (
    DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_ids) AND NOT EXISTS (SELECT FROM howdah.dependency x WHERE x.job_id = d.first_id)
    RETURNING d.first_id)
  SELECT array_agg(g.first_id) INTO v_ids FROM gone g;
  PERFORM howdah.end_workflows(v_ids);
END $$;
