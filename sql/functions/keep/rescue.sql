-- howdah.rescue() -> (worker, jobs)
-- Finds dead workers and gives their jobs to others. A job is given away when its worker's heartbeat is overdue by the
-- job's lease: its kind's lease_ms, or else its queue's, or else its worker's, and two heartbeats at least. A worker is
-- given up when its own lease is over and it holds nothing any more; or, with all that it holds, when it has missed a
-- heartbeat and the session that it registered from is gone. Sessions that went when the server was started again, or took over
-- from another, do not count: they all did, and their workers come back. Nothing that heartbeats is touched.
-- When the clock has gone back, silence counts from then on: a heartbeat that lies ahead would keep a dead worker's jobs until the
-- clock has caught up. So it does after a time in which nobody could heartbeat: see elect_keeper.
-- Returns a row for each worker that was given up or lost jobs. Writes: see rescue_worker and rescue_overdue. Locks:
-- worker rows, skipping what another rescue has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rescue() RETURNS TABLE (worker text, jobs integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  -- The shortest lease that a setting gives: nobody who is silent for less need be looked at. NULL: there is none.
  v_least integer := least((SELECT min(q.lease_ms) FROM howdah.queue q), (SELECT min(k.lease_ms) FROM howdah.kind k));
  v_set   boolean := v_least IS NOT NULL;
  -- When this server began: it was started, or its processes were after a crash, or it was promoted.
  v_began timestamptz := greatest(pg_postmaster_start_time(), pg_last_xact_replay_timestamp(),
    (SELECT max(a.backend_start) FROM pg_stat_activity a WHERE a.backend_type = 'checkpointer'));
  v_why   text;
  w       record;
BEGIN
  UPDATE howdah.worker k SET heartbeat_at = howdah.now()
   WHERE k.id IN (SELECT a.id FROM howdah.worker a WHERE a.heartbeat_at > howdah.now() + interval '1 second' FOR UPDATE SKIP LOCKED);
  FOR w IN
    SELECT k.id, k.name, k.heartbeat_at, k.backend_start > v_began AND howdah.session_ended(k) AS ended,
           k.heartbeat_at + make_interval(secs => k.lease_ms / 1000.0) < howdah.now() AS overdue FROM howdah.worker k
     WHERE k.heartbeat_at + make_interval(secs => howdah.lease_ms(least(v_least, k.lease_ms), k.heartbeat_ms) / 1000.0) < howdah.now()
        OR (k.backend_start > v_began AND howdah.session_ended(k))
     ORDER BY k.id FOR UPDATE SKIP LOCKED
  LOOP
    worker := w.name;
    v_why := format('worker %s was last heard of at %s%s', w.name,
      to_char(w.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), CASE WHEN NOT w.overdue AND w.ended THEN ' and its session has ended' ELSE '' END);
    jobs := 0;
    IF v_set AND NOT w.ended THEN
      jobs := howdah.rescue_overdue(w.id, v_why);
      w.overdue := w.overdue AND NOT EXISTS (SELECT FROM howdah.lease l WHERE l.worker_id = w.id);
    END IF;
    IF w.ended OR w.overdue THEN
      jobs := jobs + howdah.rescue_worker(w.id, 'worker_lost', v_why);
      RETURN NEXT;
    ELSIF jobs > 0 THEN
      RETURN NEXT;
    END IF;
  END LOOP;
  -- Leases without a worker: claimed by one that was just given up, or locked while it was.
  FOR w IN SELECT l.id, l.worker_id FROM howdah.lease l WHERE NOT EXISTS (SELECT FROM howdah.worker k WHERE k.id = l.worker_id)
            ORDER BY l.id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
    worker := 'worker ' || w.worker_id;
    jobs := howdah.rescue_lease(w.id, w.worker_id, 'worker_lost', format('worker %s is not registered any more', w.worker_id));
    RETURN NEXT;
  END LOOP;
END $$;
