-- howdah.check_number(field, value, low, high, whole) -> void
-- Refuses what is no number in a range. Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.check_number(field text, value jsonb, low numeric, high numeric, whole boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF jsonb_typeof(check_number.value) = 'number' THEN
    IF (check_number.value #>> '{}')::numeric BETWEEN check_number.low AND check_number.high
       AND (NOT check_number.whole OR (check_number.value #>> '{}')::numeric % 1 = 0) THEN
      RETURN;
    END IF;
  END IF;
  PERFORM howdah.option_refused(check_number.field, format('must be a%s number from %s to %s, not %s',
    CASE WHEN check_number.whole THEN ' whole' ELSE '' END, check_number.low, check_number.high, left(check_number.value::text, 100)));
END $$;
