-- howdah.option_refused(field, rule) -> never returns
-- Says which option is wrong, and what is right. Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.option_refused(field text, rule text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% %', option_refused.field, option_refused.rule USING ERRCODE = 'HD002', COLUMN = option_refused.field;
END $$;
