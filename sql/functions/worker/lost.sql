-- howdah.lost(lease_ids, job_ids) -> (lease_id, job_id)
-- Which of these jobs are not held by these leases any more: what a worker asks that was robbed (see heartbeat). The
-- arrays run in parallel. Jobs that have ended are among them.
-- Reads: lease, settled, worker. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.lost(lease_ids bigint[], job_ids bigint[]) RETURNS TABLE (lease_id bigint, job_id bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT u.l, u.j FROM unnest(lost.lease_ids, lost.job_ids) u(l, j) WHERE NOT howdah.holds(u.l, u.j);
END $$;
