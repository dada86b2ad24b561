-- howdah.unknown_schedule(name) -> never returns
-- Says that a schedule does not exist. Errors: HD002 with COLUMN schedule. Internal.
CREATE OR REPLACE FUNCTION howdah.unknown_schedule(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'there is no schedule named %', coalesce(quote_literal(left(unknown_schedule.name, 100)), 'NULL')
    USING ERRCODE = 'HD002', COLUMN = 'schedule', HINT = 'SELECT name FROM howdah.schedules';
END $$;
