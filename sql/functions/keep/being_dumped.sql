-- howdah.being_dumped() -> boolean
-- Whether a pg_dump of this database is at work. It takes its snapshot first and locks the tables a moment later: what is
-- truncated in between is missing from the dump, although its snapshot shows it. Goes by the name that pg_dump
-- gives to its connection, so PGAPPNAME hides it. Ask after looking whether a table is empty: a dump that begins later sees
-- the same. Internal to truncate_slot. Errors: none.
CREATE OR REPLACE FUNCTION howdah.being_dumped() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A transaction sees the sessions as they were at its first look.
  PERFORM pg_stat_clear_snapshot();
  RETURN EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = 'pg_dump' AND a.backend_xmin IS NOT NULL
    AND a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()));
END $$;
