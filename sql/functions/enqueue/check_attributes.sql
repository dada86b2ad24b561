-- howdah.check_attributes(attributes) -> void
-- Refuses attributes that could not be filtered by. Errors: HD002 (invalid argument) with COLUMN attributes. Internal.
CREATE OR REPLACE FUNCTION howdah.check_attributes(attributes jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_name  text;
  v_value jsonb;
BEGIN
  IF jsonb_typeof(check_attributes.attributes) <> 'object' THEN
    PERFORM howdah.option_refused('attributes', 'must be a JSON object, not ' || jsonb_typeof(check_attributes.attributes));
  END IF;
  IF pg_column_size(check_attributes.attributes) > 8192 THEN
    PERFORM howdah.option_refused('attributes', format('are %s bytes, and may be 8192: what is only for the handler belongs into the payload',
      pg_column_size(check_attributes.attributes)));
  END IF;
  FOR v_name, v_value IN SELECT * FROM jsonb_each(check_attributes.attributes) LOOP
    IF octet_length(v_name) NOT BETWEEN 1 AND 128 THEN
      PERFORM howdah.option_refused('attributes', 'must have names of 1 to 128 bytes');
    END IF;
    IF jsonb_typeof(v_value) = 'object' OR (jsonb_typeof(v_value) = 'array'
       AND EXISTS (SELECT FROM jsonb_array_elements(v_value) e WHERE jsonb_typeof(e) IN ('object', 'array'))) THEN
      PERFORM howdah.option_refused('attributes', format('must be scalars or arrays of scalars, and %s is not', quote_literal(v_name)));
    END IF;
    -- A program that reads the attributes of many jobs reads floats, and one that it cannot read would hide all the others.
    IF EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(v_value) WHEN 'array' THEN v_value ELSE jsonb_build_array(v_value) END) e
                WHERE CASE WHEN jsonb_typeof(e) = 'number' THEN abs((e #>> '{}')::numeric) > 1e308 END) THEN
      PERFORM howdah.option_refused('attributes', format('must be numbers up to 1e308, and %s is more', quote_literal(v_name)));
    END IF;
  END LOOP;
END $$;
