-- howdah.heartbeat(worker_id) -> (alive, keeper_vacant, cancelled, robbed, timeouts, told)
-- Keeps the leases of a worker. Call it every heartbeat_ms.
--   alive          false: the worker was given up and its jobs are with others; it must register again
--   keeper_vacant  nobody does the chores at the moment: see howdah.elect_keeper
--   cancelled      running jobs of this worker that somebody wants to be cancelled, in the attempt that it has
--   robbed         how often it has lost some of its jobs, whose leases are shorter than the others', while it was
--                  silent. When the number has grown, ask howdah.lost which ones they are.
--   timeouts       how long attempts may take: see howdah.timeouts
--   told           quiet: claim no more; stop: end gracefully; see howdah.tell_worker. NULL: work
-- Writes: worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.heartbeat(worker_id bigint, OUT alive boolean, OUT keeper_vacant boolean, OUT cancelled bigint[],
  OUT robbed integer, OUT timeouts jsonb, OUT told text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.worker w SET heartbeat_at = howdah.now() WHERE w.id = heartbeat.worker_id
    RETURNING w.robbed, howdah.timeouts(w.queues), w.told INTO robbed, timeouts, told;
  alive := FOUND;
  keeper_vacant := howdah.keeper_vacant();
  -- A wish that is left over must not end a later attempt: somebody may have sent the job again after it.
  SELECT coalesce(array_agg(c.job_id), '{}') INTO cancelled FROM howdah.cancel_request c
   WHERE c.worker_id = heartbeat.worker_id AND howdah.holds(c.lease_id, c.job_id);
END $$;
