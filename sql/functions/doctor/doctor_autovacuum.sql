-- howdah.doctor_autovacuum(asked) -> findings, see howdah.doctor_checks
-- Autovacuum switched off, for the server or for a table; and tables with more than dead_rows dead rows that it has not come to
-- for ten minutes (those that are emptied by truncation do not need it). Internal to doctor. Reads: the catalog and statistics.
CREATE OR REPLACE FUNCTION howdah.doctor_autovacuum(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_dead   bigint := howdah.doctor_limit(doctor_autovacuum.asked, 'dead_rows');
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT 'problem', format('%s is off for the whole server: dead rows are never cleaned up', s.name), format('SHOW %s', s.name), 'switch it on',
      format(E'ALTER SYSTEM SET %s = on;\nSELECT pg_reload_conf()', s.name), jsonb_build_object('setting', s.name)
      FROM (VALUES ('autovacuum'), ('track_counts')) s(name) WHERE current_setting(s.name) = 'off';
  RETURN QUERY
    SELECT 'warning', format('autovacuum is off for %s tables of the queue: %s', count(*), left(string_agg(c.relname, ', ' ORDER BY c.relname), 200)),
      format('SELECT oid::regclass, reloptions FROM pg_class WHERE relnamespace = %L::regnamespace AND reloptions IS NOT NULL', rtrim('howdah.', '.')), 'switch it on',
      string_agg(format('ALTER TABLE %s RESET (autovacuum_enabled)', c.oid::regclass), E';\n' ORDER BY c.relname),
      jsonb_build_object('tables', jsonb_agg(c.relname ORDER BY c.relname))
      FROM pg_class c CROSS JOIN LATERAL pg_options_to_table(c.reloptions) o
     WHERE c.relnamespace = v_schema AND c.relkind = 'r' AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
    HAVING count(*) > 0;
  RETURN QUERY
    SELECT CASE WHEN t.dead > 10 * v_dead THEN 'problem' ELSE 'warning' END,
      format('table %s has %s dead rows beside %s live ones, and was %s', t.relname, t.dead, t.live,
             coalesce('vacuumed ' || howdah.doctor_span(t.vacuumed) || ' ago', 'never vacuumed')),
      format('SELECT n_live_tup, n_dead_tup, last_vacuum, last_autovacuum FROM pg_stat_all_tables WHERE relid = %L::regclass', t.oid::regclass),
      'end what the check horizon names, give autovacuum more workers or a higher autovacuum_vacuum_cost_limit; and now',
      format('VACUUM (ANALYZE) %s', t.oid::regclass), jsonb_build_object('table', t.oid::regclass::text, 'dead_rows', t.dead, 'rows', t.live, 'vacuumed_at', t.vacuumed)
      FROM (SELECT c.oid, c.relname, pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
                   greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed
              FROM pg_class c WHERE c.relnamespace = v_schema AND c.relkind = 'r' AND c.relname !~ '^(ticket|lease)_[0-3]$') t
     WHERE t.dead > v_dead AND (t.vacuumed IS NULL OR t.vacuumed < howdah.now() - interval '10 minutes')
     ORDER BY t.dead DESC;
END $$;
