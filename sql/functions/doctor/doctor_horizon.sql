-- howdah.doctor_horizon(asked) -> findings, see howdah.doctor_checks
-- What keeps dead rows from being cleaned up, and partitions from being truncated: transactions of this database that have been
-- open for longer than transaction_ms, prepared or not, and see doctor_slots. Internal to doctor. Reads: statistics of sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_horizon(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late   timestamptz := howdah.doctor_ago(doctor_horizon.asked, 'transaction_ms');
  v_hidden bigint;
  v_xids   bigint;
BEGIN
  RETURN QUERY
    SELECT CASE WHEN a.xact_start <= v_late - 9 * (howdah.now() - v_late) THEN 'problem' ELSE 'warning' END,
      format('session %s of role %s (%s) has had a transaction open for %s and is %s%s', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'without a name'),
             howdah.doctor_span(a.xact_start), coalesce(a.state, a.backend_type), CASE WHEN a.backend_xmin IS NULL AND a.backend_xid IS NULL THEN '' ELSE ': no row that ended since can be cleaned up' END),
      format('SELECT pid, usename, application_name, client_addr, state, xact_start, state_change, backend_xmin, query FROM pg_stat_activity WHERE pid = %s', a.pid),
      'end it, if it may be ended', format('SELECT pg_terminate_backend(%s)', a.pid),
      jsonb_build_object('pid', a.pid, 'role', a.usename, 'application', a.application_name, 'client', a.client_addr, 'since', a.xact_start, 'state', a.state, 'xids', age(coalesce(a.backend_xmin, a.backend_xid)))
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start <= v_late AND a.backend_type NOT IN ('autovacuum worker', 'walsender')
     ORDER BY a.xact_start;
  RETURN QUERY
    SELECT CASE WHEN p.prepared <= v_late - 9 * (howdah.now() - v_late) THEN 'problem' ELSE 'warning' END,
      format('transaction %s was prepared %s ago by %s and has not ended: its locks are held, and no row that ended since can be cleaned up', p.gid, howdah.doctor_span(p.prepared), p.owner),
      'SELECT * FROM pg_prepared_xacts', 'ask its transaction manager whether to commit; if nobody knows it', format('ROLLBACK PREPARED %L', p.gid),
      jsonb_build_object('gid', p.gid, 'role', p.owner, 'since', p.prepared, 'xids', age(p.transaction))
      FROM pg_prepared_xacts p WHERE p.database = current_database() AND p.prepared <= v_late ORDER BY p.prepared;
  RETURN QUERY SELECT * FROM howdah.doctor_slots(doctor_horizon.asked);
  -- Of sessions of other roles one sees only that they hold something, not since when.
  SELECT count(*), max(age(a.backend_xmin)) INTO v_hidden, v_xids FROM pg_stat_activity a
   WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NULL AND a.query = '<insufficient privilege>'
     AND age(a.backend_xmin) >= least(10000, howdah.doctor_limit(doctor_horizon.asked, 'horizon_xids'));
  RETURN QUERY SELECT 'unknown', format('%s sessions of other roles have a transaction open that is up to %s transactions old, and role %s may not see since when', v_hidden, v_xids, current_user),
    'SELECT pid, usename, backend_xmin FROM pg_stat_activity WHERE backend_xmin IS NOT NULL', 'let it see them', format('GRANT pg_read_all_stats TO %I', current_user),
    jsonb_build_object('hidden', v_hidden, 'xids', v_xids) WHERE v_hidden > 0;
END $$;
