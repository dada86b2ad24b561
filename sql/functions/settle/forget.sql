-- howdah.forget(worker_id, lease_id, job_ids) -> setof bigint
-- Lets go of jobs that complete_in or cancel_in has ended: the worker's bookkeeping after a handler has returned.
-- Returns those whose end is committed. One that is missing has not ended: its transaction was
-- rolled back or never committed, and the job is still held, or lost.
-- Writes: lease, settled. Locks: the lease row; waits for a transaction that is ending one of the jobs. Errors: HD012 the transaction is not READ COMMITTED.
-- Its commit does not wait for the disk, and so neither does that of a transaction around it.
CREATE OR REPLACE FUNCTION howdah.forget(worker_id bigint, lease_id bigint, job_ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_settled bigint[];
  v_over    bigint[];
BEGIN
  -- Losing this in a crash means that it is done again, when the lease is given up.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM howdah.await_settlers(forget.lease_id, forget.job_ids);
  SELECT array_agg(s.job_id) INTO v_settled FROM howdah.settled s
   WHERE s.lease_id = forget.lease_id AND s.job_id = ANY (forget.job_ids);
  IF v_settled IS NOT NULL THEN
    PERFORM howdah.take_from_lease(forget.lease_id, v_settled);
  END IF;
  -- A lease of one job goes with complete_in: the receipt is what is left of it. Of a job of a larger one that somebody has sent
  -- again meanwhile, nothing is left.
  v_over := ARRAY(
    SELECT j FROM unnest(forget.job_ids) j WHERE EXISTS (
      -- A span is not the ids in it: a neighbour's receipt may span this one.
      SELECT FROM howdah.receipt r, unnest(r.first_ids, r.counts) u(first_id, jobs)
       WHERE r.span @> j AND r.outcome IN (1, 2) AND r.worker_id = forget.worker_id
         AND j >= u.first_id AND j < u.first_id + u.jobs));
  -- Who began to wait after complete_in had looked, and before it was committed.
  PERFORM howdah.ended(v_over, array_fill(1::smallint, ARRAY[cardinality(v_over)]), failed => NULL);
  RETURN QUERY SELECT unnest(v_settled) UNION SELECT unnest(v_over);
END $$;
