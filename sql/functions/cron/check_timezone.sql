-- howdah.check_timezone(timezone) -> void
-- Refuses what is no name of a time zone. Internal to check_schedule. Errors: HD002 with COLUMN timezone.
CREATE OR REPLACE FUNCTION howdah.check_timezone(timezone text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- PostgreSQL also takes rules such as FOO+3, which are the wrong way round for most people.
  IF check_timezone.timezone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,99}$' AND (check_timezone.timezone !~ '[0-9+-]' OR check_timezone.timezone ~ '/') THEN
    PERFORM howdah.now() AT TIME ZONE check_timezone.timezone;
    RETURN;
  END IF;
  RAISE invalid_parameter_value;
EXCEPTION WHEN invalid_parameter_value THEN
  RAISE EXCEPTION 'timezone must be an IANA name, not %', quote_literal(left(check_timezone.timezone, 100))
    USING ERRCODE = 'HD002', COLUMN = 'timezone', HINT = 'Such as Europe/Berlin or UTC; see pg_timezone_names.';
END $$;
