-- howdah.jobs: every job with its state, for people and for SQL.
--
-- A branch for each room, so that a question about one state reads one room, and a question about one id a few
-- index entries in each. The bounds on first_id say that a run does not leave its block of 128 ids; they are
-- what lets an id find its ticket.
CREATE OR REPLACE VIEW howdah.jobs AS
WITH job AS NOT MATERIALIZED (
  SELECT * FROM howdah.job UNION ALL
  SELECT k.* FROM howdah.job_kept k WHERE NOT EXISTS (
    SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id))
SELECT j.id, q.name AS queue, j.kind, r.state, r.attempt, j.max_attempts, j.priority, j.enqueued_at,
       r.due_at, r.worker_id, r.claimed_at, r.ended_at, r.run_ms, r.reason, j.payload, j.options
  FROM job j
  JOIN howdah.queue q ON q.id = j.queue_id
  JOIN LATERAL (
    SELECT 'ready' AS state, t.attempt, NULL::timestamptz AS due_at, NULL::bigint AS worker_id, NULL::timestamptz AS claimed_at,
           NULL::timestamptz AS ended_at, NULL::integer AS run_ms, NULL::text AS reason
      FROM howdah.ticket t
     WHERE t.queue_id = j.queue_id AND t.priority = j.priority
       AND t.first_id BETWEEN (j.id >> 7 << 7) AND j.id AND j.id < t.first_id + t.jobs
    UNION ALL
    SELECT 'scheduled', d.attempt, d.due_at, NULL, NULL, NULL, NULL, NULL
      FROM howdah.deferred d WHERE d.first_id BETWEEN (j.id >> 7 << 7) AND j.id AND j.id < d.first_id + d.jobs
    UNION ALL
    SELECT 'running', u.attempt, NULL, l.worker_id, l.claimed_at, NULL, NULL, NULL
      FROM howdah.lease l, unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt)
     WHERE j.id >= u.first_id AND j.id < u.first_id + u.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = j.id)
    UNION ALL
    SELECT 'dead', x.attempt, NULL, NULL, NULL, x.died_at, NULL, x.reason FROM howdah.dead x WHERE x.job_id = j.id
    UNION ALL
    SELECT CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.attempt, NULL,
           c.worker_id, c.claimed_at, c.at, c.run_ms[(u.before + j.id - u.first_id + 1)::integer], NULL
      FROM howdah.receipt c,
           LATERAL (SELECT v.first_id, v.jobs, v.attempt, coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
                      FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
     WHERE c.span @> j.id AND j.id >= u.first_id AND j.id < u.first_id + u.jobs
  ) r ON true;
