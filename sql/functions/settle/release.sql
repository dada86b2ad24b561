-- howdah.release(lease_id, job_ids) -> setof bigint
-- Gives jobs of a lease back that were not started: they are ready again in their old place, the attempt
-- not counted. job_ids NULL: all that are left in the lease.
-- Returns the ids that were given back. Writes: lease, ticket. Locks: the lease row. Errors: none.
CREATE OR REPLACE FUNCTION howdah.release(lease_id bigint, job_ids bigint[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_ids      bigint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(release.lease_id, release.job_ids) t;
  PERFORM howdah.put_back(v_ids, v_attempts);
  RETURN QUERY SELECT unnest(v_ids);
END $$;
