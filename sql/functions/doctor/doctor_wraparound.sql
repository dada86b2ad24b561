-- howdah.doctor_wraparound(asked) -> findings, see howdah.doctor_checks
-- Tables of the queue whose oldest transaction id, or group of transactions, is more than freeze_xids ago, and the database
-- itself; from three times that it is a problem: at two billions the server stops. Internal to doctor. Reads: the catalog.
CREATE OR REPLACE FUNCTION howdah.doctor_wraparound(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_xids   numeric := howdah.doctor_limit(doctor_wraparound.asked, 'freeze_xids');
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT CASE WHEN max(a.xids) > 3 * v_xids THEN 'problem' ELSE 'warning' END,
      format('%s tables of the queue have transaction ids that are up to %s transactions old: %s', count(*), max(a.xids), left(string_agg(c.relname, ', ' ORDER BY a.xids DESC, c.relname), 200)),
      format('SELECT oid::regclass, age(relfrozenxid), mxid_age(relminmxid) FROM pg_class WHERE relnamespace = %L::regnamespace AND relkind = ''r'' ORDER BY 2 DESC', rtrim('howdah.', '.')),
      'end what the check horizon names, and freeze them', string_agg(format('VACUUM (FREEZE) %s', c.oid::regclass), E';\n' ORDER BY a.xids DESC, c.relname),
      jsonb_build_object('tables', count(*), 'xids', max(a.xids))
      FROM pg_class c CROSS JOIN LATERAL (SELECT greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) AS xids) a
     WHERE c.relnamespace = v_schema AND c.relkind = 'r' AND a.xids > v_xids
    HAVING count(*) > 0;
  RETURN QUERY
    SELECT CASE WHEN a.xids > 3 * v_xids THEN 'problem' ELSE 'warning' END,
      format('database %s has transaction ids that are %s transactions old, in tables of others: %s', d.datname, a.xids, o.tables),
      'SELECT oid::regclass, age(relfrozenxid) FROM pg_class WHERE relkind IN (''r'', ''m'', ''t'') ORDER BY 2 DESC LIMIT 20',
      'end what the check horizon names, and freeze the whole database', 'VACUUM (FREEZE)', jsonb_build_object('database', d.datname, 'xids', a.xids)
      FROM pg_database d CROSS JOIN LATERAL (SELECT greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) AS xids) a
      CROSS JOIN LATERAL (SELECT string_agg(t.name, ', ') AS tables FROM (
        SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'm', 't') AND c.relnamespace <> v_schema AND age(c.relfrozenxid) > v_xids
         ORDER BY age(c.relfrozenxid) DESC LIMIT 3) t) o
     WHERE d.datname = current_database() AND a.xids > v_xids AND o.tables IS NOT NULL;
END $$;
