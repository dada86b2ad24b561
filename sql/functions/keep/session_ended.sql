-- howdah.session_ended(worker) -> boolean
-- Whether a worker has missed a heartbeat and the session that it had attached is gone. A heartbeat that lies ahead was before
-- the clock went back: it says nothing. Internal: a hint, for workers that are connected directly.
-- Reads: pg_stat_activity. Errors: none.
CREATE OR REPLACE FUNCTION howdah.session_ended(worker howdah.worker) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT worker.backend_pid IS NOT NULL
     AND (worker.heartbeat_at + make_interval(secs => 1.25 * worker.heartbeat_ms / 1000.0) < howdah.now()
       OR worker.heartbeat_at > howdah.now() + interval '1 second')
     AND NOT EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.pid = worker.backend_pid
          -- When another role's session started is hidden from roles that may not know.
          AND (a.backend_start IS NULL OR a.backend_start = worker.backend_start))
$$;
