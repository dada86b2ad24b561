-- howdah.check_retry(retry) -> void
-- Refuses a retry policy that makes no sense. Errors: HD002 (invalid argument) with COLUMN retry. Internal.
CREATE OR REPLACE FUNCTION howdah.check_retry(retry jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key   text;
  v_value jsonb;
BEGIN
  IF jsonb_typeof(check_retry.retry) <> 'object' THEN
    PERFORM howdah.option_refused('retry', 'must be a JSON object, not ' || jsonb_typeof(check_retry.retry));
  END IF;
  FOR v_key, v_value IN SELECT * FROM jsonb_each(check_retry.retry) LOOP
    CASE v_key
      WHEN 'policy' THEN
        IF v_value NOT IN ('"constant"', '"linear"', '"exponential"') THEN
          PERFORM howdah.option_refused('retry', 'policy must be constant, linear or exponential, not ' || left(v_value::text, 100));
        END IF;
      WHEN 'base_ms' THEN
        PERFORM howdah.check_number('retry', v_value, 1, 2147483647);
      WHEN 'factor' THEN
        PERFORM howdah.check_number('retry', v_value, 1, 100, false);
      WHEN 'floor_ms' THEN
        PERFORM howdah.check_number('retry', v_value, 0, 3155760000000);
      WHEN 'cap_ms' THEN
        PERFORM howdah.check_number('retry', v_value, 1, 3155760000000);
      WHEN 'jitter' THEN
        PERFORM howdah.check_number('retry', v_value, 0, 1, false);
      ELSE
        PERFORM howdah.option_refused('retry', 'has no ' || quote_literal(left(v_key, 100))
          || ': it has policy, base_ms, factor, floor_ms, cap_ms and jitter');
    END CASE;
  END LOOP;
  IF (check_retry.retry ->> 'floor_ms')::numeric > (check_retry.retry ->> 'cap_ms')::numeric THEN
    PERFORM howdah.option_refused('retry', 'floor_ms must not be above cap_ms');
  END IF;
END $$;
