-- howdah.claim_queues(worker_id, queues, jobs, kinds, fronts, prefixes, except_kinds) -> n, lease_id, id, kind, payload, ...
-- Claims from several queues in one statement, so that a worker of a thousand queues need not send a thousand: a lease
-- for each that has jobs. n is the place of the queue in `queues`.
--   queues, jobs  names, and up to how many jobs of each
--   fronts        ten ids for each of the queues, one after the other; NULL: from the very front
--   the rest as for howdah.claim
-- Writes, locks, errors: as so many calls of howdah.claim. Cost: of those too, but a queue in which nothing waits costs
-- three probes of an index.
CREATE OR REPLACE FUNCTION howdah.claim_queues(worker_id bigint, queues text[], jobs integer[], kinds text[] DEFAULT NULL,
  fronts bigint[] DEFAULT NULL, prefixes text[] DEFAULT NULL, except_kinds text[] DEFAULT NULL)
RETURNS TABLE (n integer, lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v record;
BEGIN
  IF cardinality(claim_queues.queues) IS DISTINCT FROM cardinality(claim_queues.jobs) THEN
    RAISE EXCEPTION 'jobs must have a number for each of the queues' USING ERRCODE = 'HD002', COLUMN = 'jobs';
  END IF;
  IF cardinality(claim_queues.fronts) <> 10 * cardinality(claim_queues.queues) THEN
    RAISE EXCEPTION 'fronts must hold ten ids for each of the queues' USING ERRCODE = 'HD002', COLUMN = 'fronts';
  END IF;
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim_queues.worker_id) THEN
    PERFORM howdah.unknown_worker(claim_queues.worker_id);
  END IF;
  FOR v IN
    SELECT u.n::integer, u.queue, u.jobs
      FROM unnest(claim_queues.queues, claim_queues.jobs) WITH ORDINALITY u(queue, jobs, n)
     WHERE EXISTS (
      SELECT FROM howdah.queue q
       WHERE q.name = u.queue AND (EXISTS (SELECT FROM howdah.ticket t WHERE t.queue_id = q.id)
          OR EXISTS (SELECT FROM howdah.deferred d WHERE d.gate > 'fair:' || q.id || ':' AND d.gate < 'fair:' || q.id || ';')))
     -- As they are named, and not as the planner likes it.
     ORDER BY u.n
  LOOP
    RETURN QUERY SELECT v.n, c.* FROM howdah.claim(claim_queues.worker_id, v.queue, v.jobs, claim_queues.kinds,
      claim_queues.fronts[v.n * 10 - 9 : v.n * 10], claim_queues.prefixes, claim_queues.except_kinds) c;
  END LOOP;
END $$;
