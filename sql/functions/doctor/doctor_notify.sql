-- howdah.doctor_notify(asked) -> findings, see howdah.doctor_checks
-- How full the server's queue of notifications is: a session that listens and stays in a transaction keeps it from being
-- emptied; when it is full, every commit that notifies fails. Internal to doctor. Reads: statistics of sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_notify(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_percent numeric := 100 * pg_notification_queue_usage();
  v_holder  record;
BEGIN
  IF v_percent <= howdah.doctor_limit(doctor_notify.asked, 'notify_percent') THEN
    RETURN;
  END IF;
  -- Who listens cannot be seen from outside; a session that reads its notifications is not in a transaction for long.
  SELECT a.pid, a.usename, a.application_name, a.xact_start INTO v_holder FROM pg_stat_activity a
   WHERE a.datname IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend' ORDER BY a.xact_start LIMIT 1;
  RETURN QUERY SELECT CASE WHEN v_percent > 75 THEN 'problem' ELSE 'warning' END,
    format('the queue of notifications is %s %% full%s', round(v_percent, 4), CASE WHEN v_holder.xact_start IS NULL THEN '' ELSE
      format('; the oldest transaction is that of session %s (%s), for %s', v_holder.pid, coalesce(nullif(v_holder.application_name, ''), v_holder.usename), howdah.doctor_span(v_holder.xact_start)) END),
    'SELECT pg_notification_queue_usage()', 'end the session that listens and has a transaction open'
      || CASE WHEN v_holder.xact_start IS NULL THEN '; none is seen: it may be stopped, or its connection broken' ELSE '' END,
    CASE WHEN v_holder.xact_start IS NOT NULL THEN format('SELECT pg_terminate_backend(%s)', v_holder.pid) END,
    jsonb_build_object('percent', v_percent, 'pid', v_holder.pid, 'since', v_holder.xact_start);
END $$;
