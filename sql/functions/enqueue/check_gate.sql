-- howdah.check_gate(field, value, options) -> void
-- Refuses a limit_key, order_key, order_on_failure or fair_key that makes no sense. Internal to check_options.
-- Errors: HD002 (invalid argument), naming the option in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_gate(field text, value jsonb, options jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_keys jsonb := CASE WHEN check_gate.field = 'limit_key' AND jsonb_typeof(check_gate.value) = 'array' THEN check_gate.value
                       ELSE jsonb_build_array(check_gate.value) END;
  v_key  jsonb;
BEGIN
  IF check_gate.field = 'order_on_failure' THEN
    IF check_gate.value NOT IN ('"hold"', '"pass"') THEN
      PERFORM howdah.option_refused(check_gate.field, 'must be hold or pass, not ' || left(check_gate.value::text, 100));
    ELSIF NOT check_gate.options ? 'order_key' THEN
      PERFORM howdah.option_refused(check_gate.field, 'is for jobs with an order_key');
    END IF;
    RETURN;
  END IF;
  IF jsonb_array_length(v_keys) NOT BETWEEN 1 AND 8 THEN
    PERFORM howdah.option_refused(check_gate.field, 'must be one to eight texts, not ' || jsonb_array_length(v_keys));
  END IF;
  FOR v_key IN SELECT * FROM jsonb_array_elements(v_keys) LOOP
    IF jsonb_typeof(v_key) <> 'string' OR octet_length(v_key #>> '{}') NOT BETWEEN 1 AND 256 OR (v_key #>> '{}') ~ '[[:cntrl:]]' THEN
      PERFORM howdah.option_refused(check_gate.field, 'must be a text of 1 to 256 bytes without control characters, not ' || left(v_key::text, 100));
    END IF;
  END LOOP;
END $$;
