-- howdah.canonical(value) -> jsonb
-- JSON whose numbers have no zeros at the end of their decimals, so that what is equal is written alike. Internal.
CREATE OR REPLACE FUNCTION howdah.canonical(value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN CASE jsonb_typeof(canonical.value)
    WHEN 'number' THEN to_jsonb(trim_scale((canonical.value #>> '{}')::numeric))
    WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(e.key, howdah.canonical(e.value)), '{}') FROM jsonb_each(canonical.value) e)
    WHEN 'array' THEN (SELECT coalesce(jsonb_agg(howdah.canonical(e.value) ORDER BY e.n), '[]')
                         FROM jsonb_array_elements(canonical.value) WITH ORDINALITY e(value, n))
    ELSE canonical.value END;
END $$;
