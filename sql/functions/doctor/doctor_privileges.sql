-- howdah.doctor_privileges(asked) -> findings, see howdah.doctor_checks
-- Rights that every role of the server has in this schema, and workers that are connected as a superuser: a handler that is
-- deceived can then do everything. Internal to doctor. Reads: the catalog, the roles of workers' sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_privileges(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT 'warning', format('PUBLIC has %s on the schema %s: every role of this server can use it', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), n.oid::regnamespace),
      format('SELECT nspacl FROM pg_namespace WHERE oid = %L::regnamespace', n.oid::regnamespace), 'take it away, and grant it to the roles that need it',
      format('REVOKE ALL ON SCHEMA %s FROM PUBLIC', n.oid::regnamespace), jsonb_build_object('schema', n.oid::regnamespace::text)
      FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a WHERE n.oid = v_schema AND a.grantee = 0 GROUP BY n.oid HAVING count(*) > 0;
  RETURN QUERY
    SELECT 'warning', format('PUBLIC has rights on %s tables of the schema: %s', count(DISTINCT c.oid), left(string_agg(DISTINCT c.relname, ', '), 200)),
      format('SELECT relname, relacl FROM pg_class WHERE relnamespace = %L::regnamespace AND relacl IS NOT NULL', v_schema::regnamespace), 'take them away',
      format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM PUBLIC', v_schema::regnamespace), jsonb_build_object('tables', jsonb_agg(DISTINCT c.relname))
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.relnamespace = v_schema AND c.relkind IN ('r', 'p', 'v', 'm') AND a.grantee = 0 HAVING count(*) > 0;
  RETURN QUERY
    SELECT 'notice', format('%s workers are connected as %s, which is a superuser: a handler that is deceived can do everything on this server', count(*), a.usename),
      'SELECT w.name, a.usename FROM howdah.worker w JOIN pg_stat_activity a ON a.pid = w.backend_pid AND a.backend_start = w.backend_start',
      'give workers a role of their own', NULL::text, jsonb_build_object('role', a.usename, 'workers', count(*))
      FROM howdah.worker w JOIN pg_stat_activity a ON a.pid = w.backend_pid AND coalesce(a.backend_start = w.backend_start, true) JOIN pg_roles r ON r.oid = a.usesysid AND r.rolsuper
     GROUP BY a.usename;
END $$;
