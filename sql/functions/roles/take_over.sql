-- howdah.take_over(owner) -> void
-- Makes a role the owner of the schema and of all that is in it and is not its own yet. Internal to grant_rights.
-- Writes: the catalog. Locks: access exclusive on each table that changes hands; gives up (55P03) after three seconds.
-- Errors: 42501 the caller may not give something away.
CREATE OR REPLACE FUNCTION howdah.take_over(owner text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
  v_owner  oid := quote_ident(take_over.owner)::regrole;
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
  v_object text;
BEGIN
  FOR v_object IN
    SELECT 'SCHEMA ' || n.oid::regnamespace FROM pg_namespace n WHERE n.oid = v_schema AND n.nspowner <> v_owner
    UNION ALL
    -- The sequence of an identity column goes with its table.
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass FROM pg_class c
     WHERE c.relnamespace = v_schema AND c.relkind IN ('r', 'p', 'v', 'S') AND c.relowner <> v_owner
       AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT 'ROUTINE ' || p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = v_schema AND p.proowner <> v_owner
  LOOP
    EXECUTE format('ALTER %s OWNER TO %I', v_object, take_over.owner);
  END LOOP;
END $$;
