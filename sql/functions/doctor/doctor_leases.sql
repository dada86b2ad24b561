-- howdah.doctor_leases(asked) -> findings, see howdah.doctor_checks
-- Workers that are silent, workers whose leases are over and were not given to others, and leases whose worker is gone. Internal
-- to doctor. Reads: worker; the first 10,000 rows of lease.
CREATE OR REPLACE FUNCTION howdah.doctor_leases(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_leases.asked, 'overdue_ms');
BEGIN
  RETURN QUERY
    WITH held AS MATERIALIZED (SELECT l.worker_id, count(*) AS leases, min(l.claimed_at) AS since
                                 FROM (SELECT e.worker_id, e.claimed_at FROM howdah.lease e LIMIT 10000) l GROUP BY l.worker_id)
    SELECT CASE WHEN NOT s.over THEN 'notice' WHEN h.leases > 0 THEN 'problem' ELSE 'warning' END,
      format(CASE WHEN s.over THEN 'worker %1$s has not been heard of for %2$s; its lease of %3$s s is over, and nobody has given up its %4$s leases'
                  ELSE 'worker %1$s has not been heard of for %2$s; its %4$s leases are kept until %3$s s have passed' END,
             w.name, howdah.doctor_span(w.heartbeat_at), round(w.lease_ms / 1000.0, 1), coalesce(h.leases, 0)),
      format('SELECT * FROM howdah.workers WHERE id = %s', w.id),
      CASE WHEN s.over THEN 'see that there is a keeper, or do its work by hand' ELSE 'see whether its process hangs, or cannot reach the server' END,
      CASE WHEN s.over THEN 'SELECT * FROM howdah.rescue()' END,
      jsonb_build_object('worker', w.name, 'worker_id', w.id, 'heartbeat_at', w.heartbeat_at, 'lease_ms', w.lease_ms, 'leases', coalesce(h.leases, 0))
      FROM howdah.worker w LEFT JOIN held h ON h.worker_id = w.id
      CROSS JOIN LATERAL (SELECT w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) <= v_late AS over) s
     WHERE s.over OR w.heartbeat_at + make_interval(secs => 3 * w.heartbeat_ms / 1000.0) <= v_late
    UNION ALL
    SELECT 'problem', format('%s leases belong to worker %s, which is not there any more; the first is of %s ago', h.leases, h.worker_id, howdah.doctor_span(h.since)),
      format('SELECT * FROM howdah.lease WHERE worker_id = %s', h.worker_id), 'see that there is a keeper, or do its work by hand', 'SELECT * FROM howdah.rescue()',
      jsonb_build_object('worker_id', h.worker_id, 'leases', h.leases, 'since', h.since)
      FROM held h WHERE h.since <= v_late AND NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = h.worker_id);
END $$;
