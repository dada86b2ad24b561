-- howdah.release(lease_id, job_ids) -> setof bigint
-- Gives jobs of a lease back that were not started: they are ready again in their old place, the attempt
-- not counted. job_ids NULL: all that are left in the lease. Those that somebody has asked to cancel end as cancelled.
-- Returns the ids that the lease does not hold any more. Writes: lease, ticket, receipt. Locks: the lease row. Errors: HD012 the
-- transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.release(lease_id bigint, job_ids bigint[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_ids      bigint[];
  v_attempts smallint[];
  v_unwanted bigint[];
  v_lease    howdah.lease;
BEGIN
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (release.lease_id & 3) AND l.id = release.lease_id;
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(release.lease_id, release.job_ids) t;
  v_unwanted := ARRAY(SELECT c.job_id FROM howdah.cancel_request c WHERE c.job_id = ANY (v_ids) AND c.lease_id = release.lease_id);
  IF v_unwanted <> '{}' THEN
    PERFORM howdah.write_receipt(2, j.queue_id, v_lease.worker_id, v_lease.claimed_at, ARRAY[u.id], ARRAY[u.attempt])
       FROM unnest(v_ids, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j WHERE u.id = ANY (v_unwanted);
  END IF;
  PERFORM howdah.put_back(array_agg(u.id), array_agg(u.attempt)) FROM unnest(v_ids, v_attempts) u(id, attempt) WHERE u.id <> ALL (v_unwanted);
  RETURN QUERY SELECT unnest(v_ids);
END $$;
