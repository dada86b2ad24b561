-- howdah.unhold(job_id) -> integer
-- Lets a job go that is held because of parents that are dead, cancelled, expired or gone, in the caller's transaction: it runs
-- as if it had been asked for with on_parent_failure 'run', once what it still waits for has ended.
-- Returns how many parents it does not wait for any more; 0: it is not held; NULL: there is no such job.
-- Writes: dependency, deferred, ticket, command. Locks: its rows, and waits for whoever has them.
-- Errors: HD012 the transaction is not READ COMMITTED. Cost: see states_of, of all that it waits for.
CREATE OR REPLACE FUNCTION howdah.unhold(job_id bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w         record;
  v_removed integer;
BEGIN
  PERFORM howdah.must_read_committed();
  w := howdah.single_out(unhold.job_id);
  IF w.gate IS DISTINCT FROM 'dependencies' THEN
    RETURN (SELECT 0 FROM howdah.find_job(unhold.job_id));
  END IF;
  DELETE FROM howdah.dependency d USING howdah.open_parents(unhold.job_id) f
   WHERE f.held AND d.parent_id = f.parent_id AND d.job_id = unhold.job_id;
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  IF v_removed > 0 THEN
    PERFORM howdah.look_later(howdah.let_go(ARRAY[unhold.job_id])), howdah.note('unhold', jsonb_build_object('job', unhold.job_id));
  END IF;
  RETURN v_removed;
END $$;
