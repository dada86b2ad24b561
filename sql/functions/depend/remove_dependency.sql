-- howdah.remove_dependency(job_id, parent_id) -> boolean
-- Makes a job wait for another one no more, in the caller's transaction: for what is held because a parent has failed, say.
-- Returns whether it waited for it. It starts once it has nothing else to wait for.
-- Writes: dependency, job, deferred, ticket. Locks: its rows, and waits for whoever has them.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.remove_dependency(job_id bigint, parent_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w record;
  j howdah.job;
BEGIN
  PERFORM howdah.must_read_committed();
  w := howdah.single_out(remove_dependency.job_id);
  DELETE FROM howdah.dependency d WHERE d.parent_id = remove_dependency.parent_id AND d.job_id = remove_dependency.job_id;
  IF NOT FOUND OR w.gate IS DISTINCT FROM 'dependencies' THEN
    RETURN false;
  END IF;
  SELECT * INTO j FROM howdah.find_job(remove_dependency.job_id);
  j.options := j.options || jsonb_build_object('depends_on', (
    SELECT coalesce(jsonb_agg(p), '[]') FROM jsonb_array_elements(j.options -> 'depends_on') p WHERE p <> to_jsonb(remove_dependency.parent_id)));
  PERFORM howdah.rewrite_job(j);
  PERFORM howdah.look_later(howdah.let_go(ARRAY[remove_dependency.job_id]));
  RETURN true;
END $$;
