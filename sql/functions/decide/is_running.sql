-- howdah.is_running(job_id) -> boolean
-- Whether a lease holds a job that was not completed in a transaction that we see. Internal. Reads: lease, settled.
CREATE OR REPLACE FUNCTION howdah.is_running(job_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs)
     WHERE is_running.job_id >= r.first_id AND is_running.job_id < r.first_id + r.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = is_running.job_id));
END $$;
