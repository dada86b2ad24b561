-- howdah.look_at_parents(job_ids) -> bigint[]
-- Tells blocked jobs of those parents that have ended, and lets go of the jobs that have nothing left to wait for; what is
-- not blocked any more waits for nothing. A parent of which nothing is left, neither job nor history, counts as failed.
-- Returns those of which not everything can be known now. Internal to look_again.
-- Writes: dependency, and see parents_ended, let_go and end_failed. Errors: none. Cost: see states_of, of all the parents.
CREATE OR REPLACE FUNCTION howdah.look_at_parents(job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[];
  v_done    bigint[];
  v_failed  bigint[];
  v_unsure  bigint[] := '{}';
BEGIN
  DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.dependency x WHERE x.job_id = ANY (look_at_parents.job_ids)
       AND NOT EXISTS (SELECT FROM howdah.deferred k WHERE k.first_id = x.job_id AND k.gate = 'dependencies') FOR UPDATE SKIP LOCKED));
  v_parents := ARRAY(SELECT DISTINCT d.parent_id FROM howdah.dependency d WHERE d.job_id = ANY (look_at_parents.job_ids));
  SELECT array_agg(p.id) FILTER (WHERE s.state = 'completed'),
         array_agg(p.id) FILTER (WHERE s.state IN ('cancelled', 'expired', 'dead') OR (s.state IS NULL AND NOT EXISTS (SELECT FROM howdah.find_job(p.id))))
    INTO v_done, v_failed FROM unnest(v_parents) p(id) LEFT JOIN howdah.states_of(v_parents) s ON s.job_id = p.id;
  IF v_done IS NOT NULL THEN
    v_unsure := v_unsure || howdah.parents_ended(v_done, array_fill(1::smallint, ARRAY[cardinality(v_done)]), false);
  END IF;
  IF v_failed IS NOT NULL THEN
    v_unsure := v_unsure || howdah.parents_ended(v_failed, array_fill(1::smallint, ARRAY[cardinality(v_failed)]), true);
  END IF;
  v_unsure := v_unsure || howdah.let_go(look_at_parents.job_ids);
  PERFORM howdah.end_failed(look_at_parents.job_ids);
  RETURN v_unsure;
END $$;
