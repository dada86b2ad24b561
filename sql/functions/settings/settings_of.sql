-- howdah.settings_of(relation, name) -> jsonb
-- All settings of a queue ('queue') or a kind ('kind') as an object, null where there is none; NULL if there is no
-- such row. Reads: queue or kind. Errors: none. Internal to queue_settings and kind_settings.
CREATE OR REPLACE FUNCTION howdah.settings_of(relation text, name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_row jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(s) FROM howdah.%I s WHERE s.name = $1', settings_of.relation) INTO v_row USING settings_of.name;
  RETURN (SELECT jsonb_object_agg(n, v_row -> n) FROM unnest(howdah.setting_names(settings_of.relation)) n WHERE v_row IS NOT NULL);
END $$;
