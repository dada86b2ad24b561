-- howdah.doctor_settings(asked) -> findings, see howdah.doctor_checks
-- Settings of the server that can lose what was committed; and settings of this database or of roles that cut off transactions
-- or change what they see. Howdah's own sessions set what they need; applications' transactions and psql do not. Internal to
-- doctor. Reads: settings.
CREATE OR REPLACE FUNCTION howdah.doctor_settings(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT 'problem', format('%s is off: a crash of the machine can destroy the database', s.name), format('SHOW %s', s.name), 'switch it on',
      format(E'ALTER SYSTEM SET %s = on;\nSELECT pg_reload_conf()', s.name), jsonb_build_object('setting', s.name, 'value', 'off')
      FROM (VALUES ('fsync'), ('full_page_writes')) s(name) WHERE current_setting(s.name) = 'off';
  RETURN QUERY
    SELECT 'warning', 'synchronous_commit is off: jobs that were enqueued in the last second or so are lost in a crash', 'SHOW synchronous_commit',
      'switch it on, or leave it if that loss is wanted', E'ALTER SYSTEM SET synchronous_commit = on;\nSELECT pg_reload_conf()', jsonb_build_object('setting', 'synchronous_commit', 'value', 'off')
      FROM pg_settings s WHERE s.name = 'synchronous_commit' AND s.reset_val = 'off' AND s.source NOT IN ('database', 'user', 'database user');
  RETURN QUERY
    SELECT 'problem', 'this server is a standby: nothing can be enqueued, claimed or kept here', 'SELECT pg_is_in_recovery()', 'connect to the primary', NULL::text, '{"standby": true}'::jsonb
     WHERE pg_is_in_recovery();
  RETURN QUERY
    SELECT CASE WHEN c.name IN ('synchronous_commit', 'default_transaction_read_only') THEN 'warning' ELSE 'notice' END,
      format('%s is set to %s for %s: %s', c.name, c.value, o.whom, CASE
        WHEN c.name = 'default_transaction_isolation' THEN 'calls that settle jobs are refused (HD012) in its transactions'
        WHEN c.name = 'default_transaction_read_only' THEN 'its transactions can enqueue nothing'
        WHEN c.name = 'synchronous_commit' THEN 'jobs that it has enqueued in the last second or so are lost in a crash'
        ELSE 'its longer transactions are cut off' END),
      'SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting', 'leave it if it is wanted; else', format('ALTER %s RESET %I', o.whom, c.name),
      jsonb_build_object('setting', c.name, 'value', c.value, 'of', o.whom)
      FROM pg_db_role_setting s
      CROSS JOIN LATERAL (SELECT split_part(x, '=', 1) AS name, substr(x, strpos(x, '=') + 1) AS value FROM unnest(s.setconfig) x) c
      CROSS JOIN LATERAL (SELECT CASE WHEN s.setrole = 0 THEN format('DATABASE %I', current_database())
        ELSE format('ROLE %s%s', s.setrole::regrole, CASE WHEN s.setdatabase = 0 THEN '' ELSE format(' IN DATABASE %I', current_database()) END) END AS whom) o
     WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) AND (s.setrole <> 0 OR s.setdatabase <> 0)
       AND ((c.name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'lock_timeout') AND c.value !~ '^0')
         OR (c.name = 'default_transaction_isolation' AND c.value <> 'read committed') OR (c.name = 'default_transaction_read_only' AND c.value IN ('on', 'true', '1', 'yes'))
         OR (c.name = 'synchronous_commit' AND c.value = 'off'))
     ORDER BY o.whom, c.name;
END $$;
