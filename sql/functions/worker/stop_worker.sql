-- howdah.stop_worker(worker_id) -> integer
-- Unregisters a worker. What it still holds is given back, with the attempt counted: a worker that has
-- finished properly holds nothing. Returns how many jobs that were.
-- Writes: worker, sleeper, lease, ticket. Errors: none, also for one that is not registered.
CREATE OR REPLACE FUNCTION howdah.stop_worker(worker_id bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN howdah.rescue_worker(stop_worker.worker_id, 'worker_stopped', 'the worker stopped before the job had finished');
END $$;
