-- howdah.tail_events(since, lease, age, most) -> (at, event, id, attempt, worker_id, run_ms, error_kind, message)
-- What happened since a time, or to leases from this id on, in rows of transactions that are not older than `age`: the newest of each sort.
-- Internal to tail.
CREATE OR REPLACE FUNCTION howdah.tail_events(since timestamptz, lease bigint, age integer, most integer)
RETURNS TABLE (at timestamptz, event text, id bigint, attempt smallint, worker_id bigint, run_ms integer, error_kind text, message text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT l.claimed_at, 'began', u.first_id + g, u.attempt, l.worker_id, NULL::integer, NULL, NULL
      FROM howdah.lease l CROSS JOIN LATERAL unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt)
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
     WHERE l.id >= tail_events.lease AND age(l.xmin) <= tail_events.age
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = u.first_id + g)
     ORDER BY l.id DESC LIMIT tail_events.most;
  RETURN QUERY
    SELECT c.at, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.first_id + g, u.attempt, c.worker_id,
           c.run_ms[(u.before + g + 1)::integer], NULL, NULL
      FROM howdah.receipt c
      CROSS JOIN LATERAL (
        SELECT v.first_id, v.jobs, v.attempt,
               coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
          FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
     WHERE c.at >= tail_events.since AND age(c.xmin) <= tail_events.age
     ORDER BY c.at DESC LIMIT tail_events.most;
  RETURN QUERY
    SELECT f.at, CASE WHEN EXISTS (SELECT FROM howdah.dead d WHERE d.job_id = f.job_id AND d.attempt = f.attempt) THEN 'dead' ELSE 'failed' END,
           f.job_id, f.attempt, f.worker_id, f.run_ms, f.error_kind, left(f.message, 1000)
      FROM howdah.failure f
     WHERE f.at >= tail_events.since AND age(f.xmin) <= tail_events.age
     ORDER BY f.at DESC LIMIT tail_events.most;
  -- Dead without a failed attempt: only of expiry, and only where a queue says so.
  RETURN QUERY
    SELECT d.died_at, 'dead', d.job_id, d.attempt, NULL::bigint, NULL::integer, NULL, d.reason
      FROM howdah.queue q CROSS JOIN LATERAL (
        SELECT * FROM howdah.dead x WHERE x.queue_id = q.id AND x.died_at >= tail_events.since AND age(x.xmin) <= tail_events.age) d
     WHERE q.on_expiry = 'dead' AND d.reason ^@ 'expired: '
     LIMIT tail_events.most;
END $$;
