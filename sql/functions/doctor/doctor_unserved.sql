-- howdah.doctor_unserved(asked) -> findings, see howdah.doctor_checks
-- Queues with jobs that are ready, not paused, which no living worker serves. Internal to doctor. Reads: see doctor_fronts; worker.
CREATE OR REPLACE FUNCTION howdah.doctor_unserved(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_unserved.asked, 'unserved_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN min(f.since) <= v_late THEN 'problem' ELSE 'notice' END,
      format('no worker serves queue %s, in which jobs wait for %s', f.queue, howdah.doctor_span(min(f.since))),
      'SELECT id, name, queues, stopping, heartbeat_at FROM howdah.worker ORDER BY id',
      'start a worker that serves it, such as `howdah work --exec PROGRAM --queue ' || quote_literal(f.queue) || '`', NULL::text,
      jsonb_build_object('queue', f.queue, 'since', min(f.since), 'job', min(f.job_id))
      FROM howdah.doctor_fronts() f JOIN howdah.queue q ON q.id = f.queue_id
     WHERE q.paused_at IS NULL AND NOT EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues))
     GROUP BY f.queue ORDER BY min(f.since);
END $$;
