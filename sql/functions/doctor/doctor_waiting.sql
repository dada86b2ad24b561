-- howdah.doctor_waiting(asked) -> findings, see howdah.doctor_checks
-- Queues that are served, not paused, and in which a job has been ready for longer than waiting_ms; ten times that is a problem.
-- A low priority that never has its turn is seen too. Internal to doctor. Reads: see doctor_fronts; worker.
CREATE OR REPLACE FUNCTION howdah.doctor_waiting(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_waiting.asked, 'waiting_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN f.since <= v_late - 9 * (howdah.now() - v_late) THEN 'problem' ELSE 'warning' END,
      format('a job of queue %s has been ready for %s (job %s, kind %s, priority %s)', f.queue, howdah.doctor_span(f.since), f.job_id, f.kind, f.priority),
      format('SELECT * FROM howdah.why(%s)', f.job_id),
      'see why, with the query beside; then start more workers of this queue, or give them more slots', NULL::text,
      jsonb_build_object('queue', f.queue, 'since', f.since, 'job', f.job_id, 'kind', f.kind, 'priority', f.priority)
      FROM (SELECT DISTINCT ON (a.queue) a.* FROM howdah.doctor_fronts() a ORDER BY a.queue, a.since) f
      JOIN howdah.queue q ON q.id = f.queue_id
     WHERE f.since <= v_late AND q.paused_at IS NULL AND EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues))
     ORDER BY f.since;
END $$;
