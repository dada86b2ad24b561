-- howdah.attempt_in(lease, job_id) -> smallint
-- Which attempt at a job a lease holds; NULL: it does not hold the job, or its worker was given up. The fence of
-- what does not settle a job. The caller has locked the lease row and gives what it read with that lock.
-- Reads: settled, worker. Internal.
CREATE OR REPLACE FUNCTION howdah.attempt_in(lease howdah.lease, job_id bigint) RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT r.attempt FROM unnest((attempt_in.lease).first_ids, (attempt_in.lease).counts, (attempt_in.lease).attempts) r(first_id, jobs, attempt)
     WHERE attempt_in.job_id >= r.first_id AND attempt_in.job_id < r.first_id + r.jobs
       AND EXISTS (SELECT FROM howdah.worker w WHERE w.id = (attempt_in.lease).worker_id)
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = (attempt_in.lease).id AND s.job_id = attempt_in.job_id));
END $$;
