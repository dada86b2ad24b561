-- howdah.check_number(field, value, low, high, whole) -> void
-- Refuses what is no number in a range. A whole one has no decimals, not even zeros: 5.0 would be kept as it is, and then a claim
-- and a worker, who read an integer, would fail on it again and again. Others have at most 100: a float8 can hold them.
-- Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.check_number(field text, value jsonb, low numeric, high numeric, whole boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF jsonb_typeof(check_number.value) = 'number' THEN
    IF (check_number.value #>> '{}')::numeric BETWEEN check_number.low AND check_number.high
       AND scale((check_number.value #>> '{}')::numeric) <= (CASE WHEN check_number.whole THEN 0 ELSE 100 END) THEN
      RETURN;
    END IF;
  END IF;
  PERFORM howdah.option_refused(check_number.field, format('must be a%s number from %s to %s, not %s',
    CASE WHEN check_number.whole THEN ' whole' ELSE '' END, check_number.low, check_number.high, left(check_number.value::text, 100)));
END $$;
