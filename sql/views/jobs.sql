-- howdah.jobs: every job with its state, for people and for SQL.
--
-- A branch for each room, each joined with the jobs by itself and by two conditions that say the same: by the id,
-- so that a question about a state begins at its room and finds the jobs by their ids; and by the bounds of the
-- run (which does not leave its block of 128 ids), so that a question about an id finds the row that holds it.
-- `= ANY (ARRAY[...])` is what an index can use and a merge of whole tables cannot.
CREATE OR REPLACE VIEW howdah.jobs AS
SELECT r.id, q.name AS queue, r.kind, r.state, r.attempt, r.max_attempts, r.priority, r.enqueued_at,
       r.due_at, r.worker_id, r.claimed_at, r.ended_at, r.run_ms, r.reason, r.payload, r.options,
       r.options -> 'attributes' AS attributes, (r.options ->> 'expires_at')::timestamptz AS expires_at,
       (SELECT s.result FROM howdah.result s WHERE s.job_id = r.id LIMIT 1) AS result
  FROM (
    SELECT j.*, 'ready' AS state, t.attempt, NULL::timestamptz AS due_at, NULL::bigint AS worker_id, NULL::timestamptz AS claimed_at,
           NULL::timestamptz AS ended_at, NULL::integer AS run_ms, NULL::text AS reason
      FROM howdah.ticket t CROSS JOIN LATERAL generate_series(0, t.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = t.first_id + g
       AND t.queue_id = ANY (ARRAY[j.queue_id]) AND t.priority = ANY (ARRAY[j.priority]) AND t.first_id BETWEEN (j.id >> 7 << 7) AND j.id
    UNION ALL
    SELECT j.*, howdah.waits_as(d.gate) COLLATE "default", d.attempt, nullif(d.due_at, CASE WHEN d.gate IS NOT NULL THEN 'infinity'::timestamptz END),
           NULL, NULL, NULL, NULL,
           CASE WHEN d.gate IS NULL THEN howdah.waits_because(j.id) WHEN d.gate NOT LIKE 'fair:%' THEN ('waits for ' || d.gate) COLLATE "default" END
      FROM howdah.deferred d CROSS JOIN LATERAL generate_series(0, d.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = d.first_id + g AND d.first_id BETWEEN (j.id >> 7 << 7) AND j.id
    UNION ALL
    SELECT j.*, 'running', u.attempt, NULL, l.worker_id, l.claimed_at, NULL, NULL, NULL
      FROM howdah.lease l CROSS JOIN LATERAL unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt)
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = u.first_id + g
     WHERE NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = j.id)
    UNION ALL
    SELECT j.*, 'dead', x.attempt, NULL, NULL, NULL, x.died_at, NULL, x.reason
      FROM howdah.dead x JOIN howdah.all_jobs j ON j.id = x.job_id
    UNION ALL
    SELECT j.*, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.attempt, NULL,
           c.worker_id, c.claimed_at, c.at, c.run_ms[(u.before + g + 1)::integer], NULL
      FROM howdah.receipt c
      CROSS JOIN LATERAL (
        SELECT v.first_id, v.jobs, v.attempt,
               coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
          FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = u.first_id + g AND c.span @> j.id
  ) r JOIN howdah.all_queues q ON q.id = r.queue_id;
