-- howdah.doctor_kinds(asked) -> findings, see howdah.doctor_checks
-- Kinds that wait in a queue whose workers all have no handler for them. Looked for among the first 200 rows (of up to 128 jobs
-- each) of each priority: what nobody takes gathers there. Internal to doctor. Reads: see doctor_fronts; ticket, worker.
CREATE OR REPLACE FUNCTION howdah.doctor_kinds(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_kinds.asked, 'unserved_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN s.since <= v_late THEN 'problem' ELSE 'notice' END,
      format('no worker of queue %s has a handler for kind %s, of which %s jobs wait in front, the first for %s', u.queue, u.kind, u.jobs, howdah.doctor_span(s.since)),
      format('SELECT name, version, kinds FROM howdah.worker WHERE %L = ANY (queues)', u.queue),
      'deploy a worker that has a handler for it, or cancel what waits',
      format('SELECT howdah.cancel_many(queue => %L, kind => %L)', u.queue, u.kind),
      jsonb_build_object('queue', u.queue, 'kind', u.kind, 'jobs', u.jobs, 'since', s.since, 'job', u.job_id)
      FROM (
        SELECT f.queue, t.kind::text AS kind, sum(t.jobs) AS jobs, min(t.first_id) AS job_id
          FROM howdah.doctor_fronts() f JOIN howdah.queue q ON q.id = f.queue_id
          CROSS JOIN LATERAL (SELECT k.kind, k.jobs, k.first_id FROM howdah.ticket k
                               WHERE k.queue_id = f.queue_id AND k.priority = f.priority ORDER BY k.first_id LIMIT 200) t
         WHERE q.paused_at IS NULL AND EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues))
           AND NOT EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues) AND (w.kinds IS NULL OR t.kind = ANY (w.kinds)))
         GROUP BY f.queue, t.kind) u
      CROSS JOIN LATERAL (SELECT coalesce((SELECT j.enqueued_at FROM howdah.find_job(u.job_id) j), howdah.now()) AS since) s
     ORDER BY s.since;
END $$;
