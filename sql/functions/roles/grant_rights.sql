-- howdah.grant_rights() -> void
-- Gives the roles of this schema what howdah.rights says and nothing else; PUBLIC gets nothing. What other roles were given stays.
-- Does nothing while there are no roles. Every migration ends with it, so that what is new has its rights.
-- Functions that somebody may call run as the owner (SECURITY DEFINER): their callers need no rights on tables. Those without a
-- setting of their own are left alone: they touch no table, and can be inlined.
-- Writes: the catalog. Locks: see take_over. Errors: 42501 the caller is not of the role that owns everything.
CREATE OR REPLACE FUNCTION howdah.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
  v_prefix text := (SELECT a.prefix FROM howdah.access a);
  v_all    text;
  v_grant  text;
BEGIN
  IF v_prefix IS NULL THEN
    RETURN;
  END IF;
  PERFORM howdah.take_over(v_prefix || '_owner');
  v_all := (SELECT string_agg(format('%I', v_prefix || '_' || r), ', ') FROM unnest('{producer,worker,viewer,operator}'::text[]) r);
  EXECUTE format('REVOKE ALL ON SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', v_schema::regnamespace, v_all);
  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  FOR v_grant IN
    SELECT format('GRANT %s ON %s TO %s', r.privilege, coalesce('FUNCTION ' || p.oid::regprocedure, c.oid::regclass::text), t.roles)
      FROM howdah.rights() r
      CROSS JOIN LATERAL (SELECT string_agg(format('%I', v_prefix || '_' || g), ', ') AS roles FROM unnest(r.roles) g) t
      LEFT JOIN pg_proc p ON r.privilege = 'EXECUTE' AND p.pronamespace = v_schema AND p.proname = r.object
      LEFT JOIN pg_class c ON r.privilege <> 'EXECUTE' AND c.relnamespace = v_schema AND c.relname = r.object
     WHERE t.roles IS NOT NULL
    UNION ALL
    SELECT 'ALTER FUNCTION ' || p.oid::regprocedure || ' SECURITY DEFINER'
      FROM howdah.rights() r JOIN pg_proc p ON p.pronamespace = v_schema AND p.proname = r.object
     WHERE r.privilege = 'EXECUTE' AND r.roles <> '{}' AND p.proconfig IS NOT NULL AND NOT p.prosecdef
  LOOP
    EXECUTE v_grant;
  END LOOP;
END $$;
