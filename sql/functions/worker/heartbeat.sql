-- howdah.heartbeat(worker_id) -> (alive, keeper_vacant, cancelled)
-- Keeps the leases of a worker. Call it every heartbeat_ms.
--   alive          false: the worker was given up and its jobs are with others; it must register again
--   keeper_vacant  nobody does the chores at the moment: see howdah.elect_keeper
--   cancelled      running jobs of this worker that somebody wants to be cancelled
-- Writes: worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.heartbeat(worker_id bigint, OUT alive boolean, OUT keeper_vacant boolean, OUT cancelled bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE howdah.worker w SET heartbeat_at = howdah.now() WHERE w.id = heartbeat.worker_id;
  alive := FOUND;
  keeper_vacant := howdah.keeper_vacant();
  SELECT coalesce(array_agg(c.job_id), '{}') INTO cancelled FROM howdah.cancel_request c WHERE c.worker_id = heartbeat.worker_id;
END $$;
