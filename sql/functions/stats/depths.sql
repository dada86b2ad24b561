-- howdah.depths(cap) -> (queue, ready, running, scheduled, blocked, dead, more, oldest_ready_at, paused)
-- What is in each queue, as the view howdah.queues says, but counted only up to a bound, so that it costs the same with ten jobs and
-- with ten million.
--   cap   how many rows of each queue and room are looked at, 1 to 1,000,000; a row of ready or scheduled jobs stands for up to 128
--   more  true: there is more than that somewhere, and counts are at least so much
--   oldest_ready_at   when the oldest of the jobs that are ready was enqueued; of those that wait for their turn, the oldest of the rows looked at
-- Reads: queue, ticket, deferred, lease, dead. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.depths(cap integer DEFAULT 10000)
RETURNS TABLE (queue text, ready bigint, running bigint, scheduled bigint, blocked bigint, dead bigint, more boolean,
  oldest_ready_at timestamptz, paused boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  IF depths.cap IS NULL OR depths.cap NOT BETWEEN 1 AND 1000000 THEN
    PERFORM howdah.option_refused('cap', 'must be 1 to 1000000');
  END IF;
  RETURN QUERY
    SELECT q.name::text, coalesce(t.jobs, 0) + coalesce(d.in_turn, 0), coalesce(l.running, 0), coalesce(d.scheduled, 0), coalesce(d.blocked, 0),
           x.n, t.n > depths.cap OR d.n > depths.cap OR x.n > depths.cap, o.at, q.paused_at IS NOT NULL
      FROM howdah.queue q
     CROSS JOIN LATERAL (SELECT sum(k.jobs)::bigint AS jobs, count(*) AS n FROM (
         SELECT k.jobs FROM howdah.ticket k WHERE k.queue_id = q.id LIMIT depths.cap + 1) k) t
     CROSS JOIN LATERAL (SELECT count(*) AS n, sum(k.jobs) FILTER (WHERE k.gate IS NULL)::bigint AS scheduled,
              sum(k.jobs) FILTER (WHERE k.gate ^@ 'fair:')::bigint AS in_turn, min(k.first_id) FILTER (WHERE k.gate ^@ 'fair:') AS first_in_turn,
              sum(k.jobs) FILTER (WHERE NOT k.gate ^@ 'fair:')::bigint AS blocked
         FROM (SELECT k.jobs, k.gate, k.first_id FROM howdah.deferred k WHERE k.queue_id = q.id LIMIT depths.cap + 1) k) d
     CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM howdah.dead k WHERE k.queue_id = q.id LIMIT depths.cap + 1) k) x
      LEFT JOIN LATERAL (SELECT min(j.enqueued_at) AS at FROM (
           SELECT t.first_id FROM generate_series(0, 9) p,
             LATERAL (SELECT k.first_id FROM howdah.ticket k WHERE k.queue_id = q.id AND k.priority = p ORDER BY k.first_id LIMIT 1) t
           UNION ALL
           SELECT d.first_in_turn) f, LATERAL howdah.find_job(f.first_id) j) o ON true
      LEFT JOIN (SELECT e.queue_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
                   FROM howdah.lease e GROUP BY 1) l ON l.queue_id = q.id
     ORDER BY 1;
END $$;
