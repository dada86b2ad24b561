-- howdah.check_expression(expression) -> void
-- Refuses what cannot be a cron expression at a glance: its length, its characters, the number of its fields. The rest
-- is for the keeper, which can read them. Cheap for whatever it is given. Internal to check_schedule.
-- Errors: HD002 with COLUMN expression.
CREATE OR REPLACE FUNCTION howdah.check_expression(expression text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF octet_length(check_expression.expression) NOT BETWEEN 1 AND 256 THEN
    PERFORM howdah.option_refused('expression', format('must be 1 to 256 bytes, not %s', octet_length(check_expression.expression)));
  END IF;
  IF check_expression.expression !~* '^ *(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every +([0-9]{1,9}[wdhms])+|([0-9a-z*,/?#+-]+ +){4,5}[0-9a-z*,/?#+-]+) *$' THEN
    PERFORM howdah.option_refused('expression', format(
      'must be five fields (minute, hour, day, month, weekday), six with seconds first, @hourly, @daily and the like, or @every 90s; not %L',
      left(check_expression.expression, 100)));
  END IF;
END $$;
