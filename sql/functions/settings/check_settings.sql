-- howdah.check_settings(relation, settings) -> void
-- Refuses settings that a queue ('queue') or a kind ('kind') does not have, and values that are not of their type.
-- What their CHECKs say is refused when they are written: see setting_refused.
-- Errors: HD002, naming the setting in COLUMN. Internal to change_settings.
CREATE OR REPLACE FUNCTION howdah.check_settings(relation text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_names text[] := howdah.setting_names(check_settings.relation);
  v_key   text;
  v_value jsonb;
BEGIN
  IF check_settings.settings IS NULL OR jsonb_typeof(check_settings.settings) <> 'object' THEN
    RAISE EXCEPTION 'settings must be a JSON object, not %', coalesce(jsonb_typeof(check_settings.settings), 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'settings', HINT = 'Such as ''{"max_attempts": 5}''.';
  END IF;
  FOR v_key, v_value IN SELECT e.key, e.value FROM jsonb_each(check_settings.settings) e LOOP
    IF v_key <> ALL (v_names) THEN
      RAISE EXCEPTION 'a % has no setting %', check_settings.relation, quote_literal(left(v_key, 100))
        USING ERRCODE = 'HD002', COLUMN = coalesce(nullif(left(v_key, 100), ''), 'settings'), HINT = 'There are ' || array_to_string(v_names, ', ') || '.';
    END IF;
    BEGIN
      EXECUTE format('SELECT FROM jsonb_populate_record(NULL::howdah.%I, $1) r WHERE r.%I IS NULL', check_settings.relation, v_key)
        USING jsonb_build_object(v_key, v_value);
    EXCEPTION WHEN data_exception THEN
      RAISE EXCEPTION '% must be of type %, not %', v_key,
        (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
          WHERE a.attrelid = format('howdah.%I', check_settings.relation)::regclass AND a.attname = v_key),
        left(v_value::text, 100) USING ERRCODE = 'HD002', COLUMN = v_key;
    END;
  END LOOP;
END $$;
