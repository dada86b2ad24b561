-- howdah.rescue_worker(worker_id, error_kind, message) -> integer
-- Unregisters a worker and gives everything it holds to others: jobs are ready again at their old place,
-- or dead after their last attempt. The attempt counts: a job that kills its worker must not do so for ever.
-- From here on nothing the worker says of these jobs is accepted. Returns how many jobs that were.
-- Writes: worker, sleeper, cancel_request, lease, failure, ticket, dead. Locks: lease rows; a lease that a
-- complete_in has locked is passed by, and found by the next rescue as an orphan. Errors: none. Internal.
CREATE OR REPLACE FUNCTION howdah.rescue_worker(worker_id bigint, error_kind text, message text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lease bigint;
  v_jobs  integer := 0;
BEGIN
  DELETE FROM howdah.worker w WHERE w.id = rescue_worker.worker_id;
  DELETE FROM howdah.sleeper s WHERE s.worker_id = rescue_worker.worker_id;
  -- Lock first and look later: a statement's snapshot must be younger than the lock, or it would miss what a
  -- complete_in committed meanwhile.
  FOR v_lease IN SELECT l.id FROM howdah.lease l WHERE l.worker_id = rescue_worker.worker_id ORDER BY l.id FOR UPDATE SKIP LOCKED LOOP
    v_jobs := v_jobs + howdah.rescue_lease(v_lease, rescue_worker.worker_id, rescue_worker.error_kind, rescue_worker.message);
  END LOOP;
  RETURN v_jobs;
END $$;
