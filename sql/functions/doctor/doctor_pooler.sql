-- howdah.doctor_pooler(asked) -> findings, see howdah.doctor_checks
-- Whether the asking program was handed from session to session, as a pooler in transaction mode does; and workers that live
-- but whose listening session is not there: a pooler or a firewall is between them, and they hear of new jobs late. Internal to
-- doctor. Reads: worker, the process ids of sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_pooler(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT 'notice', 'this program is handed from session to session: a pooler in transaction mode is between it and the server', NULL::text,
    'enqueue through it, but let workers connect directly (Howdah::with_worker_url), or they hear of new jobs late', NULL::text, jsonb_build_object('pooled', true)
   WHERE (doctor_pooler.asked -> 'client' ->> 'pooled')::boolean;
  RETURN QUERY
    SELECT 'warning', format('worker %s lives, and the session %s that it listens on is not there: it hears of new jobs late', w.name, w.backend_pid),
      format('SELECT w.id, w.name, w.backend_pid, w.heartbeat_at, a.pid FROM howdah.worker w LEFT JOIN pg_stat_activity a ON a.pid = w.backend_pid WHERE w.id = %s', w.id),
      'let it connect directly, not through a pooler in transaction mode; and see that no firewall drops idle connections', NULL::text,
      jsonb_build_object('worker', w.name, 'worker_id', w.id, 'pid', w.backend_pid)
      FROM howdah.doctor_live() w
     WHERE w.backend_pid IS NOT NULL AND w.heartbeat_at > howdah.now() - make_interval(secs => 2 * w.heartbeat_ms / 1000.0)
       AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = w.backend_pid AND (a.backend_start IS NULL OR a.backend_start = w.backend_start))
     ORDER BY w.id;
END $$;
