-- howdah.take_from_lease(lease_id, job_ids) -> (job_id, attempt)
-- The fence: takes jobs out of a lease, and returns those that were in it. Whatever is missing from the
-- answer is no longer the caller's, and nothing may be done about it. job_ids NULL: all that are left.
-- Internal; every way to settle a job but howdah.complete_leases and settle_in goes through here.
-- Writes: lease (shrinks, or deletes with the last job), and see free_slots. Locks: the lease row, against a rescue; waits for
-- transactions that are ending one of these jobs (complete_in), and not for those that end others of the lease.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.take_from_lease(lease_id bigint, job_ids bigint[] DEFAULT NULL)
RETURNS TABLE (job_id bigint, attempt smallint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease  howdah.lease;
  v_firsts bigint[] := '{}';
  v_counts smallint[] := '{}';
  v_attempts smallint[] := '{}';
BEGIN
  PERFORM howdah.must_read_committed();
  -- With a NULL among them no other id would be seen to be left: `id <> ALL (...)` is not true then.
  take_from_lease.job_ids := array_remove(take_from_lease.job_ids, NULL);
  -- Who gets this lock is alone with the lease.
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    -- From here on nobody begins to end these jobs either: see settle_in.
    PERFORM howdah.await_settlers(take_from_lease.lease_id, coalesce(take_from_lease.job_ids, ARRAY(
      SELECT r.first_id + g FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
       WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id)));
    SELECT * INTO v_lease FROM howdah.lease l
     WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id FOR NO KEY UPDATE;
  END IF;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF take_from_lease.job_ids IS NOT NULL THEN
    -- In the order of the claim, which is that of the jobs' run times when the rest is completed as a whole.
    SELECT coalesce(array_agg(k.first_id ORDER BY k.n, k.first_id), '{}'), coalesce(array_agg(k.jobs ORDER BY k.n, k.first_id), '{}'),
           coalesce(array_agg(k.attempt ORDER BY k.n, k.first_id), '{}')
      INTO v_firsts, v_counts, v_attempts
      FROM (SELECT h.n, min(h.id) AS first_id, count(*)::smallint AS jobs, h.attempt
              FROM (SELECT e.n, e.id, e.attempt, e.id - row_number() OVER (PARTITION BY e.n ORDER BY e.id) AS island
                      FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) WITH ORDINALITY r(first_id, jobs, attempt, n),
                           LATERAL (SELECT r.n, r.first_id + g AS id, r.attempt FROM generate_series(0, r.jobs - 1) g) e
                     WHERE e.id <> ALL (take_from_lease.job_ids)) h
             GROUP BY h.n, h.island, h.attempt) k;
  END IF;
  IF v_firsts = '{}' THEN
    DELETE FROM howdah.lease l WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
  ELSE
    UPDATE howdah.lease l SET first_ids = v_firsts, counts = v_counts, attempts = v_attempts
     WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
  END IF;
  RETURN QUERY
    SELECT r.first_id + g, r.attempt
      FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt), generate_series(0, r.jobs - 1) g
     WHERE (take_from_lease.job_ids IS NULL OR r.first_id + g = ANY (take_from_lease.job_ids))
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = v_lease.id AND s.job_id = r.first_id + g);
  PERFORM howdah.free_slots(ARRAY[v_lease.id], take_from_lease.job_ids), howdah.wake_limited(ARRAY[v_lease.queue_id]);
  DELETE FROM howdah.settled s WHERE s.lease_id = v_lease.id AND (take_from_lease.job_ids IS NULL OR s.job_id = ANY (take_from_lease.job_ids));
END $$;
