-- howdah.doctor_slots(asked) -> findings, see howdah.doctor_checks
-- Replication slots that keep more than slot_wal_bytes of log, or old rows of more than horizon_xids transactions; slots that were lost; and standbys whose
-- feedback holds back as much. Part of doctor_horizon. Internal. Reads: replication slots, statistics of replication.
CREATE OR REPLACE FUNCTION howdah.doctor_slots(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_bytes numeric := howdah.doctor_limit(doctor_slots.asked, 'slot_wal_bytes');
  v_xids  numeric := howdah.doctor_limit(doctor_slots.asked, 'horizon_xids');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN s.active THEN 'warning' ELSE 'problem' END,
      format('replication slot %s (%s) keeps %s of log and old rows of %s transactions%s', s.slot_name, CASE WHEN s.active THEN 'in use' ELSE 'not in use' END,
             pg_size_pretty(k.bytes), k.xids, CASE WHEN s.wal_status = 'lost' THEN ', and was lost: what read it must begin anew' ELSE '' END),
      format('SELECT slot_name, slot_type, database, active, active_pid, xmin, catalog_xmin, restart_lsn, wal_status FROM pg_replication_slots WHERE slot_name = %L', s.slot_name),
      CASE WHEN s.active THEN 'see why its reader lags' ELSE 'start its reader again; or drop it, if nobody will read it' END,
      CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END,
      jsonb_build_object('slot', s.slot_name, 'type', s.slot_type, 'active', s.active, 'wal_bytes', k.bytes, 'xids', k.xids, 'wal_status', s.wal_status)
      FROM pg_replication_slots s
      CROSS JOIN LATERAL (
        SELECT greatest(0, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)) AS bytes,
               greatest(0, age(s.xmin), age(s.catalog_xmin)) AS xids) k
     WHERE k.bytes > v_bytes OR k.xids > v_xids OR s.wal_status = 'lost' ORDER BY s.slot_name;
  RETURN QUERY
    SELECT 'warning', format('standby %s (%s) asks to keep old rows of %s transactions: a long query runs there', r.application_name, coalesce(r.client_addr::text, 'local'), age(r.backend_xmin)),
      format('SELECT * FROM pg_stat_replication WHERE pid = %s', r.pid), 'end the long query on that standby, or set hot_standby_feedback = off there', NULL::text,
      jsonb_build_object('standby', r.application_name, 'client', r.client_addr, 'xids', age(r.backend_xmin))
      FROM pg_stat_replication r WHERE age(r.backend_xmin) > v_xids ORDER BY r.application_name;
END $$;
