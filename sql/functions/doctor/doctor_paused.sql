-- howdah.doctor_paused(asked) -> findings, see howdah.doctor_checks
-- Paused queues that have jobs; a warning after paused_ms, since pauses are forgotten. Internal to doctor. Reads: see
-- doctor_fronts.
CREATE OR REPLACE FUNCTION howdah.doctor_paused(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_paused.asked, 'paused_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN q.paused_at <= v_late THEN 'warning' ELSE 'notice' END,
      format('queue %s was paused %s ago by %s%s, and jobs wait in it', q.name, howdah.doctor_span(q.paused_at), coalesce(q.paused_by, 'somebody'),
             coalesce(' (' || q.pause_reason || ')', '')),
      format('SELECT paused_at, paused_by, pause_reason, ready FROM howdah.queues WHERE queue = %L', q.name),
      'resume it if the reason is over', format('SELECT howdah.resume_queue(%L)', q.name),
      jsonb_build_object('queue', q.name, 'paused_at', q.paused_at, 'paused_by', q.paused_by, 'pause_reason', q.pause_reason)
      FROM howdah.queue q
     WHERE q.paused_at IS NOT NULL AND q.id IN (SELECT f.queue_id FROM howdah.doctor_fronts() f)
     ORDER BY q.paused_at;
END $$;
