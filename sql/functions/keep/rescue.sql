-- howdah.rescue() -> (worker, jobs)
-- Finds dead workers and gives their jobs to others. A worker is dead when its heartbeat is overdue by its
-- lease_ms; or when it has missed a heartbeat and the session that it registered from is gone. Nothing that
-- heartbeats is touched.
-- Returns a row for each worker that was given up. Writes: see rescue_worker. Locks: worker rows, skipping
-- what another rescue has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rescue() RETURNS TABLE (worker text, jobs integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  w record;
BEGIN
  FOR w IN
    SELECT k.*, k.heartbeat_at + make_interval(secs => k.lease_ms / 1000.0) < howdah.now() AS overdue FROM howdah.worker k
     WHERE k.heartbeat_at + make_interval(secs => k.lease_ms / 1000.0) < howdah.now()
        OR howdah.session_ended(k)
     ORDER BY k.id FOR UPDATE SKIP LOCKED
  LOOP
    worker := w.name;
    jobs := howdah.rescue_worker(w.id, 'worker_lost', format('worker %s was last heard of at %s%s', w.name,
      to_char(w.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), CASE WHEN NOT w.overdue THEN ' and its session has ended' ELSE '' END));
    RETURN NEXT;
  END LOOP;
  -- Leases without a worker: claimed by one that was just given up, or locked while it was.
  FOR w IN SELECT l.id, l.worker_id FROM howdah.lease l WHERE NOT EXISTS (SELECT FROM howdah.worker k WHERE k.id = l.worker_id)
            ORDER BY l.id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
    worker := 'worker ' || w.worker_id;
    jobs := howdah.rescue_lease(w.id, w.worker_id, 'worker_lost', format('worker %s is not registered any more', w.worker_id));
    RETURN NEXT;
  END LOOP;
END $$;
