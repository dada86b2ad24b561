-- howdah.as_time(field, value) -> timestamptz
-- A point in time that was given as a JSON string, or as a number of milliseconds since 1970. Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.as_time(field text, value jsonb) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at timestamptz;
BEGIN
  IF jsonb_typeof(as_time.value) = 'string' THEN
    BEGIN
      v_at := (as_time.value #>> '{}')::timestamptz;
    EXCEPTION WHEN data_exception THEN
      NULL;
    END;
  END IF;
  IF jsonb_typeof(as_time.value) = 'number' THEN
    IF (as_time.value #>> '{}')::numeric BETWEEN 0 AND 253370764800000 THEN
      v_at := to_timestamp(round((as_time.value #>> '{}')::numeric, 3)::float8 / 1000);
    END IF;
  END IF;
  IF v_at IS NULL OR NOT isfinite(v_at) OR v_at > timestamptz '9999-01-01' THEN
    PERFORM howdah.option_refused(as_time.field, 'must be a point in time before the year 9999, such as "2030-01-31T12:00:00Z"');
  END IF;
  RETURN v_at;
END $$;
