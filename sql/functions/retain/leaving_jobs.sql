-- howdah.leaving_jobs(slot, tids, dead_ids) -> setof archive
-- What is known of jobs that are about to be removed: those of receipts in a slot, and dead ones. Internal.
-- Cost: looks for each job and its failures by id.
CREATE OR REPLACE FUNCTION howdah.leaving_jobs(slot integer, tids tid[], dead_ids bigint[]) RETURNS SETOF howdah.archive
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := howdah.now();
BEGIN
  RETURN QUERY
    SELECT j.id, q.name::text, j.kind::text, e.state, e.attempt, j.max_attempts, j.priority, j.enqueued_at, e.claimed_at, e.ended_at,
           e.run_ms, e.worker, e.reason, j.payload, j.options,
           (SELECT s.result FROM howdah.result s WHERE s.job_id = j.id LIMIT 1), howdah.failures_of(j.id), v_now
      FROM (
        SELECT u.first_id + g AS id, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END AS state, u.attempt,
               c.claimed_at, c.at AS ended_at, c.run_ms[(u.before + g + 1)::integer] AS run_ms, coalesce(w.name, c.worker_id::text) AS worker,
               NULL::text AS reason
          FROM howdah.receipt c
          LEFT JOIN howdah.worker w ON w.id = c.worker_id
          CROSS JOIN LATERAL (
            SELECT v.first_id, v.jobs, v.attempt,
                   coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
              FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
          CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
         WHERE c.slot = leaving_jobs.slot AND c.ctid = ANY (leaving_jobs.tids)
        UNION ALL
        SELECT d.job_id, 'dead', d.attempt, NULL, d.died_at, NULL, NULL, d.reason
          FROM howdah.dead d WHERE d.job_id = ANY (leaving_jobs.dead_ids)) e
      CROSS JOIN LATERAL howdah.find_job(e.id) j
      JOIN howdah.queue q ON q.id = j.queue_id;
END $$;
