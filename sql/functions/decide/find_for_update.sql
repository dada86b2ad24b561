-- howdah.find_for_update(ids) -> rows as in howdah.jobs
-- Those of these jobs that wait (ready or scheduled), locked until the caller's transaction ends: no worker claims them
-- and no timer makes them ready meanwhile, also when they become due. Then decide: howdah.delete, howdah.reschedule,
-- howdah.change, howdah.cancel, or nothing. Finds jobs that were enqueued in the same transaction too.
-- A row may stand for up to 128 jobs, and what is locked is the row: call howdah.isolate(ids) before, on another
-- connection, or the others in it wait as long as this one does.
-- Returns the jobs by id. One that is missing runs, has ended, or does not exist.
-- Writes: ticket or deferred, for a job that was not isolated. Locks: those rows, in the order of their ids; waits for
-- whoever has them: a claim for a moment.
-- Errors: HD002 more than 10,000 ids, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.find_for_update(ids bigint[])
RETURNS TABLE (id bigint, queue text, kind text, state text, attempt smallint, max_attempts smallint, priority smallint,
  enqueued_at timestamptz, due_at timestamptz, worker_id bigint, claimed_at timestamptz, ended_at timestamptz, run_ms integer,
  reason text, payload jsonb, options jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_found bigint[];
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(1, 1, find_for_update.ids);
  SELECT array_agg(u.i) INTO v_found
    FROM (SELECT DISTINCT i FROM unnest(find_for_update.ids) i ORDER BY i) u, LATERAL howdah.single_out(u.i) s WHERE s.state IS NOT NULL;
  RETURN QUERY SELECT * FROM howdah.jobs_of(v_found);
END $$;
