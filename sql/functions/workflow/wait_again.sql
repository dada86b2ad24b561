-- howdah.wait_again(job_ids, waiting) -> void
-- Has blocked jobs wait again for those that had ended and are run again, as far as they had asked to wait for them.
--   job_ids  what is run again
--   waiting  who is to wait again, if it is still blocked
-- Internal to start_over and retry_workflow. Writes: dependency, failed_parent. Locks: the rows of `waiting` that are blocked, and
-- waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.wait_again(job_ids bigint[], waiting bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_blocked bigint[] := ARRAY(
    SELECT d.first_id FROM howdah.deferred d WHERE d.first_id = ANY (wait_again.waiting) AND d.gate = 'dependencies' ORDER BY d.first_id FOR UPDATE);
BEGIN
  IF v_blocked = '{}' THEN
    RETURN;
  END IF;
  WITH asked AS MATERIALIZED (
    -- Once for each job: options with thousands of parents are large.
    SELECT f.id, f.options -> 'depends_on' AS parents, coalesce(f.options ->> 'on_parent_failure', 'cancel') AS on_failure FROM howdah.find_jobs(v_blocked) f)
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT p::bigint, a.id, a.on_failure FROM asked a, jsonb_array_elements_text(a.parents) p
   WHERE p::bigint IN (SELECT u FROM unnest(wait_again.job_ids) u)
  ON CONFLICT DO NOTHING;
  DELETE FROM howdah.failed_parent p WHERE p.job_id = ANY (v_blocked) AND p.parent_id IN (SELECT u FROM unnest(wait_again.job_ids) u);
END $$;
