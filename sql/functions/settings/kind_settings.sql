-- howdah.kind_settings(kind) -> jsonb
-- All settings of a kind of jobs as an object, null where the queue decides. A kind of which nothing is set, whether
-- it has jobs or not, has nothing but nulls. Reads: kind. Errors: none.
CREATE OR REPLACE FUNCTION howdah.kind_settings(kind text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce(howdah.settings_of('kind', kind_settings.kind),
    (SELECT jsonb_object_agg(n, NULL) FROM unnest(howdah.setting_names('kind')) n));
END $$;
