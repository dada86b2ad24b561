-- howdah.attach_session(worker_id) -> boolean
-- Says that the calling session stays open for as long as the worker lives. When it has ended and a heartbeat
-- was missed, the worker is dead, and nobody waits for its lease to run out. Call it from a direct connection
-- only: behind a pooler the session is not the worker's own.
-- Returns false if the worker is not registered. Writes: worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.attach_session(worker_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE howdah.worker w SET backend_pid = a.pid, backend_start = a.backend_start
    FROM pg_stat_activity a WHERE a.pid = pg_backend_pid() AND w.id = attach_session.worker_id;
  RETURN FOUND;
END $$;
