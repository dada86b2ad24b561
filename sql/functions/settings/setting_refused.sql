-- howdah.setting_refused(relation, constraint_name, settings) -> never returns
-- Says which setting breaks a CHECK of the table of queues or kinds, and what the CHECK says.
-- Errors: HD002, naming the setting in COLUMN. Internal to change_settings.
CREATE OR REPLACE FUNCTION howdah.setting_refused(relation text, constraint_name text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_field text;
  v_rule  text;
BEGIN
  -- Of a rule about several columns, the one that was to be changed.
  SELECT a.attname, pg_get_expr(c.conbin, c.conrelid) INTO v_field, v_rule
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
   WHERE c.conrelid = format('howdah.%I', setting_refused.relation)::regclass AND c.conname = setting_refused.constraint_name
   ORDER BY setting_refused.settings ? a.attname::text DESC, a.attnum LIMIT 1;
  RAISE EXCEPTION '% must satisfy %, and % does not', v_field, v_rule, left((setting_refused.settings -> v_field)::text, 100)
    USING ERRCODE = 'HD002', COLUMN = v_field, HINT = 'null sets it to its default.';
END $$;
