-- howdah.doctor_connections(asked) -> findings, see howdah.doctor_checks
-- Whether connections_percent of the connections that the server allows to ordinary roles are in use; from 95 % it is a
-- problem, because a worker that must connect again cannot. Internal to doctor. Reads: statistics.
CREATE OR REPLACE FUNCTION howdah.doctor_connections(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_most bigint := current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint;
  v_used bigint := (SELECT sum(d.numbackends) FROM pg_stat_database d);
BEGIN
  RETURN QUERY SELECT CASE WHEN 100 * v_used >= 95 * v_most THEN 'problem' ELSE 'warning' END,
    format('%s of %s connections are in use', v_used, v_most),
    'SELECT usename, application_name, state, count(*) FROM pg_stat_activity WHERE backend_type = ''client backend'' GROUP BY 1, 2, 3 ORDER BY 4 DESC',
    'make the pools of applications smaller, put a pooler between them and the server (not for workers), or raise max_connections', NULL::text,
    jsonb_build_object('used', v_used, 'most', v_most)
   WHERE 100 * v_used >= howdah.doctor_limit(doctor_connections.asked, 'connections_percent') * v_most;
END $$;
