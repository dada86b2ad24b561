-- howdah.unknown_worker(worker_id) -> never returns
-- Says that a worker is not registered, or no longer. Errors: HD004. Internal.
CREATE OR REPLACE FUNCTION howdah.unknown_worker(worker_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'worker % is not registered', coalesce(unknown_worker.worker_id::text, 'NULL')
    USING ERRCODE = 'HD004', COLUMN = 'worker_id',
      HINT = 'Its heartbeat was overdue and its jobs were given to others. Register again: SELECT howdah.start_worker(''name'')';
END $$;
